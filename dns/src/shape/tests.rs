use proconsul_conformance::dns::shown::show;

use super::*;
use crate::testing::Server;
use crate::testing::world::World;

/// Instances of `name`, every second one IPv6.
fn instances(name: &str, count: usize) -> String {
    let lines = (0..count).map(|at| {
        let address = if at % 2 == 0 {
            format!("127.0.{}.{}", at / 250, at % 250 + 1)
        } else {
            format!("fe80::{at:x}")
        };
        format!("node n{at:05} {address}\nservice n{at:05} s {name} port=8080\n")
    });
    lines.collect()
}

struct Got {
    answers: usize,
    additionals: usize,
    truncated: bool,
    bytes: usize,
}

fn ask(world: &Server, name: &str, kind: Kind, transport: Transport, udp_size: Option<u16>) -> Got {
    let mut query = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0".to_vec();
    query.extend_from_slice(Name::parse(name).unwrap().wire());
    query.extend_from_slice(&kind.0.to_be_bytes());
    query.extend_from_slice(b"\0\x01");
    if let Some(size) = udp_size {
        query[11] = 1;
        query.extend_from_slice(b"\0\0\x29");
        query.extend_from_slice(&size.to_be_bytes());
        query.extend_from_slice(&[0; 6]);
    }
    let reply = world.exchange(transport, &query, 1).unwrap();
    let count = |at: usize| usize::from(u16::from_be_bytes([reply[at], reply[at + 1]]));
    Got {
        answers: count(6),
        additionals: count(10),
        truncated: reply[2] & 2 == 2,
        bytes: reply.len(),
    }
}

/// Consul's own table of 96 instances: so many answers to ANY, A and AAAA by the service's name.
#[test]
fn service_lookup_answer_limits() {
    for limit in [0_usize, 1, 2, 3, 4, 5, 6, 7, 8, 9, 20, 30] {
        let catalog = instances("api-tier", 96);
        let world = Server::of(World::read(&format!("set udp_answer_limit={limit}\n{catalog}")));
        for kind in [Kind::ANY, Kind::A, Kind::AAAA] {
            let got = ask(&world, "api-tier.service.consul", kind, Transport::Udp, None);
            assert_eq!(got.answers, limit.min(8), "{limit} {kind}");
            assert!(got.bytes <= 512);
        }
    }
}

/// The same table for names that are longer, where a plain client's 512 bytes leave room for fewer.
#[test]
fn long_names_leave_room_for_fewer_answers() {
    let uuid = "6d8f2d5e-8e5b-4e5c-9c5d-7b2f6a0f4b11";
    for (limit, a, aaaa) in [(5, 5, 5), (6, 6, 5), (7, 6, 5), (8, 6, 5), (20, 6, 5)] {
        let catalog = instances(uuid, 96);
        let world = Server::of(World::read(&format!("set udp_answer_limit={limit}\n{catalog}")));
        // Two bytes longer than Consul's `UUID.query.consul`, which changes nothing.
        let count = |kind| {
            ask(&world, &format!("{uuid}.service.consul"), kind, Transport::Udp, None).answers
        };
        assert_eq!((count(Kind::A), count(Kind::AAAA)), (a, aaaa), "{limit}");
    }
}

#[test]
fn service_lookup_large_responses() {
    let name = "this-is-a-very-very-very-very-very-long-name-for-a-service";
    let nodes = (0..4).map(|at| {
        format!("node foo{at} 10.1.1.{at}\nservice foo{at} s {name} port=12345 tags=master\n")
    });
    let world = Server::of(World::read(&format!(
        "set enable_truncate=true\n{}",
        nodes.collect::<String>()
    )));
    let got =
        ask(&world, &format!("_{name}._master.service.consul"), Kind::SRV, Transport::Udp, None);
    assert_eq!((got.answers, got.additionals, got.truncated, got.bytes), (2, 2, true, 212));
}

#[test]
fn service_lookup_a_record_limits() {
    let catalog: String = (0..10)
        .map(|at| format!("node n{at} 10.0.0.{at}\nservice n{at} s web port=8080\n"))
        .collect();
    for limit in 1..=6 {
        let world = Server::of(World::read(&format!("set a_record_limit={limit}\n{catalog}")));
        let count = |kind, transport, size| {
            ask(&world, "web.service.consul", kind, transport, size).answers
        };
        assert_eq!(count(Kind::A, Transport::Udp, None), limit.min(3));
        assert_eq!(count(Kind::A, Transport::Udp, Some(8192)), limit);
        assert_eq!(count(Kind::A, Transport::Tcp, None), limit);
        assert_eq!(count(Kind::SRV, Transport::Tcp, None), 10);
    }
}

#[test]
fn large_services_are_cut_to_what_fits() {
    let catalog: String = (0..4200)
        .map(|at| {
            format!(
                "node n{at:05} 10.{}.{}.1\nservice n{at:05} s web port=8080\n",
                at / 250,
                at % 250
            )
        })
        .collect();
    let world = Server::of(World::read(&format!("set enable_truncate=true\n{catalog}")));
    let got = |kind, transport, size| ask(&world, "web.service.consul", kind, transport, size);
    let tcp = got(Kind::A, Transport::Tcp, None);
    assert_eq!((tcp.answers, tcp.bytes, tcp.truncated), (4092, 65_508, true));
    let udp = got(Kind::A, Transport::Udp, Some(65_535));
    assert_eq!((udp.answers, udp.bytes, udp.truncated), (4088, 65_444, true));
    assert_eq!(got(Kind::A, Transport::Udp, Some(1232)).answers, 74);
    let srv = got(Kind::SRV, Transport::Tcp, None);
    assert_eq!((srv.answers, srv.additionals), (1024, 1024));
}

#[test]
fn trimming_takes_edns_and_texts_along() {
    let catalog: String = (0..20)
        .map(|at| {
            format!("node m{at} 10.2.0.{at} meta:k=v\nservice m{at} s many port={}\n", 7000 + at)
        })
        .collect();
    let world = Server::of(World::read(&catalog));
    let whole = ask(&world, "many.service.consul", Kind::A, Transport::Udp, Some(1232));
    assert_eq!((whole.answers, whole.additionals, whole.bytes), (20, 1, 368));
    let cut = ask(&world, "many.service.consul", Kind::SRV, Transport::Udp, Some(900));
    assert_eq!((cut.answers, cut.additionals, cut.truncated), (15, 15, false));
}

#[test]
fn the_clients_size_comes_back() {
    let world = Server::of(World::read("node n1 10.0.0.1"));
    let mut query =
        b"\0\x07\x01\0\0\x01\0\0\0\0\0\x01\x02n1\x04node\x06consul\0\0\x01\0\x01\0\0\x29\x30\x39"
            .to_vec();
    query.extend_from_slice(&[0, 0, 0x80, 0, 0, 0]);
    let reply = world.exchange(Transport::Udp, &query, 1).unwrap();
    assert!(
        reply.ends_with(b"\0\0\x29\x30\x39\0\0\0\0\0\0"),
        "12345 comes back, DO does not: {:?}",
        show(Some(&reply))
    );
}

/// Cuts to all answers, and shows what stays beside them.
fn kept(answers: &[(&str, Data)], additionals: &[(&str, Data)]) -> Vec<String> {
    let record = |(owner, data): &(&str, Data)| Record {
        owner: Name::parse(owner).unwrap(),
        ttl: 0,
        data: data.clone(),
    };
    let mut trim = Trim::new(Reply {
        header: Header::default(),
        question: None,
        answer: answers.iter().map(record).collect(),
        authority: Vec::new(),
        additional: additionals.iter().map(record).collect(),
        compress: true,
    });
    trim.keep(answers.len());
    let line = |record: &Record| format!("{} {}", record.owner, record.data.kind());
    trim.finish().additional.iter().map(line).collect()
}

fn srv(target: &str) -> Data {
    Data::Srv { priority: 1, weight: 1, port: 1, target: Name::parse(target).unwrap() }
}

fn a(last: u8) -> Data {
    Data::A([10, 0, 0, last].into())
}

fn cname(name: &str) -> Data {
    Data::Cname(Name::parse(name).unwrap())
}

#[test]
fn sync_extra() {
    let answers = [
        ("db.x", srv("ip-1.X")),
        ("db.x", srv("IP-2.x")),
        ("db.x", srv("ip-1.x")),
        ("db.x", srv("none.x")),
    ];
    let beside = [
        ("ip-2.x", a(2)),
        ("ip-1.x", cname("Real.x")),
        ("ip-1.x", a(9)),
        ("real.x", a(1)),
        ("ip-2.x", Data::text("k=v")),
        ("unused.x", a(3)),
    ];
    // The order is that of the answers; a name stands once, with its first record, case aside.
    assert_eq!(kept(&answers, &beside), ["ip-1.x. CNAME", "real.x. A", "ip-2.x. A"]);
    let circle = [("ip-1.x", cname("ip-2.x")), ("ip-2.x", cname("ip-1.x"))];
    assert_eq!(kept(&[("db.x", srv("ip-1.x"))], &circle), ["ip-1.x. CNAME", "ip-2.x. CNAME"]);
    assert!(kept(&[("db.x", a(1))], &beside).is_empty());
}

#[test]
fn compression_is_a_setting() {
    let catalog = instances("db", 6);
    let ask = |set: &str, name: &str, kind, size| {
        let world = Server::of(World::read(&format!("{set}\n{catalog}")));
        ask(&world, name, kind, Transport::Udp, size)
    };
    for (name, kind, size) in [
        ("db.service.consul", Kind::SRV, Some(4096)),
        ("db.service.consul", Kind::ANY, None),
        ("n00001.node.consul", Kind::AAAA, None),
        ("1.0.0.127.in-addr.arpa", Kind::PTR, None),
    ] {
        let short = ask("set disable_compression=false", name, kind, size);
        let long = ask("set disable_compression=true", name, kind, size);
        assert_eq!(
            (short.answers, short.additionals),
            (long.answers, long.additionals),
            "{name} {kind}"
        );
        assert!(short.bytes < long.bytes, "{name} {kind}");
    }
}

/// The last line of Consul's table: by the id of a prepared query.
#[test]
fn service_lookup_answer_limits_by_the_id_of_a_query() {
    for (limit, a, aaaa) in [(1, 1, 1), (5, 5, 5), (6, 6, 5), (7, 6, 5), (8, 6, 5), (9, 6, 5)] {
        let catalog = instances("api-tier", 96);
        let world = World::read(&format!(
            "set udp_answer_limit={limit}\n{catalog}\nprepared by-id api-tier"
        ));
        let query = world.index.resolve_query("by-id", "").unwrap().unwrap();
        let name = format!("{}.query.consul", query.row.record.id);
        let world = Server::of(world);
        let count = |kind| ask(&world, &name, kind, Transport::Udp, None).answers;
        assert_eq!((count(Kind::A), count(Kind::AAAA)), (a, aaaa), "{limit}");
    }
}
