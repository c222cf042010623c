//! Whole queries, with the conformance suite's own name server as recursor.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use proconsul_conformance::dns::shown::show;
use proconsul_conformance::dns::{stub, wire};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::net::UdpSocket;

use crate::limits::LATER_MAX;
use crate::server::{Response, Service};
use crate::settings::{Recursors, Settings, Strategy};
use crate::shape::Transport;
use crate::testing::world::World;

const WORLD: &str = "
    set service_ttl:ext=9s
    node n1 10.0.0.1
    node ehost plain.example.test meta:m=1
    service n1 e1 ext addr=chain.example.test port=80
    service n1 b1 both addr=x.example.test port=80
    service n1 b2 both addr=10.0.0.9 port=81
    service n1 f1 failing addr=failing.example.test port=80
    service n1 o1 own addr=ext.service.consul port=80";

fn service(servers: &[SocketAddr], strategy: Strategy) -> Arc<Service<World>> {
    let world = World::read(WORLD);
    let timeout = Duration::from_secs(2);
    let recursors = Some(Arc::new(Recursors { servers: servers.into(), strategy, timeout }));
    let settings = Settings { recursors, ..world.settings.clone() };
    Service::new(world, Arc::new(ArcSwap::from_pointee(settings)))
}

/// The reply in one line, without the question.
async fn ask(service: &Arc<Service<World>>, line: &str) -> String {
    let message = wire::question(line, 7).unwrap();
    let transport = if line.starts_with("tcp") { Transport::Tcp } else { Transport::Udp };
    let reply = match service.respond(transport, None, &message, &mut StdRng::seed_from_u64(1)) {
        Response::Silence => return "silence".to_owned(),
        Response::Now(reply) => reply,
        Response::Later(reply) => reply.await,
    };
    assert_eq!(reply[..2], [0, 7], "the client's number");
    let shown = show(Some(&reply));
    [vec![shown.head], shown.records[1..].to_vec()]
        .concat()
        .join(" | ")
        .replace(".example.test.", "~")
}

#[tokio::test]
async fn names_that_are_not_ours_are_asked_elsewhere() {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    let service = service(&[nobody, stub::address()], Strategy::Sequential);
    for (question, expected) in [
        ("udp x.example.test A rd", "NOERROR qr rd ra | AN x~ 77 A 192.0.2.33"),
        ("tcp x.example.test A cd", "NOERROR qr ra cd | AN x~ 77 A 192.0.2.33"),
        ("udp gone.example.test A rd", "NXDOMAIN qr rd ra"),
        ("udp refused.example.test A rd", "SERVFAIL qr rd ra"),
        ("tcp failing.example.test A rd", "SERVFAIL qr rd ra"),
        // Why it failed is told to who can read it.
        (
            "udp edns=1232 refused.example.test A rd",
            "SERVFAIL qr rd ra | OPT version 0, udp 1232 Unknown(15, [0, 22, 110, 111, 32, 114, 101, 99, 117, 114, 115, 111, \
             114, 32, 97, 110, 115, 119, 101, 114, 101, 100])",
        ),
        // More than the client said that it takes is an error, as in Consul.
        ("udp wide.example.test A rd", "SERVFAIL qr rd ra"),
        (
            "udp 9.9.9.10.in-addr.arpa A rd",
            "NOERROR qr rd ra | AN 9.9.9.10.in-addr.arpa. 77 A 192.0.2.33",
        ),
        (
            "udp 1.0.0.10.in-addr.arpa PTR rd",
            "NOERROR qr aa rd ra | AN 1.0.0.10.in-addr.arpa. 0 PTR n1.node.dc1.consul.",
        ),
        // Whether our zone is signed is told by the one above it.
        ("udp n1.node.consul DS rd", "NOERROR qr rd ra"),
        ("udp n1.node.consul A", "NOERROR qr aa ra | AN n1.node.consul. 0 A 10.0.0.1"),
    ] {
        assert_eq!(ask(&service, question).await, expected, "{question}");
    }
    let shortened = ask(&service, "udp many.example.test A rd").await;
    assert!(shortened.starts_with("NOERROR qr tc rd ra | "), "{shortened}");
}

#[tokio::test]
async fn host_names_elsewhere_are_followed() {
    let service = service(&[stub::address()], Strategy::Random);
    let chain = "AN ext.service.consul. 9 CNAME chain~";
    for (question, expected) in [
        // Cut to three without EDNS; the texts of the chain are not told, and its times are the service's.
        (
            "udp ext.service.consul A",
            format!("NOERROR qr aa ra | AN chain~ 9 CNAME chain2~ | AN chain2~ 9 CNAME Chain3~ | {chain}"),
        ),
        (
            "udp edns=1232 ext.service.consul A",
            format!(
                "NOERROR qr aa ra | AN Chain3~ 9 A 192.0.2.34 | AN Chain3~ 9 A 192.0.2.35 | AN chain~ 9 CNAME chain2~ | \
                 AN chain2~ 9 CNAME Chain3~ | {chain} | OPT version 0, udp 1232"
            ),
        ),
        (
            "tcp ext.service.consul SRV",
            "NOERROR qr aa ra | AN ext.service.consul. 9 SRV 1 1 80 chain~ | AR Chain3~ 9 A 192.0.2.34 | AR Chain3~ 9 A 192.0.2.35 | \
             AR chain~ 9 CNAME chain2~ | AR chain2~ 9 CNAME Chain3~"
                .to_owned(),
        ),
        (
            "udp ehost.node.consul A",
            "NOERROR qr aa ra | AN ehost.node.consul. 0 CNAME plain~ | AN plain~ 77 A 192.0.2.33 | AR ehost.node.consul. 0 TXT m=1"
                .to_owned(),
        ),
        // An address comes before a host name, whatever that leads to.
        ("udp both.service.consul A", "NOERROR qr aa ra | AN both.service.consul. 0 A 10.0.0.9".to_owned()),
        ("udp failing.service.consul A", "NOERROR qr aa ra | AN failing.service.consul. 0 CNAME failing~".to_owned()),
        (
            "tcp own.service.consul A",
            "NOERROR qr aa ra | AN Chain3~ 0 A 192.0.2.34 | AN Chain3~ 0 A 192.0.2.35 | AN chain~ 0 CNAME chain2~ | \
             AN chain2~ 0 CNAME Chain3~ | AN ext.service.consul. 0 CNAME chain~ | AN own.service.consul. 0 CNAME ext.service.consul."
                .to_owned(),
        ),
    ] {
        assert_eq!(ask(&service, question).await, expected, "{question}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_answer_costs_its_time_once() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let deaf = silent.local_addr().unwrap();
    let service = service(&[deaf, deaf], Strategy::Sequential);
    let since = tokio::time::Instant::now();
    assert_eq!(ask(&service, "udp x.example.test A rd").await, "SERVFAIL qr rd ra");
    assert_eq!(since.elapsed().as_secs(), 4);
}

#[tokio::test]
async fn so_many_queries_are_under_way_and_no_more() {
    let service = service(&[stub::address()], Strategy::Sequential);
    let message = wire::question("udp edns=1232 x.example.test A rd", 7).unwrap();
    let respond = || service.respond(Transport::Udp, None, &message, &mut StdRng::seed_from_u64(1));
    let waiting: Vec<Response> = (0..LATER_MAX).map(|_| respond()).collect();
    assert!(waiting.iter().all(|response| matches!(response, Response::Later(_))));
    let Response::Now(reply) = respond() else { panic!("there is no place") };
    assert!(show(Some(&reply)).head.starts_with("SERVFAIL"));
    // What needs nobody else is answered meanwhile, and places become free again.
    assert!(ask(&service, "udp n1.node.consul A").await.starts_with("NOERROR qr aa ra"));
    drop(waiting);
    assert!(matches!(respond(), Response::Later(_)));
}

/// A recursor at this address that says so to everything, without compression: with this code, and an address with code 0.
fn recursor(at: &str, rcode: u8) -> Option<SocketAddr> {
    let socket = std::net::UdpSocket::bind(at).ok()?;
    let address = socket.local_addr().ok();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let query = &buffer[..length];
            let mut reply =
                [&query[..2], &[0x81, 0x80 | rcode], &query[4..6], &[0, 0, 0, 0, 0, 0]].concat();
            let end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
            reply.extend_from_slice(&query[12..end]);
            if rcode == 0 {
                reply[7] = 1;
                reply.extend_from_slice(&query[12..end]);
                reply.extend_from_slice(&[0, 0, 0, 77, 0, 4, 192, 0, 2, 53]);
            }
            let _sent = socket.send_to(&reply, from);
        }
    });
    address
}

#[tokio::test]
async fn the_next_recursor_is_asked_when_one_fails() {
    let fine = "NOERROR qr rd ra | AN x~ 77 A 192.0.2.53";
    for at in ["127.0.0.1:0", "[::1]:0"] {
        let fails = |rcode| recursor(at, rcode);
        let (Some(failing), Some(refusing), Some(helping)) = (fails(2), fails(5), fails(0)) else {
            // A machine without IPv6.
            continue;
        };
        for (servers, expected) in [
            ([failing, helping].as_slice(), fine),
            (&[refusing, failing, helping], fine),
            (&[refusing, refusing, refusing], "SERVFAIL qr rd ra"),
        ] {
            for strategy in [Strategy::Sequential, Strategy::Random] {
                let service = service(servers, strategy);
                assert_eq!(ask(&service, "udp x.example.test A rd").await, expected, "{servers:?}");
            }
        }
    }
}

#[tokio::test]
async fn replies_of_recursors_are_compressed_as_configured() {
    let helping = recursor("127.0.0.1:0", 0).unwrap();
    let message = wire::question("udp x.example.test A rd", 7).unwrap();
    for (disable_compression, bytes) in [(false, 48), (true, 62)] {
        let service = service(&[helping], Strategy::Sequential);
        let settings = service.settings_for_tests();
        settings
            .store(Arc::new(Settings { disable_compression, ..settings.load().as_ref().clone() }));
        let response =
            service.respond(Transport::Udp, None, &message, &mut StdRng::seed_from_u64(1));
        let Response::Later(reply) = response else { panic!("somebody is to be asked") };
        assert_eq!(reply.await.len(), bytes, "{disable_compression}");
    }
}

#[tokio::test]
async fn what_is_under_way_ends_with_the_settings_it_began_with() {
    let helping = recursor("127.0.0.1:0", 0).unwrap();
    let service = service(&[helping], Strategy::Sequential);
    let message = wire::question("udp x.example.test A rd", 7).unwrap();
    let respond = || service.respond(Transport::Udp, None, &message, &mut StdRng::seed_from_u64(1));
    let Response::Later(reply) = respond() else { panic!("somebody is to be asked") };
    service.settings_for_tests().store(Arc::new(Settings::default()));
    let Response::Now(refusal) = respond() else { panic!("nobody is to be asked any more") };
    assert_eq!(show(Some(&refusal)).head, "REFUSED qr rd");
    assert_eq!(show(Some(&reply.await)).head, "NOERROR qr rd ra");
}

#[tokio::test]
async fn what_is_asked_at_the_same_time_is_asked_once() {
    let recursor = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let service = service(&[recursor.local_addr().unwrap()], Strategy::Sequential);
    let respond = |line: &str, id: u16| {
        let message = wire::question(line, id).unwrap();
        match service.respond(Transport::Udp, None, &message, &mut StdRng::seed_from_u64(1)) {
            Response::Later(reply) => reply,
            _ => panic!("somebody is to be asked"),
        }
    };
    // Both are under way before the recursor says anything.
    let (line, other) = ("udp x.example.test A rd", "udp x.example.test AAAA rd");
    let said = async {
        let mut buffer = [0; 512];
        let mut asked = Vec::new();
        for _ in 0..2 {
            let (length, from) = recursor.recv_from(&mut buffer).await.unwrap();
            buffer[2] |= 0x80;
            recursor.send_to(&buffer[..length], from).await.unwrap();
            asked.push(buffer[length - 3]);
        }
        asked.sort_unstable();
        asked
    };
    let waiting =
        futures_util::future::join3(respond(line, 1), respond(line, 2), respond(other, 3));
    let ((first, second, third), asked) = futures_util::future::join(waiting, said).await;
    assert_eq!([first[1], second[1], third[1]], [1, 2, 3], "each has its own number");
    assert_eq!(first[2..], second[2..]);
    assert_eq!(asked, [1, 28], "each question went out once");
    assert!(recursor.try_recv(&mut [0; 512]).is_err());
}

/// A recursor that is ourselves: the query comes round, and waits for itself.
#[tokio::test]
async fn a_query_that_comes_round_ends() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let own = socket.local_addr().unwrap();
    let world = World::read(WORLD);
    let timeout = Duration::from_millis(50);
    let recursors = Recursors { servers: [own].into(), strategy: Strategy::Sequential, timeout };
    let settings = Settings { recursors: Some(Arc::new(recursors)), ..world.settings.clone() };
    let service = Service::new(world, Arc::new(ArcSwap::from_pointee(settings)));
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let _serving = tokio::spawn(crate::serve_udp(socket, Arc::clone(&service), stopped));
    let told = ask(&service, "udp x.example.test A rd").await;
    assert_eq!(told, "SERVFAIL qr rd ra");
}
