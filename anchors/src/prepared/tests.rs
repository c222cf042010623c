use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::execute::Wanted;
use super::*;
use crate::acl::Authority;
use crate::change::{Change, Registration};
use crate::clock::Time;
use crate::index::Stamp;
use crate::record::{AnyRecord, Coordinate, RecordChange, When};
use crate::service::{Check, Checked, Node, Service, Status};

/// An index told in changes.
#[derive(Default)]
struct Scope {
    index: Index,
    seq: u64,
}

impl Scope {
    fn tell(&mut self, change: &Change) {
        self.seq += 1;
        let stamp = Stamp { revision: self.seq, seq: self.seq, at: Time(self.seq), salt: [7; 16] };
        assert_eq!(self.index.apply(&stamp, change).verdict, Ok(true));
    }

    fn put(&mut self, record: AnyRecord) {
        self.tell(&Change::Records(vec![RecordChange::Put { record, when: When::Always }]));
    }

    /// A node `number` away from the first, with one instance of `web`.
    fn node(&mut self, number: u8, status: &str, tags: &[&str]) {
        let name = format!("n{number}");
        let node = Node {
            name: name.as_str().into(),
            address: format!("10.0.0.{number}").into(),
            meta: pair("rack", if number < 3 { "left" } else { "right" }),
            ..Node::default()
        };
        let service = Service {
            id: "w".into(),
            name: "web".into(),
            tags: tags.iter().copied().collect(),
            ..Service::default()
        };
        let check = Check {
            id: "up".into(),
            status: Status::from(status),
            service: Some(Checked { id: "w".into(), ..Checked::default() }),
            ..Check::default()
        };
        self.tell(&Change::Register(Box::new(Registration {
            node,
            service: Some(service),
            checks: vec![check],
            ..Registration::default()
        })));
        self.put(AnyRecord::Coordinate(Box::new(Coordinate {
            node: name.as_str().into(),
            segment: "".into(),
            vec: vec![f64::from(number), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            error: 0.1,
            adjustment: 0.0,
            height: 0.0,
        })));
    }

    fn query(&mut self, id: &str, name: &str, template: bool) {
        let kind = if template { NAME_PREFIX_MATCH } else { "" };
        let query = PreparedQuery {
            id: id.into(),
            name: name.into(),
            template: Template { kind: kind.into(), ..Template::default() },
            service: ServiceQuery {
                service: if template { "${name.suffix}".into() } else { "web".into() },
                ..ServiceQuery::default()
            },
            ..PreparedQuery::default()
        };
        self.put(AnyRecord::PreparedQuery(Box::new(query)));
    }

    /// Three are well, one warns, one is down.
    fn five() -> Self {
        let mut scope = Self::default();
        scope.node(1, "passing", &["a"]);
        scope.node(2, "passing", &["a", "B"]);
        scope.node(3, "passing", &["b"]);
        scope.node(4, "warning", &["a"]);
        scope.node(5, "critical", &["a"]);
        scope
    }

    fn found(&self, query: &ServiceQuery, wanted: &Wanted<'_>, seed: u64) -> String {
        let service = ServiceQuery { service: "Web".into(), ..query.clone() };
        let query = PreparedQuery { service, ..PreparedQuery::default() };
        let mut chance = StdRng::seed_from_u64(seed);
        let found = query.execute(&self.index, &Authority::open(), wanted, &mut chance);
        let names: Vec<&str> =
            found.instances.iter().map(|(node, _)| node.node.name.as_str()).collect();
        names.join(" ")
    }
}

fn pair(key: &str, value: &str) -> Option<Pairs> {
    Some([(key, Box::from(value))].into_iter().collect())
}

fn texts(all: &[&str]) -> Option<Vec<Box<str>>> {
    Some(all.iter().map(|text| (*text).into()).collect())
}

#[test]
fn those_that_fit_are_found() {
    let scope = Scope::five();
    let query = ServiceQuery::default;
    for (query, expected) in [
        (query(), "n1 n2 n3 n4"),
        (ServiceQuery { only_passing: true, ..query() }, "n1 n2 n3"),
        (ServiceQuery { ignore_check_ids: texts(&["up"]), ..query() }, "n1 n2 n3 n4 n5"),
        (ServiceQuery { tags: texts(&["A"]), ..query() }, "n1 n2 n4"),
        (ServiceQuery { tags: texts(&["a", "b"]), ..query() }, "n2"),
        (ServiceQuery { tags: texts(&["a", "!b"]), ..query() }, "n1 n4"),
        (ServiceQuery { tags: texts(&[""]), ..query() }, ""),
        (ServiceQuery { node_meta: pair("rack", "right"), ..query() }, "n3 n4"),
        (ServiceQuery { service_meta: pair("v", "1"), ..query() }, ""),
        (ServiceQuery { connect: true, ..query() }, ""),
        (ServiceQuery { peer: "other".into(), ..query() }, ""),
    ] {
        let found = scope.found(&query, &Wanted::default(), 1);
        let mut names: Vec<&str> = found.split_whitespace().collect();
        names.sort_unstable();
        assert_eq!(names.join(" "), expected, "{query:?}");
    }
}

#[test]
fn the_nearest_come_first_and_others_in_any_order() {
    let scope = Scope::five();
    let near =
        |near: &'static str| Wanted { near, agent: "n4", ip: "10.0.0.3", ..Wanted::default() };
    for seed in 0..20 {
        let order = |wanted: Wanted<'_>| scope.found(&ServiceQuery::default(), &wanted, seed);
        assert_eq!(order(near("n1")), "n1 n2 n3 n4");
        assert_eq!(order(near("n5")), "n4 n3 n2 n1", "a node that is down is a place, too");
        assert_eq!(order(near("_agent")), "n4 n3 n2 n1");
        let by_ip = order(near("_ip"));
        assert!(by_ip.starts_with("n3 ") && by_ip.ends_with(" n1"), "{by_ip}");
        assert_eq!(order(Wanted { limit: 2, ..near("n1") }), "n1 n2");
    }
    let orders: std::collections::BTreeSet<String> = (0..200)
        .map(|seed| scope.found(&ServiceQuery::default(), &Wanted::default(), seed))
        .collect();
    assert_eq!(orders.len(), 24, "every order comes up");
}

#[test]
fn failing_over_finds_nobody_and_counts_peers() {
    let scope = Scope::default();
    let target =
        |peer: &str, datacenter: &str| Target { peer: peer.into(), datacenter: datacenter.into() };
    for (failover, expected) in [
        (Failover::default(), (0, "dc1", "")),
        (Failover { nearest_n: 3, ..Failover::default() }, (0, "dc1", "")),
        (Failover { datacenters: texts(&["dc2"]), ..Failover::default() }, (0, "dc1", "")),
        (
            Failover { targets: Some(vec![target("", "dc2")]), ..Failover::default() },
            (0, "dc1", ""),
        ),
        (
            Failover {
                targets: Some(vec![target("p", ""), target("", "dc2"), target("q", "")]),
                ..Failover::default()
            },
            (2, "", "q"),
        ),
    ] {
        let service = ServiceQuery { failover, ..ServiceQuery::default() };
        let query = PreparedQuery { service, ..PreparedQuery::default() };
        let wanted = Wanted { datacenter: "dc1", ..Wanted::default() };
        let mut chance = StdRng::seed_from_u64(0);
        let found = query.execute(&scope.index, &Authority::open(), &wanted, &mut chance);
        let told = (found.failovers, &*found.datacenter, &*found.peer);
        assert_eq!(told, expected, "{query:?}");
    }
}

#[test]
fn a_query_is_found_by_id_by_name_and_by_the_longest_beginning() {
    const ID: &str = "aaaaaaaa-2222-3333-4444-555555555555";
    const TEMPLATE: &str = "bbbbbbbb-2222-3333-4444-555555555555";
    let mut scope = Scope::default();
    scope.query(ID, "Geo-one", false);
    scope.query(TEMPLATE, "geo-", true);
    scope.query("longer", "geo-db-", true);
    scope.query("any", "", true);
    let resolve = |text: &str| match scope.index.resolve_query(text, "") {
        Ok(Some(found)) => format!("{} {}", found.row.record.id, found.query.service.service),
        Ok(None) => "none".to_owned(),
        Err(why) => why.to_string(),
    };
    for (text, expected) in [
        (ID, format!("{ID} web")),
        (&ID.to_uppercase(), format!("{ID} web")),
        (TEMPLATE, "prepared query templates can only be resolved up by name, not by ID".into()),
        ("geo-one", format!("{ID} web")),
        ("GEO-ONE", format!("{ID} web")),
        ("geo-two", format!("{TEMPLATE} two")),
        ("geo-db-Main", "longer Main".into()),
        ("geo-", format!("{TEMPLATE} ")),
        ("ge", "any ge".into()),
        ("größe", "any größe".into()),
        ("", "none".into()),
    ] {
        assert_eq!(resolve(text), expected, "{text}");
    }
}

#[test]
fn what_a_name_holds_goes_into_every_text() {
    let template = |regexp: &str, remove_empty_tags| Template {
        kind: NAME_PREFIX_MATCH.into(),
        regexp: regexp.into(),
        remove_empty_tags,
    };
    let service = ServiceQuery {
        service: "${match(1)}".into(),
        near: "${agent.segment}".into(),
        tags: texts(&["${match(2)}", "${match(3)}", "${name.prefix}"]),
        node_meta: pair("${name.full}", "${name.full}"),
        ..ServiceQuery::default()
    };
    let query = PreparedQuery {
        name: "p-".into(),
        template: template("^p-(.*?)-(.*?)$", false),
        service,
        ..PreparedQuery::default()
    };
    assert_eq!(query.check_template(), Ok(()));
    let filled = query.rendered("p-web-blue", "east").unwrap().service;
    assert_eq!((&*filled.service, &*filled.near), ("web", "east"));
    assert_eq!(filled.tags, texts(&["blue", "", "p-"]));
    assert_eq!(filled.node_meta, pair("${name.full}", "p-web-blue"));
    let tidy = PreparedQuery { template: template("^p-(.*?)-(.*?)$", true), ..query };
    assert_eq!(tidy.rendered("p-web-blue", "").unwrap().service.tags, texts(&["blue", "p-"]));
    assert_eq!(tidy.rendered("p-none", "").unwrap().service.tags, texts(&["p-"]));
}

#[test]
fn a_template_that_cannot_be_filled_in_is_refused() {
    let query = |kind: &str, regexp: &str, service: &str| PreparedQuery {
        template: Template { kind: kind.into(), regexp: regexp.into(), remove_empty_tags: false },
        service: ServiceQuery { service: service.into(), ..ServiceQuery::default() },
        ..PreparedQuery::default()
    };
    for (query, expected) in [
        (query("", "(", "${"), ""),
        (query(NAME_PREFIX_MATCH, "", "${name.full}"), ""),
        (query("other", "", ""), "Bad Template.Type 'other'"),
        (query(NAME_PREFIX_MATCH, "(", "x"), "Bad Regexp: "),
        (
            query(NAME_PREFIX_MATCH, "", "${name.full"),
            "Bad format '${name.full' in Service.Service: ",
        ),
        (
            query(NAME_PREFIX_MATCH, "", "${nope}"),
            "Bad evaluation for '${nope}' in Service.Service: ",
        ),
    ] {
        let told = query.check_template().err().map(|why| why.to_string()).unwrap_or_default();
        assert!(told.starts_with(expected) && told.is_empty() == expected.is_empty(), "{told}");
    }
}
