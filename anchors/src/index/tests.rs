//! The index told in lines: a history, one more change, and which reads it moves.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;
use crate::change::{Change, KvChange, Note, PutWhen, Registration, Removal};
use crate::error::{Misfit, TxnFault};
use crate::prepared::PreparedQuery;
use crate::query::Query;
use crate::record::{AnyRecord, Coordinate, RecordChange, TableId, When};
use crate::service::{Behavior, Check, Checked, Node, Service, Session, Status};
use crate::txn::{CheckOp, KeyOp, KeyVerb, NodeOp, ServiceOp, TxnOp, Verb};

/// An index and the stamps that it was given.
#[derive(Default)]
struct Scope {
    index: Index,
    seq: u64,
}

impl Scope {
    fn told(history: &str) -> Self {
        let mut scope = Self::default();
        for line in history.lines().map(str::trim).filter(|line| !line.is_empty()) {
            scope.tell(line);
        }
        scope
    }

    fn tell(&mut self, line: &str) -> Applied {
        let change = change(line);
        self.seq += 1;
        let at = Time(self.seq * 1_000_000_000);
        let stamp = Stamp { revision: self.seq, seq: self.seq - 1, at, salt: [7; 16] };
        self.index.apply(&stamp, &change)
    }
}

/// A change as a line: `service n1 web1 web v1`, `check n1 c1 passing web1`, `-node n1`, `put k v`, `lock k s1 v` …
fn change(line: &str) -> Change {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["txn", ..] => Change::Txn(line[3..].split(';').map(|op| op_of(change(op))).collect()),
        ["node", name, address] => register(name, address, |_| {}),
        ["service", node, id, name, tags @ ..] => {
            register(node, "", |reg| reg.service = Some(service(id, name, tags)))
        }
        ["check", node, id, status] => {
            register(node, "", |reg| reg.checks = vec![check(id, status, None)])
        }
        ["check", node, id, status, of] => {
            register(node, "", |reg| reg.checks = vec![check(id, status, Some(of))])
        }
        ["note", name] => {
            Change::Note(Note::Fallback { service: (*name).into(), source: "old".into() })
        }
        ["-node", node] => Change::Deregister(Removal::Node { node: (*node).into() }),
        ["-service", node, id] => {
            Change::Deregister(Removal::Service { node: (*node).into(), id: (*id).into() })
        }
        ["-check", node, id] => {
            Change::Deregister(Removal::Check { node: (*node).into(), id: (*id).into() })
        }
        ["put", key, value] => put(key, value, PutWhen::Always),
        ["cas", key, value, index] => put(key, value, PutWhen::Index(index.parse().unwrap())),
        ["lock", key, session, value] => put(key, value, PutWhen::Acquire((*session).into())),
        ["unlock", key, session, value] => put(key, value, PutWhen::Release((*session).into())),
        ["del", key] => Change::Kv(KvChange::Delete { key: (*key).into(), cas: None }),
        ["deltree", prefix] => Change::Kv(KvChange::DeleteTree { prefix: (*prefix).into() }),
        ["session", node, id, checks @ ..] => {
            Change::OpenSession(Box::new(session(node, id, checks)))
        }
        ["-session", id] => Change::CloseSession { id: (*id).into() },
        ["query", id, name] => query(id, name, ""),
        ["query", id, name, session] => query(id, name, session),
        ["-query", id] => Change::Records(vec![RecordChange::Remove {
            table: TableId::PreparedQuery,
            key: (*id).into(),
            when: When::Always,
        }]),
        ["coordinate", node, height] => coordinate(node, height.parse().unwrap()),
        other => panic!("no such change: {other:?}"),
    }
}

/// The same write as an operation of a transaction.
fn op_of(change: Change) -> TxnOp {
    let key = |verb, key: Box<str>| KeyOp { verb, key, ..KeyOp::default() };
    match change {
        Change::Kv(KvChange::Put { key: name, value, when, .. }) => {
            let (verb, index, session) = match when {
                PutWhen::Always => (KeyVerb::Set, 0, "".into()),
                PutWhen::Index(index) => (KeyVerb::Cas, index, "".into()),
                PutWhen::Acquire(session) => (KeyVerb::Lock, 0, session),
                PutWhen::Release(session) => (KeyVerb::Unlock, 0, session),
            };
            TxnOp::Key(KeyOp { value, index, session, ..key(verb, name) })
        }
        Change::Kv(KvChange::Delete { key: name, .. }) => TxnOp::Key(key(KeyVerb::Delete, name)),
        Change::Kv(KvChange::DeleteTree { prefix }) => TxnOp::Key(key(KeyVerb::DeleteTree, prefix)),
        Change::Register(registration) => written(*registration),
        Change::Deregister(removal) => removed(removal),
        other => panic!("no operation: {other:?}"),
    }
}

fn written(registration: Registration) -> TxnOp {
    let Registration { node, service, mut checks, .. } = registration;
    let verb = Verb::Set;
    match (service, checks.pop()) {
        (Some(service), _) => TxnOp::Service(Box::new(ServiceOp {
            verb,
            node: node.name,
            service,
            ..ServiceOp::default()
        })),
        (None, Some(check)) => {
            TxnOp::Check(Box::new(CheckOp { verb, node: node.name, check, index: 0 }))
        }
        (None, None) => TxnOp::Node(Box::new(NodeOp { verb, node, index: 0 })),
    }
}

fn removed(removal: Removal) -> TxnOp {
    let verb = Verb::Delete;
    match removal {
        Removal::Node { node } => {
            let node = Node { name: node, ..Node::default() };
            TxnOp::Node(Box::new(NodeOp { verb, node, index: 0 }))
        }
        Removal::Service { node, id } => {
            let service = Service { id, ..Service::default() };
            TxnOp::Service(Box::new(ServiceOp { verb, node, service, ..ServiceOp::default() }))
        }
        Removal::Check { node, id } => {
            let check = Check { id, ..Check::default() };
            TxnOp::Check(Box::new(CheckOp { verb, node, check, index: 0 }))
        }
    }
}

/// An empty address leaves the node as it is.
fn register(node: &str, address: &str, more: impl FnOnce(&mut Registration)) -> Change {
    let node = Node { name: node.into(), address: address.into(), ..Node::default() };
    let mut registration =
        Registration { node, skip_node_update: address.is_empty(), ..Registration::default() };
    more(&mut registration);
    Change::Register(Box::new(registration))
}

fn service(id: &str, name: &str, tags: &[&str]) -> Service {
    Service {
        id: id.into(),
        name: name.into(),
        tags: tags.iter().copied().collect(),
        ..Service::default()
    }
}

fn check(id: &str, status: &str, of: Option<&str>) -> Check {
    let service = of.map(|id| Checked { id: id.into(), ..Checked::default() });
    Check {
        id: id.into(),
        name: id.into(),
        status: Status::from(status),
        service,
        ..Check::default()
    }
}

fn put(key: &str, value: &str, when: PutWhen) -> Change {
    Change::Kv(KvChange::Put { key: key.into(), value: value.into(), flags: 0, when, scope: None })
}

fn session(node: &str, id: &str, checks: &[&str]) -> Session {
    Session {
        id: id.into(),
        name: "".into(),
        node: node.into(),
        lock_delay: Duration::from_secs(15),
        behavior: if id.starts_with("del") { Behavior::Delete } else { Behavior::Release },
        ttl: "".into(),
        node_checks: Some(checks.iter().map(|id| (*id).into()).collect()),
        service_checks: None,
        checks: None,
    }
}

fn query(id: &str, name: &str, session: &str) -> Change {
    let query = PreparedQuery {
        id: id.into(),
        name: name.into(),
        session: session.into(),
        ..PreparedQuery::default()
    };
    let record = AnyRecord::PreparedQuery(Box::new(query));
    Change::Records(vec![RecordChange::Put { record, when: When::Always }])
}

fn coordinate(node: &str, height: f64) -> Change {
    let coordinate = Coordinate {
        node: node.into(),
        segment: "".into(),
        vec: vec![0.0; 8],
        error: 1.5,
        adjustment: 0.0,
        height,
    };
    let record = AnyRecord::Coordinate(Box::new(coordinate));
    Change::Records(vec![RecordChange::Put { record, when: When::Always }])
}

/// The reads that the tests look at, by short names.
fn reads() -> BTreeMap<&'static str, Query> {
    BTreeMap::from([
        ("nodes", Query::Nodes),
        ("node:n1", Query::Node("n1".into())),
        ("services", Query::Services { by_node_meta: false }),
        ("web", Query::Health("web".into())),
        ("db", Query::Health("db".into())),
        ("checks", Query::Checks { by_node_meta: false }),
        ("key:a/b", Query::Key("a/b".into())),
        ("keys:a/", Query::Keys("a/".into())),
        ("keys:x/", Query::Keys("x/".into())),
        ("sessions", Query::Sessions),
        ("queries", Query::Table(TableId::PreparedQuery)),
        ("coordinates", Query::Table(TableId::Coordinate)),
    ])
}

const TWO: &str = "
    node n1 10.0.0.1
    node n2 10.0.0.2
    service n1 web1 web v1
    service n2 db1 db
    check n1 alive passing
    check n1 web-up passing web1
    put a/b 1
    put x/y 1
    session n1 s1 alive";

/// Which reads the change moves, after the history [`TWO`].
fn check_moves(line: &str, moved: &str) {
    let mut scope = Scope::told(TWO);
    let before = scope.index.clone();
    scope.tell(line);
    let reads = reads();
    let seen: Vec<&str> = reads
        .iter()
        .filter(|(_, query)| before.index_of(query) != scope.index.index_of(query))
        .map(|(name, _)| *name)
        .collect();
    assert_eq!(seen.join(" "), moved, "{line}");
}

#[test]
fn a_change_moves_the_reads_that_show_it_and_those_that_consul_moves() {
    check_moves("node n3 10.0.0.3", "nodes");
    check_moves("node n1 10.0.0.9", "node:n1 nodes web");
    check_moves("service n1 web1 web v2", "node:n1 nodes services web");
    check_moves("service n2 web2 web", "nodes services web");
    check_moves("check n1 web-up critical web1", "checks web");
    check_moves("check n1 alive warning", "checks web");
    check_moves("-check n1 alive", "checks services sessions web");
    check_moves("-service n2 db1", "checks db nodes services");
    check_moves("put a/b 2", "key:a/b keys:a/");
    check_moves("put a/c 2", "keys:a/");
    check_moves("del a/b", "key:a/b keys:a/");
    check_moves("deltree a", "key:a/b keys:a/");
    check_moves("session n1 s2", "sessions");
    check_moves("-session s1", "sessions");
    check_moves("query q1 web", "queries");
    check_moves("coordinate n1 0.1", "coordinates");
}

#[test]
fn a_write_that_changes_nothing_moves_nothing() {
    for line in [
        "node n1 10.0.0.1",
        "service n1 web1 web v1",
        "check n1 web-up passing web1",
        "put a/b 1",
        "cas a/b 9 3",
        "del nothing",
        "deltree nothing/",
        "-node nobody",
        "-service n1 nothing",
        "-session nothing",
        "unlock a/b s1 v",
        "-query nothing",
        "coordinate nobody 0.1",
        "note web",
    ] {
        check_moves(line, "");
    }
}

#[test]
fn a_uid_lasts_until_deregistration() {
    let mut scope = Scope::told(TWO);
    let first = scope.index.node("n1").unwrap().services.get("web1").unwrap().uid;
    let again = scope.tell("service n1 web1 web v2");
    assert_eq!((again.uid, again.previous), (Some(first), Some(2)));
    let gone = scope.tell("-service n1 web1");
    assert_eq!((gone.uid, gone.previous), (Some(first), Some(9)));
    let anew = scope.tell("service n1 web1 web v1");
    assert_ne!(anew.uid, Some(first));
    assert_eq!(anew.previous, None);
    assert_eq!(anew.uid.map(|uid| uid.get_version_num()), Some(7));
}

#[test]
fn a_check_that_turns_critical_ends_the_session_and_frees_its_keys() {
    let mut scope = Scope::told(TWO);
    assert_eq!(scope.tell("lock a/b s1 mine").verdict, Ok(true));
    assert_eq!(scope.tell("lock a/b s1 again").verdict, Ok(true));
    assert_eq!(scope.index.key("a/b").unwrap().lock_index, 1);
    let applied = scope.tell("check n1 alive critical");
    assert_eq!(applied.touched.freed, [("a/b".into(), Duration::from_secs(15))]);
    assert!(scope.index.session("s1").is_none());
    assert!(scope.index.key("a/b").unwrap().session.is_none());
}

#[test]
fn a_session_that_deletes_takes_its_keys_along() {
    let mut scope = Scope::told(TWO);
    scope.tell("session n2 del");
    scope.tell("lock a/b del mine");
    scope.tell("-node n2");
    assert!(scope.index.key("a/b").is_none());
    assert!(scope.index.service("db").is_none());
}

#[test]
fn refusals_name_their_reason() {
    let mut scope = Scope::told(TWO);
    for (line, refusal) in [
        ("check n1 c passing nothing", "node n1 has no service nothing for check c"),
        ("session nobody s9", "node nobody is not registered"),
        ("session n1 s9 nothing", "check nothing is not registered"),
        ("lock a/b nobody v", "session nobody does not exist"),
        ("query q1 web nobody", "session nobody does not exist"),
    ] {
        assert_eq!(scope.tell(line).verdict.unwrap_err().to_string(), refusal, "{line}");
    }
}

#[test]
fn what_hangs_on_others_goes_with_them() {
    let left = |line: &str| {
        let mut scope = Scope::told(TWO);
        for before in ["query q1 web s1", "query q2 db", "coordinate n1 0.1", "coordinate n2 0.2"] {
            assert_eq!(scope.tell(before).verdict, Ok(true), "{before}");
        }
        scope.tell(line);
        let queries = scope.index.records::<PreparedQuery>().map(|row| row.record.id.to_string());
        let nodes = scope.index.records::<Coordinate>().map(|row| row.record.node.to_string());
        queries.chain(nodes).collect::<Vec<_>>().join(" ")
    };
    for (line, expected) in [
        ("put a 1", "q1 q2 n1 n2"),
        ("-session s1", "q2 n1 n2"),
        ("check n1 alive critical", "q2 n1 n2"),
        ("-node n1", "q2 n2"),
        ("-node N2", "q1 q2 n1"),
        ("txn -node n1 ; -node n2", "q2"),
    ] {
        assert_eq!(left(line), expected, "{line}");
    }
}

#[test]
fn no_two_queries_answer_to_one_name() {
    const ID: &str = "11111111-2222-3333-4444-555555555555";
    let mut scope = Scope::told(&format!("query q1 web\n query {ID} db"));
    let (taken, id) = ("WEB", ID);
    for (line, expected) in [
        ("query q2 other".to_owned(), Ok(true)),
        ("query q1 Web".to_owned(), Ok(true)),
        (
            format!("query q2 {taken}"),
            Err(Refusal::NameTaken { table: TableId::PreparedQuery, name: taken.into() }),
        ),
        (format!("query q2 {id}"), Err(Refusal::NameIsId(id.into()))),
    ] {
        assert_eq!(scope.tell(&line).verdict, expected, "{line}");
    }
}

#[test]
fn a_transaction_is_carried_out_whole() {
    let mut scope = Scope::told(TWO);
    let applied = scope
        .tell("txn put a/b 2 ; lock a/c s1 v ; service n2 w web ; check n2 c passing w ; -node n1");
    assert_eq!(applied.verdict, Ok(true));
    assert_eq!(applied.results.len(), 4);
    assert!(scope.index.node("n1").is_none());
    assert!(scope.index.key("a/c").unwrap().session.is_none(), "its session went with the node");
    assert_eq!(applied.touched.freed, [("a/c".into(), Duration::from_secs(15))]);
    assert_eq!(scope.index.service("web").unwrap().instances.len(), 1);
}

#[test]
fn a_transaction_of_which_one_fails_changes_nothing_and_tells_all_that_failed() {
    let mut scope = Scope::told(TWO);
    let before: Vec<_> = scope.index.rows().filter(|(id, _)| *id != RowId::Marks).collect();
    let applied =
        scope.tell("txn put a/b 2 ; cas x/y 2 1 ; lock a/b nobody v ; -node n1 ; service n9 w web");
    let faults = vec![
        TxnFault { op: 1, why: Misfit::StaleKey("x/y".into()) },
        TxnFault { op: 2, why: Refusal::UnknownSession("nobody".into()).into() },
        TxnFault { op: 4, why: Refusal::UnknownNode("n9".into()).into() },
    ];
    assert_eq!(applied.verdict, Err(Refusal::Txn(faults)));
    assert!(applied.touched.keys.is_empty() && applied.results.is_empty());
    let after: Vec<_> = scope.index.rows().filter(|(id, _)| *id != RowId::Marks).collect();
    assert_eq!(before, after);
}

#[test]
fn a_prefix_does_not_fall_when_its_last_key_goes() {
    let mut scope = Scope::told(TWO);
    let query = Query::Keys("a/".into());
    let before = scope.index.index_of(&query);
    scope.tell("del a/b");
    assert!(scope.index.index_of(&query) > before);
    let after = scope.index.index_of(&query);
    scope.tell("put unrelated 1");
    assert_eq!(scope.index.index_of(&query), after);
}

/// A seeded history over few names, so that things collide.
fn random_line(rng: &mut StdRng) -> String {
    if rng.random_range(0..8) > 0 {
        return random_change(rng);
    }
    let ops: Vec<String> = (0..rng.random_range(1..5))
        .map(|_| random_change(rng))
        .filter(|op| !["session", "query", "coordinate"].iter().any(|word| op.contains(word)))
        .collect();
    if ops.is_empty() { "put a 0".to_owned() } else { format!("txn {}", ops.join(" ; ")) }
}

fn random_change(rng: &mut StdRng) -> String {
    let node = ["n1", "N2", "n3"][rng.random_range(0..3)];
    let id = ["w1", "w2", "d1"][rng.random_range(0..3)];
    let name = ["web", "Web", "db"][rng.random_range(0..3)];
    let status = ["passing", "warning", "critical"][rng.random_range(0..3)];
    let key = ["a", "a/b", "a/b/c", "x"][rng.random_range(0..4)];
    let session = ["s1", "s2", "del"][rng.random_range(0..3)];
    let number = rng.random_range(0..4);
    match rng.random_range(0..19) {
        0 | 1 => format!("node {node} 10.0.0.{number}"),
        2..=4 => format!("service {node} {id} {name} v{number}"),
        5 => format!("check {node} c{number} {status}"),
        6 | 7 => format!("check {node} c{number} {status} {id}"),
        8 => format!("-service {node} {id}"),
        9 => format!("-check {node} c{number}"),
        10 if number == 0 => format!("-node {node}"),
        10 | 11 => format!("put {key} {number}"),
        12 => format!("lock {key} {session} {number}"),
        13 => format!("session {node} {session}"),
        14 => format!("-session {session}"),
        15 => format!("query q{number} {name} {session}"),
        16 => format!("coordinate {node} 0.{number}"),
        17 => format!("-query q{number}"),
        _ if number == 0 => format!("deltree {key}"),
        _ => format!("del {key}"),
    }
}

#[test]
fn after_any_history_no_index_falls_and_the_rows_tell_all() {
    for seed in 0..40 {
        println!("seed {seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let mut scope = Scope::default();
        let reads = reads();
        for _ in 0..120 {
            let before = scope.index.clone();
            let line = random_line(&mut rng);
            if line.starts_with("session")
                && before.session(line.split(' ').nth(2).unwrap()).is_some()
            {
                continue;
            }
            let applied = scope.tell(&line);
            for (name, query) in &reads {
                let (was, is) = (before.index_of(query), scope.index.index_of(query));
                assert!(is >= was, "{line}: {name} fell from {was} to {is}");
            }
            touched_rows_are_all(&before, &scope.index, &applied.touched, &line);
        }
        let rows: BTreeMap<Vec<u8>, Vec<u8>> =
            scope.index.rows().map(|(id, value)| (id.to_key(), value)).collect();
        let restored = Index::restore(rows.clone()).unwrap();
        let again: BTreeMap<Vec<u8>, Vec<u8>> =
            restored.rows().map(|(id, value)| (id.to_key(), value)).collect();
        assert_eq!(rows, again);
    }
}

/// A row that differs must have been named: the store writes no other.
fn touched_rows_are_all(before: &Index, after: &Index, touched: &Touched, line: &str) {
    for id in before.row_ids().chain(after.row_ids()) {
        if before.row(&id) != after.row(&id) {
            assert!(touched.rows.contains(&id), "{line}: {id:?} changed unsaid");
        }
    }
}

#[test]
fn what_two_instances_have_in_common_is_kept_once() {
    let mut scope = Scope::told("node n1 10.0.0.1\nnode N2 10.0.0.2");
    for line in ["service n1 a web v1 v2", "service N2 b web v1 v2", "check N2 c passing b"] {
        scope.tell(line);
    }
    let mut rows: Vec<_> = scope.index.rows().map(|(id, value)| (id.to_key(), value)).collect();
    rows.sort();
    for index in [&scope.index, &Index::restore(rows).unwrap()] {
        let web = index.service("web").unwrap();
        let [one, other] = [0, 1].map(|at| &web.instances.values().nth(at).unwrap().service);
        assert_eq!(one.tags.as_ptr(), other.tags.as_ptr());
        assert_eq!(one.name.as_str().as_ptr(), other.name.as_str().as_ptr());
        let node = index.node("n2").unwrap();
        let check = node.checks.get("c").unwrap();
        assert_eq!(check.node.as_str().as_ptr(), node.node.name.as_str().as_ptr());
        let checked = check.check.service.as_ref().unwrap();
        assert_eq!(checked.tags.as_ptr(), one.tags.as_ptr());
        assert_eq!(checked.id.as_str().as_ptr(), other.id.as_str().as_ptr());
    }
}

#[test]
fn records_are_written_all_or_none() {
    use crate::record::{AnyRecord, RecordChange, Setting, TableId, When};
    let put = |name: &str, body: &str, when| RecordChange::Put {
        record: AnyRecord::Setting(Box::new(Setting { name: name.into(), body: body.into() })),
        when,
    };
    let mut index = Index::new();
    let mut write = |changes: Vec<RecordChange>, revision: u64| {
        let stamp = Stamp { revision, seq: revision, at: Time(0), salt: [0; 16] };
        let verdict = index.apply(&stamp, &Change::Records(changes)).verdict.unwrap();
        let body = |name| index.record::<Setting>(name).map(|row| row.record.body.to_string());
        (verdict, body("a"), body("b"), index.table_mark(TableId::Setting))
    };
    let some = |text: &str| Some(text.to_owned());
    let both = vec![put("a", "1", When::Always), put("b", "1", When::Index(0))];
    assert_eq!(write(both.clone(), 5), (true, some("1"), some("1"), 5));
    let half = vec![put("a", "2", When::Always), put("b", "2", When::Index(4))];
    assert_eq!(write(half, 6), (false, some("1"), some("1"), 5), "the second condition fails");
    assert_eq!(write(vec![both[0].clone()], 7), (true, some("1"), some("1"), 5), "nothing new");
    let gone =
        RecordChange::Remove { table: TableId::Setting, key: "a".into(), when: When::Index(5) };
    assert_eq!(write(vec![gone], 8), (true, None, some("1"), 8));
    let rows = index.rows().map(|(id, value)| (id.to_key(), value));
    let again = Index::restore(rows).unwrap();
    assert!(again.rows().eq(index.rows()));
}
