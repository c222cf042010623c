//! Between anchors: HTTP/2 over TLS 1.3, both sides proven by their ed25519 keys alone (raw public keys, RFC 7250).
//!
//! There are no certificates and no authority over them: a key is accepted because an adjacency names it. What is asked and
//! answered is signed besides, so that a reply is believed for its hops and not for the connection that it came over.

mod client;
mod keys;
mod server;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use proconsul_anchors::caller::Caller;
use proconsul_anchors::handle::Handle;
use proconsul_anchors::query::Query;
use proconsul_anchors::record::TableId;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::{error, info};

/// Where questions go.
const ASK: &str = "/anchor/ask";
/// Where neighbours ask whether somebody is there.
const CONTACT: &str = "/anchor/contact";
/// What both sides have to speak.
const ALPN: &[u8] = b"h2";
/// The name that clients send along; nobody looks at it.
const NAME: &str = "anchor.invalid";
/// How long a handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(2);
/// How long it takes until a port that was taken is tried again.
const BIND_PAUSE: Duration = Duration::from_secs(5);
/// How long is waited at a time for the first adjacency.
const REST: Duration = Duration::from_secs(3600);

/// Lets the anchor speak to others as soon as an adjacency was ever made: until then nothing is bound and nobody is called.
pub(crate) async fn run(
    handle: Handle,
    address: Option<SocketAddr>,
    stopping: watch::Receiver<bool>,
) {
    let client = match client::Client::new(&handle) {
        Ok(client) => Arc::new(client),
        Err(why) => return error!(%why, "this anchor cannot speak to others"),
    };
    handle.join(Arc::new(client::Line(client)));
    let mut stop = stopping.clone();
    tokio::select! {
        () = first_adjacency(&handle) => {}
        _ = stop.wait_for(|stop| *stop) => return,
    }
    let contact = handle.clone();
    let keeping = tokio::spawn(async move { contact.keep_contact().await });
    match address {
        Some(address) => tokio::select! {
            () = listen(&handle, address, stopping) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        },
        None => {
            error!("ports.server is off: other anchors cannot ask this one; give it a port");
            let _stopped = stop.wait_for(|stop| *stop).await;
        }
    }
    keeping.abort();
}

async fn first_adjacency(handle: &Handle) {
    while !handle.has_adjacencies() {
        let query = Query::Table(TableId::Adjacency);
        // Nobody refuses the program itself.
        let _woken = handle.wait(&Caller::own(), &query, 0, REST).await;
    }
}

async fn listen(handle: &Handle, address: SocketAddr, stopping: watch::Receiver<bool>) {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => {
                info!(%address, "listening for other anchors");
                return server::serve(listener, handle.clone(), stopping).await;
            }
            Err(why) => {
                error!(%address, %why, "cannot listen for other anchors; set ports.server or end who holds it");
                tokio::time::sleep(BIND_PAUSE).await;
            }
        }
    }
}
