//! Two anchors over real sockets on loopback: neighbours are answered, everybody else is not.

use std::sync::Arc;
use std::time::Duration;

use proconsul_anchors::acl::AclSettings;
use proconsul_anchors::caller::Caller;
use proconsul_anchors::clock::{Clock, Time};
use proconsul_anchors::group::GroupSettings;
use proconsul_anchors::handle::{Errand, Handle, Wire as _};
use proconsul_anchors::scope::ScopePath;
use proconsul_anchors::store::Store;
use proconsul_anchors::traversal::Peer;
use proconsul_anchors::traversal::adjacency::{EVERYTHING, Offer, TERM};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::client::{Client, Line};
use super::server;

struct Still;

impl Clock for Still {
    fn now(&self) -> Time {
        Time(1_000_000_000_000)
    }
}

async fn open(scope: &str) -> Handle {
    let store = Arc::new(Store::in_memory().unwrap());
    let settings = GroupSettings { scope: scope.into(), member: "n1".into() };
    Handle::open(store, settings, AclSettings::default(), Arc::new(Still)).await.unwrap()
}

fn offer(address: &str) -> Offer {
    Offer {
        addresses: vec![address.into()],
        actions: vec![EVERYTHING.into()],
        policies: Vec::new(),
        term: TERM,
    }
}

async fn marry(a: &Handle, b: &Handle, address: &str) {
    let (own, offer) = (Caller::own(), offer(address));
    let asked = a.request_adjacency(&own, &b.root(), &offer).await.unwrap();
    let accepted = b.accept_adjacency(&own, asked.ours.as_deref().unwrap(), &offer).await.unwrap();
    a.accept_adjacency(&own, accepted.ours.as_deref().unwrap(), &offer).await.unwrap();
}

fn peer(handle: &Handle, address: &str) -> Peer {
    Peer { scope: handle.root(), key: handle.anchor_key(), addresses: vec![address.into()] }
}

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn neighbours_are_answered_and_nobody_else() {
    let (eu, payments, stranger) =
        (open("eu").await, open("payments").await, open("stranger").await);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (stop, stopping) = watch::channel(false);
    let serving = tokio::spawn(server::serve(listener, payments.clone(), stopping));
    marry(&eu, &payments, &address).await;

    let line = |handle: &Handle| Line(Arc::new(Client::new(handle).unwrap()));
    let contact = |line: Line, to: Peer| async move {
        line.send(&to, Errand::Contact, b"{}".to_vec(), PATIENCE).await
    };
    let reply = contact(line(&eu), peer(&payments, &address)).await.unwrap();
    assert!(String::from_utf8(reply).unwrap().contains("\"payments\""));
    // The first address does not answer: the next one does.
    let mut two = peer(&payments, &address);
    two.addresses.insert(0, "127.0.0.1:9".into());
    assert!(contact(line(&eu), two).await.is_ok());
    // A key that no adjacency names, and one that is not the peer's.
    assert!(contact(line(&stranger), peer(&payments, &address)).await.is_err());
    assert!(contact(line(&eu), peer(&stranger, &address)).await.is_err());
    // What is no question is refused and said why.
    let line = line(&eu);
    let to = peer(&payments, &address);
    for body in [&b"{}"[..], b"noise", &[b' '; 300 << 10]] {
        let refused = line.send(&to, Errand::Ask, body.to_vec(), PATIENCE).await;
        assert!(refused.is_err(), "{refused:?}");
    }
    payments.revoke_adjacency(&Caller::own(), &ScopePath::parse("eu").unwrap()).await.unwrap();
    let gone = line.send(&to, Errand::Contact, b"{}".to_vec(), PATIENCE).await;
    assert!(gone.unwrap_err().starts_with("127.0.0.1"), "the adjacency was taken back");
    stop.send_replace(true);
    serving.await.unwrap();
}
