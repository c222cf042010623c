use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;
use crate::change::{Change, KvChange, PutWhen, Registration, Removal};
use crate::clock::Time;
use crate::index::Stamp;
use crate::query::Query;
use crate::record::{AnyRecord, When};
use crate::scope::NameRange;
use crate::service::Node;

fn path(text: &str) -> ScopePath {
    ScopePath::parse(text).unwrap()
}

/// `-` is the datacenter's own.
fn scope_of(text: &str) -> Option<ScopePath> {
    (text != "-").then(|| path(text))
}

/// `scope dc1/a pay* instances=2`, `-scope dc1/a`, `reg n1 w1 web dc1/a`, `-reg n1 w1`, `-node n1`, `put k v dc1/a`,
/// `del k`, `deltree k`.
fn change(line: &str) -> Change {
    let words: Vec<&str> = line.split_whitespace().collect();
    match *words.as_slice() {
        ["scope", at, ref rest @ ..] => Change::Records(vec![record(at, rest)]),
        ["-scope", at] => Change::Records(vec![RecordChange::Remove {
            table: TableId::Scope,
            key: at.into(),
            when: When::Always,
        }]),
        ["reg", node, id, name, scope] => Change::Register(Box::new(Registration {
            node: Node { name: node.into(), ..Node::default() },
            service: Some(Service { id: id.into(), name: name.into(), ..Service::default() }),
            scope: scope_of(scope),
            ..Registration::default()
        })),
        ["-reg", node, id] => {
            Change::Deregister(Removal::Service { node: node.into(), id: id.into() })
        }
        ["-node", node] => Change::Deregister(Removal::Node { node: node.into() }),
        ["put", key, value, scope] => Change::Kv(KvChange::Put {
            key: key.into(),
            value: value.into(),
            flags: 0,
            when: PutWhen::Always,
            scope: scope_of(scope),
        }),
        ["del", key] => Change::Kv(KvChange::Delete { key: key.into(), cas: None }),
        ["deltree", prefix] => Change::Kv(KvChange::DeleteTree { prefix: prefix.into() }),
        _ => panic!("no change: {line}"),
    }
}

fn record(at: &str, rest: &[&str]) -> RecordChange {
    let mut scope = Scope { path: path(at), ..Scope::default() };
    for word in rest {
        match word.split_once('=') {
            Some(("instances", most)) => scope.budget.instances = most.parse().ok(),
            Some(("services", most)) => scope.budget.services = most.parse().ok(),
            Some(("kv", most)) => scope.budget.kv_bytes = most.parse().ok(),
            Some(_) => panic!("no field: {word}"),
            None => scope.services.push(NameRange::parse(word)),
        }
    }
    RecordChange::Put { record: AnyRecord::Scope(Box::new(scope)), when: When::Always }
}

/// What a line was answered: nothing where it was carried out.
fn tell(index: &mut Index, line: &str) -> String {
    let revision = index.revision() + 1;
    let stamp = Stamp { revision, seq: revision, at: Time(0), salt: [7; 16] };
    match index.apply(&stamp, &change(line)).verdict {
        Ok(_) => String::new(),
        Err(refusal) => refusal.to_string(),
    }
}

/// Lines, each with `=> refusal` where it is refused.
fn check(history: &str) -> Index {
    let mut index = Index::new();
    for line in history.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (said, expected) = line.split_once(" => ").unwrap_or((line, ""));
        assert_eq!(tell(&mut index, said), expected, "{said}");
    }
    index
}

#[test]
fn a_name_has_one_owner() {
    check(
        "reg n1 a old -
         scope dc1/pay pay*
         scope dc1/web
         reg n1 p pay-api dc1/pay
         reg n2 p PAY-api dc1/web => service name PAY-api belongs to scope dc1/pay
         reg n2 p pay-api - => service name pay-api belongs to scope dc1/pay
         reg n1 w web dc1/web
         reg n2 w web dc1/web
         reg n3 w web dc1/pay => service name web belongs to scope dc1/web
         reg n3 w web - => service name web belongs to scope dc1/web
         reg n2 a old dc1/web => service name old belongs to scope dc1
         reg n1 a old dc1/web
         reg n1 w web dc1/pay => service name web belongs to scope dc1/web
         -reg n1 w
         -reg n2 w
         reg n1 w web dc1/pay",
    );
}

#[test]
fn a_service_that_only_changes_its_owner_moves_no_index() {
    let mut index = check("reg n1 w web -");
    let services = Query::Services { by_node_meta: false };
    let queries = [Query::Service("web".into()), services, Query::Nodes];
    let indexes = |index: &Index| queries.clone().map(|query| index.index_of(&query));
    let before = indexes(&index);
    for line in ["scope dc1/web web", "reg n1 w web dc1/web"] {
        assert_eq!(tell(&mut index, line), "");
    }
    assert_eq!((indexes(&index), index.usage(&path("dc1/web")).instances), (before, 1));
    let row = index.service("web").unwrap().instances.values().next().unwrap();
    assert_eq!(row.scope, Some(path("dc1/web")));
    let mut rows: Vec<_> = index.rows().map(|(id, value)| (id.to_key(), value)).collect();
    rows.sort();
    assert_eq!(Index::restore(rows).unwrap().usage(&path("dc1/web")).instances, 1);
}

#[test]
fn a_budget_is_not_exceeded() {
    let index = check(
        "scope dc1/a instances=2 services=1
         scope dc1/a/b instances=1
         reg n1 x x dc1/a
         reg n2 x x dc1/a
         reg n2 x x dc1/a
         reg n3 x x dc1/a => scope dc1/a refuses by rule budget/instances
         reg n1 y y dc1/a/b => scope dc1/a refuses by rule budget/instances
         -reg n1 x
         reg n1 y y dc1/a/b => scope dc1/a refuses by rule budget/services
         -reg n2 x
         reg n1 y y dc1/a/b
         reg n2 y y dc1/a/b => scope dc1/a/b refuses by rule budget/instances
         scope dc1/k kv=10
         put ab 12345678 dc1/k
         put ab 123456789 dc1/k => scope dc1/k refuses by rule budget/kv_bytes
         put ab 1 dc1/k
         put cd 12345 dc1/k
         put e 1 dc1/k => scope dc1/k refuses by rule budget/kv_bytes
         scope dc1/k kv=3
         put cd 1 dc1/k
         put cd 12345 dc1/k => scope dc1/k refuses by rule budget/kv_bytes
         deltree a
         put cd 1 dc1/k",
    );
    assert_eq!(
        index.usage(&path("dc1/k")),
        Usage { services: 0, instances: 0, keys: 1, kv_bytes: 3 }
    );
    assert_eq!(
        index.usage(&path("dc1/a")),
        Usage { services: 1, instances: 1, keys: 0, kv_bytes: 0 }
    );
    assert_eq!(
        index.usage(&path("dc1")),
        Usage { services: 1, instances: 1, keys: 1, kv_bytes: 3 }
    );
    check(
        "scope dc1 instances=1
         reg n1 x x -
         reg n2 x x - => scope dc1 refuses by rule budget/instances",
    );
}

#[test]
fn records_that_do_not_fit_are_not_kept() {
    let index = check(
        "scope dc1/a/b => scope dc1/a/b: there is no scope dc1/a that it could lie under; write that one first
         scope dc1/a x
         scope dc2/c => scope dc2/c: its first label must be this datacenter's name, dc1
         scope dc1/c x => scope dc1/c: services \"x\" has names of scope dc1/a, \"x\": a name has one owner
         scope dc1/c
         scope dc1/a/b
         -scope dc1/a => scope dc1/a/b: there is no scope dc1/a that it could lie under; write that one first
         reg n1 y y dc1/c
         scope dc1/a x y => scope dc1/a: instances of service y belong to scope dc1/c; deregister them first
         -scope dc1/c => scope dc1/c has 1 instances of services; deregister them first
         -reg n1 y
         -scope dc1/c
         -scope dc1/c",
    );
    let paths: Vec<_> = index.records::<Scope>().map(|row| row.record.path.to_string()).collect();
    assert_eq!(paths, ["dc1/a", "dc1/a/b"]);
}

/// By a look at everything that is there.
fn recount(index: &Index, of: &ScopePath) -> Usage {
    let inside = |scope: &Option<ScopePath>| is_inside(scope.as_ref(), of);
    let instances = index.services().flat_map(|row| row.instances.values());
    let instances: Vec<_> = instances.filter(|row| inside(&row.scope)).collect();
    let names: BTreeSet<_> = instances.iter().map(|row| row.service.name.clone()).collect();
    let keys: Vec<_> = index.keys("").filter(|row| inside(&row.scope)).collect();
    Usage {
        services: names.len() as u64,
        instances: instances.len() as u64,
        keys: keys.len() as u64,
        kv_bytes: keys.iter().map(|row| bytes_of(row)).sum(),
    }
}

#[test]
fn what_is_counted_is_what_is_there() {
    let scopes = ["dc1", "dc1/a", "dc1/a/b", "dc1/c"];
    for seed in 0..60 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut index = check("scope dc1/a one*\nscope dc1/a/b one-b\nscope dc1/c instances=3");
        for _ in 0..150 {
            let mut any = |all: &[&str]| all[rng.random_range(0..all.len())].to_owned();
            let node = any(&["n1", "n2", "n3"]);
            let id = any(&["i1", "i2", "i3"]);
            let name = any(&["one", "one-b", "two", "three"]);
            let scope = any(&["-", "dc1/a", "dc1/a/b", "dc1/c"]);
            let key = any(&["k", "k/a", "k/b", "l"]);
            let value = any(&["1", "22", "333"]);
            let line =
                any(&["reg", "reg", "reg", "reg", "-reg", "-node", "put", "put", "del", "deltree"]);
            tell(
                &mut index,
                &match &*line {
                    "reg" => format!("reg {node} {id} {name} {scope}"),
                    "-reg" => format!("-reg {node} {id}"),
                    "-node" => format!("-node {node}"),
                    "put" => format!("put {key} {value} {scope}"),
                    other => format!("{other} {key}"),
                },
            );
            for at in scopes.map(path) {
                assert_eq!(index.usage(&at), recount(&index, &at), "{seed}: {at} after {line}");
            }
        }
        let mut rows: Vec<_> = index.rows().map(|(id, value)| (id.to_key(), value)).collect();
        rows.sort();
        let restored = Index::restore(rows).unwrap();
        for at in scopes.map(path) {
            assert_eq!(restored.usage(&at), index.usage(&at), "{seed}: {at} read back");
        }
    }
}
