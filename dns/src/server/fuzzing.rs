//! A door for the fuzzer (`fuzz/`), and a test that shows it again what it once found.

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::decode::{self, Incoming};
use super::kept::Kept;
use super::{Again, Response, Service};
use crate::limits::{NAME_BYTES_MAX, PLAIN_UDP_BYTES};
use crate::reader::{Reader, freshness};
use crate::shape::Transport;
use crate::testing::world::World;

/// Every kind of answer, none of which needs more than a plain datagram for its first record.
const WORLD: &str = "
    set enable_truncate=true
    set alt_domain=alt
    node n1 10.0.0.1 id=aabb0000-0000-4000-8000-000000000001 meta:k=v meta:rfc1035-x=bare
    node n2 10.0.0.2 id=aabb1100-0000-4000-8000-000000000002 tagged:lan_ipv6=fd00::2
    node host www.example.test
    service n1 web1 web port=80 tags=v1,a.b
    service n2 web2 web port=81 addr=10.1.0.2 tags=v2
    service n2 web3 web port=82 addr=fd00::3 weights=3,1
    service n1 alias alias port=80 addr=web.service.consul
    service n1 loop loop port=80 addr=loop2.service.consul
    service n2 loop loop2 port=80 addr=loop.service.consul
    service n1 ext ext port=80 addr=ext.example.test
    service n2 multi multi ports=http:8080*,grpc:9090
    check n2 web3 warning
    prepared my.query web ttl=3s
    prepared geo- ${name.suffix} template=true";

static SERVICE: LazyLock<Arc<Service<World>>> = LazyLock::new(|| {
    let (world, mut more) = (World::read(WORLD), WORLD.to_owned());
    for at in 0..40 {
        more.push_str(&format!("\nservice n1 m{at} many port={at} addr=10.3.0.{at}"));
    }
    let world = World { index: World::read(&more).index, ..world };
    let settings = Arc::new(arc_swap::ArcSwap::from_pointee(world.settings.clone()));
    Service::new(world, settings)
});

thread_local! {
    static KEPT: RefCell<Kept> = RefCell::default();
}

/// Answers a message over both transports, and by the way of most datagrams.
///
/// # Panics
/// When an answer is none to this message, or longer than its asker takes.
pub fn message(bytes: &[u8]) {
    // Whatever a message says of its way, it is read to its end.
    let _hops = crate::hops::told(bytes);
    let slow = ordinary(Transport::Udp, bytes);
    check(bytes, slow.as_deref());
    if let Some(reply) = &slow {
        assert!(reply.len() <= room(bytes, reply), "no datagram is longer than was asked for");
    }
    check(bytes, ordinary(Transport::Tcp, bytes).as_deref());
    for _ in 0..3 {
        let fast = kept(bytes);
        assert_eq!(
            fast.as_deref().map(outline),
            slow.as_deref().map(outline),
            "both ways say the same"
        );
    }
}

fn ordinary(transport: Transport, bytes: &[u8]) -> Option<Vec<u8>> {
    match SERVICE.respond(transport, None, bytes, &mut StdRng::seed_from_u64(1)) {
        Response::Silence => None,
        Response::Now(reply) => Some(reply),
        Response::Later(_) => panic!("there is nobody else to ask"),
    }
}

fn kept(bytes: &[u8]) -> Option<Vec<u8>> {
    KEPT.with_borrow_mut(|kept| {
        let mut out = Vec::new();
        SERVICE.turn(kept);
        match SERVICE.respond_again(kept, None, bytes, &mut StdRng::seed_from_u64(2), &mut out) {
            Again::Silence => None,
            Again::Now => Some(out),
            Again::Later(_) => panic!("there is nobody else to ask"),
        }
    })
}

/// A reply is one to this message, and can be read.
fn check(query: &[u8], reply: Option<&[u8]>) {
    let is_query = Reader::new(query).head().is_ok_and(|head| !head.is_response());
    assert_eq!(is_query, reply.is_some(), "queries are answered, and nothing else is");
    let Some(reply) = reply else { return };
    assert_eq!(query[..2], reply[..2], "the number is the query's");
    assert!(Reader::new(reply).head().is_ok_and(|head| head.is_response()));
    assert!(freshness(reply).is_ok(), "what is sent can be read");
}

/// What the asker takes in a datagram. A reply of one answer is not cut, as Consul does not: its names may be long.
fn room(query: &[u8], reply: &[u8]) -> usize {
    let said = match decode::decode(query, Transport::Udp) {
        Incoming::Query { asker, .. } => asker.edns.map_or(0, |edns| usize::from(edns.udp_size)),
        _ => 0,
    };
    let one = Reader::new(reply).head().is_ok_and(|head| head.counts[1] <= 1);
    said.max(PLAIN_UDP_BYTES) + if one { 2 * NAME_BYTES_MAX } else { 0 }
}

/// What of a reply chance has no part in: its head up to the number of questions.
fn outline(reply: &[u8]) -> &[u8] {
    &reply[..reply.len().min(6)]
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    #[test]
    fn what_the_fuzzers_found_is_answered() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let show = |target: &str, to: fn(&[u8])| {
            for folder in ["fixtures/fuzz", "fuzz/seeds"] {
                let files = fs::read_dir(root.join(folder).join(target)).into_iter().flatten();
                files.flatten().for_each(|file| to(&fs::read(file.path()).unwrap()));
            }
        };
        show("dns", super::message);
        show("dns_replies", crate::upstream::survives);
    }
}
