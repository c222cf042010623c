use std::sync::Arc;

use proconsul_anchors::acl::Authority;
use proconsul_anchors::clock::Time;

use super::*;
use crate::question::Question;
use crate::record::{Kind, Rcode};
use crate::testing::world::World;

const WORLD: &str = "
node n1 10.0.0.1
node n2 10.0.0.2 tagged:lan_ipv6=fd00::2
service n1 web1 web port=8080 meta:public=true
service n2 web2 web port=8081 meta:public=true tags=edge
service n1 web3 web port=8082
service n1 db1 db port=5432
service n1 far1 far port=80 addr=host.example.net meta:public=true
service n1 odd1 odd_name port=80 meta:public=true
service n1 sick1 sick port=80 meta:public=true
check n1 sick1 critical
service n1 bare1 bare port=0 meta:public=true
";

fn public(names: &[&str], tags: &[&str], meta: &[(&str, &str)]) -> Public {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let pairs = meta.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Public { names: texts(names), tags: texts(tags), meta: pairs.collect() }
}

fn of_world(public: &Public) -> Content {
    let world = World::read(WORLD);
    let view = View {
        index: &world.index,
        datacenter: "dc1",
        authority: &Authority::open(),
        settings: &world.settings,
        now: Time(0),
        edns: true,
        source: None,
        beyond: None,
    };
    content(view, public)
}

fn bridge() -> Arc<Bridge> {
    Arc::new(Bridge {
        zone: Name::parse("corp.example").unwrap(),
        public: Public::default(),
        ttl: 30,
        name_servers: Vec::new(),
        mailbox: None,
        soa: SoaTimes::default(),
        owner: "dc1".into(),
        secondaries: vec!["10.0.0.9".parse().unwrap()],
    })
}

fn image(serial: u32) -> Image {
    let marked = public(&[], &[], &[("public", "true")]);
    Image::new(bridge(), &of_world(&marked), &["10.0.0.1".parse().unwrap()], serial)
}

#[test]
fn what_is_public_appears() {
    let marked = &[("public", "true")];
    for (public, expected) in [
        (public(&[], &[], marked), "0a000001.addr 0a000002.addr _far._tcp _web._tcp bare far web"),
        (public(&["we*"], &[], marked), "0a000001.addr 0a000002.addr _web._tcp web"),
        (public(&["*b"], &[], &[]), "0a000001.addr 0a000002.addr _db._tcp _web._tcp db web"),
        (public(&["WEB"], &["edge"], marked), "0a000002.addr _web._tcp web"),
        (public(&["sick", "odd_name"], &[], &[]), ""),
        (public(&[], &["nothing"], &[]), ""),
    ] {
        let names: Vec<Box<str>> = of_world(&public).into_keys().collect();
        let expected: Vec<&str> = expected.split_whitespace().collect();
        let mut names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        names.retain(|name| !name.starts_with("fd"));
        assert_eq!(names, expected, "{public:?}");
    }
}

#[test]
fn the_zone_answers() {
    let image = image(7);
    for (name, kind, expected) in [
        ("web.corp.example", Kind::A, "NoError A A |"),
        ("WEB.corp.example", Kind::ANY, "NoError A A AAAA |"),
        ("far.corp.example", Kind::A, "NoError CNAME |"),
        ("_web._tcp.corp.example", Kind::SRV, "NoError SRV SRV SRV | A A AAAA"),
        ("_proconsul.web.corp.example", Kind::TXT, "NoError TXT |"),
        ("corp.example", Kind::SOA, "NoError SOA |"),
        ("corp.example", Kind::NS, "NoError NS | A"),
        ("_tcp.corp.example", Kind::A, "NoError | SOA"),
        ("web.corp.example", Kind::TXT, "NoError | SOA"),
        ("sick.corp.example", Kind::A, "NxDomain | SOA"),
    ] {
        let question = Question { name: Name::parse(name).unwrap(), kind, class: 1 };
        let draft = image.answer(&question);
        let kinds = |records: &[crate::record::Record]| {
            records.iter().map(|record| record.data.kind().to_string()).collect::<Vec<_>>()
        };
        let mut shown = vec![format!("{:?}", draft.rcode)];
        shown.extend(kinds(&draft.answer));
        shown.push("|".to_owned());
        shown.extend(kinds(&draft.authority));
        shown.extend(kinds(&draft.additional));
        assert_eq!(shown.join(" "), expected, "{name} {kind}");
        assert!(draft.rcode == Rcode::NoError || draft.answer.is_empty());
    }
}

#[test]
fn a_zone_file_is_the_transfer_without_its_end() {
    let image = image(7);
    let text = image.to_string();
    let records = image.transfer();
    assert_eq!(records.first(), records.last());
    assert_eq!(text.lines().count(), records.len() - 1);
    let soa =
        "corp.example. 30 IN SOA ns.corp.example. hostmaster.corp.example. 7 3600 600 86400 0";
    assert_eq!(text.lines().next(), Some(soa));
    assert_eq!((Image::serial_in(&text), Image::serial_in("")), (Some(7), None));
    for line in [
        "web.corp.example. 30 IN A 10.0.0.1",
        "far.corp.example. 30 IN CNAME host.example.net.",
        "_web._tcp.corp.example. 30 IN SRV 1 1 8081 0a000002.addr.corp.example.",
        "_proconsul.web.corp.example. 30 IN TXT \"heritage=proconsul,owner=dc1\"",
        "ns.corp.example. 30 IN A 10.0.0.1",
    ] {
        assert!(text.lines().any(|there| there == line), "{line}\n{text}");
    }
    assert!(image.is_for("10.0.0.9".parse().ok()) && !image.is_for("10.0.0.8".parse().ok()));
}

#[test]
fn serial_numbers_rise() {
    for (before, seconds, expected) in [
        (0, 1000, 1000),
        (1000, 1000, 1001),
        (2000, 1000, 2001),
        (u32::MAX, 7, 7),
        (u32::MAX, 0, 0),
    ] {
        assert_eq!(next_serial(before, seconds), expected, "{before} {seconds}");
    }
}

#[test]
fn only_what_differs_is_told() {
    let facts = |text: &str| -> Content {
        let one = |(name, ip): (&str, &str)| {
            (Box::from(name), [Fact::Address(ip.parse().unwrap())].into())
        };
        text.split_whitespace().filter_map(|pair| pair.split_once('=')).map(one).collect()
    };
    for (have, want, expected) in [
        ("", "a=10.0.0.1", "Add a"),
        ("a=10.0.0.1", "a=10.0.0.1", ""),
        ("a=10.0.0.1", "a=10.0.0.2", "Replace a"),
        ("a=10.0.0.1 b=10.0.0.1", "b=10.0.0.1 c=10.0.0.1", "Remove a, Add c"),
    ] {
        let steps = steps(&facts(have), &facts(want));
        let shown: Vec<String> = steps
            .iter()
            .map(|step| match step {
                Step::Add(name, _) => format!("Add {name}"),
                Step::Replace(name, _) => format!("Replace {name}"),
                Step::Remove(name) => format!("Remove {name}"),
            })
            .collect();
        assert_eq!(shown.join(", "), expected, "{have} → {want}");
    }
}

#[test]
fn what_is_not_marked_is_somebody_elses() {
    let mine = owner_text("dc1");
    let address = || Fact::Address("10.0.0.1".parse().unwrap());
    let text = |text: &str| Fact::Other(text.into());
    let zone: Content = [
        ("web", address()),
        ("_proconsul.web", text(&mine)),
        ("_proconsul.left", text(&mine)),
        ("www", address()),
        ("db", address()),
        ("_proconsul.db", text(&owner_text("dc2"))),
        ("", text("SOA")),
    ]
    .map(|(name, fact)| (Box::from(name), [fact].into()))
    .into();
    let (ours, others) = divide(zone, &mine);
    let names: Vec<&str> = ours.keys().map(AsRef::as_ref).collect();
    let others: Vec<&str> = others.iter().map(AsRef::as_ref).collect();
    assert_eq!((names, others), (vec!["left", "web"], vec!["", "db", "www"]));
}
