//! What policies let callers see, and what follows when they change.

use super::*;
use crate::acl::Act;
use crate::error::Refusal;
use crate::record::{AnyRecord, RecordChange, When};
use crate::scope::{NameRange, Scope, ScopePolicy};
use crate::service::{Check, Checked, Status};

/// Readers by their listener; registrations by the metadata they bring.
const POLICY: &str = r#"package p
decision contains {"outcome": "refuse", "rule": "shut"} if {
	input.action in ["service:read", "key:read"]
	startswith(input.target.name, "pay")
	input.caller.listener == "refused"
}
decision contains {"outcome": "attest", "rule": "shown"} if input.caller.listener == "attested"
decision contains {"outcome": "defer", "rule": "hours", "ttl": 60} if {
	input.action == "service:read"
	input.caller.listener == "daily"
	input.time.minute_of_day >= 60
}
decision contains {"outcome": "defer", "rule": "approval"} if {
	input.action == "service:register"
	input.target.port == 0
}
"#;

fn rules(rego: &str, version: u64) -> Vec<RecordChange> {
    let put = |record| RecordChange::Put { record, when: When::Always };
    let policy =
        ScopePolicy { name: "p".into(), rego: rego.into(), version, ..ScopePolicy::default() };
    let scope = Scope {
        path: ScopePath::parse("dc1/pay").unwrap(),
        services: vec![NameRange::Prefix("pay".into())],
        keys: vec!["pay/".into()],
        policy: Some("p".into()),
        ..Scope::default()
    };
    vec![put(AnyRecord::ScopePolicy(policy.into())), put(AnyRecord::Scope(scope.into()))]
}

fn by(listener: &str) -> Caller {
    Caller { listener: Some(listener.into()), ..Caller::default() }
}

fn instance(name: &str, port: i64) -> Change {
    let node = Node { name: "n1".into(), address: "10.0.0.1".into(), ..Node::default() };
    let service = Service { id: name.into(), name: name.into(), port, ..Service::default() };
    let of = Checked { id: name.into(), name: name.into(), ..Checked::default() };
    let check = Check {
        id: format!("check-{name}").as_str().into(),
        status: Status::Passing,
        output: "fine".into(),
        service: Some(of),
        ..Check::default()
    };
    let (service, checks) = (Some(service), vec![check]);
    Change::Register(Box::new(Registration { node, service, checks, ..Registration::default() }))
}

/// `pay-api` and `web` on `n1`, the keys `pay/k` and `k`; `dc1/pay` decides by a policy.
async fn governed() -> (Handle, Arc<Moved>) {
    let (handle, clock) = open().await;
    submit(&handle, instance("pay-api", 80)).await;
    submit(&handle, instance("web", 80)).await;
    submit(&handle, put("pay/k", PutWhen::Always)).await;
    submit(&handle, put("k", PutWhen::Always)).await;
    submit(&handle, Change::Records(rules(POLICY, 1))).await;
    (handle, clock)
}

fn service(name: &str) -> Query {
    Query::Health(name.into())
}

fn look(handle: &Handle, caller: &str, query: &Query) -> Result<Answer, Refusal> {
    handle.lookup(&by(caller), query)
}

/// How a read of one thing is answered: its outcome, and whether its line is shown.
fn seen(handle: &Handle, caller: &str, name: &str) -> (Outcome, bool) {
    let answer = look(handle, caller, &service(name)).unwrap();
    (answer.outcome, answer.authority.allows(Act::service_read(name)))
}

#[tokio::test]
async fn a_policy_decides_about_each_read() {
    let (handle, _) = governed().await;
    let cases = [
        ("plain", "pay-api", Outcome::Resolve, true),
        ("attested", "pay-api", Outcome::Attest, true),
        ("refused", "pay-api", Outcome::Refuse, false),
        ("refused", "pay-none", Outcome::Refuse, false),
        ("refused", "PAY-Api", Outcome::Refuse, false),
        ("refused", "web", Outcome::Resolve, true),
        ("daily", "pay-api", Outcome::Resolve, true),
    ];
    for (caller, name, outcome, shown) in cases {
        assert_eq!(seen(&handle, caller, name), (outcome, shown), "{caller} {name}");
    }
    let key = look(&handle, "refused", &Query::Key("pay/k".into())).unwrap();
    assert_eq!(key.outcome, Outcome::Refuse);
    // Lists are narrowed line by line, and the program itself is bound by nobody.
    let list = look(&handle, "refused", &Query::Services { by_node_meta: false }).unwrap();
    assert_eq!(list.outcome, Outcome::Resolve);
    let lines = ["pay-api", "web"].map(|name| list.authority.allows(Act::service_read(name)));
    assert_eq!(lines, [false, true]);
    assert!(list.authority.allows(Act::node_read_all()));
    assert!(handle.lookup(&Caller::own(), &service("pay-api")).unwrap().authority.is_open());
}

#[tokio::test]
async fn what_is_deferred_is_answered_as_it_was() {
    let (handle, clock) = governed().await;
    let query = service("pay-api");
    let before = look(&handle, "daily", &query).unwrap();
    assert_eq!(before.outcome, Outcome::Resolve);
    clock.0.store(3_600_000_000_000, Ordering::Relaxed);
    let first = look(&handle, "daily", &query).unwrap();
    assert_eq!((first.outcome, first.index), (Outcome::Defer, before.index));
    assert_eq!(first.age, Duration::ZERO);
    // The answer stays, its age grows, and its index does not move with what is hidden.
    submit(
        &handle,
        Change::Deregister(Removal::Service { node: "n1".into(), id: "pay-api".into() }),
    )
    .await;
    clock.0.fetch_add(5_000_000_000, Ordering::Relaxed);
    let second = look(&handle, "daily", &query).unwrap();
    assert_eq!((second.outcome, second.index), (Outcome::Defer, before.index));
    assert_eq!(second.age, Duration::from_secs(5));
    assert!(second.at.service("pay-api").is_some());
    assert!(second.authority.allows(Act::service_read("pay-api")));
    // Whoever was never answered knows nothing.
    let never = look(&handle, "daily", &service("pay-other"));
    assert!(matches!(never, Err(Refusal::Deferred { rule, .. }) if &*rule == "hours"));
    // A day later it is what it is.
    clock.0.store(86_400_000_000_000, Ordering::Relaxed);
    let after = look(&handle, "daily", &query).unwrap();
    assert_eq!(after.outcome, Outcome::Resolve);
    assert!(after.index > before.index && after.at.service("pay-api").is_none());
}

#[tokio::test]
async fn a_policy_that_defers_leaves_the_answer_as_it_was() {
    let (handle, _) = governed().await;
    let query = service("pay-api");
    let before = look(&handle, "plain", &query).unwrap();
    let later = "package p\ndecision := {\"outcome\": \"defer\", \"rule\": \"later\"}";
    submit(&handle, Change::Records(rules(later, 2))).await;
    let gone = Removal::Service { node: "n1".into(), id: "pay-api".into() };
    submit(&handle, Change::Deregister(gone)).await;
    let after = look(&handle, "plain", &query).unwrap();
    assert_eq!((after.outcome, after.index), (Outcome::Defer, before.index));
    assert!(after.at.service("pay-api").is_some());
}

/// A store and a clock that outlive the handle.
struct House {
    store: Arc<Store>,
    clock: Arc<Moved>,
}

impl House {
    async fn open(&self) -> Handle {
        let settings = GroupSettings { scope: "dc1".into(), member: "n1".into() };
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        Handle::open(store, settings, AclSettings::default(), clock as _).await.unwrap()
    }
}

const LATER: &str = r#"package p
decision contains {"outcome": "defer", "rule": "later"} if input.action in ["service:read", "key:read"]"#;

/// What is told after a restart about a service and a key under a policy that defers, for each history before it.
#[tokio::test]
async fn what_was_let_through_before_a_restart_is_answered_as_it_was() {
    let pay = || instance("pay-api", 80);
    let key = || put("pay/k", PutWhen::Always);
    let rules = |rego: &str, version: u64| Change::Records(rules(rego, version));
    let late = LATER.replace("later", "never");
    let cases: [(&str, Vec<Change>, bool); 7] = [
        ("before any policy", vec![pay(), key(), rules(LATER, 1)], true),
        (
            "under one that let it through",
            vec![rules(POLICY, 1), pay(), key(), rules(LATER, 2)],
            true,
        ),
        ("the same, policy first", vec![pay(), key(), rules(POLICY, 1), rules(LATER, 2)], true),
        ("under the one that defers", vec![rules(LATER, 1), pay(), key()], false),
        ("between two that defer", vec![rules(LATER, 1), pay(), key(), rules(&late, 2)], false),
        (
            "changed since",
            vec![pay(), key(), rules(LATER, 1), instance("pay-api", 81), {
                let flags = 1;
                let (key, value) = ("pay/k".into(), b"w".to_vec());
                Change::Kv(KvChange::Put { key, value, flags, when: PutWhen::Always, scope: None })
            }],
            false,
        ),
        ("never there", vec![rules(POLICY, 1), rules(LATER, 2)], false),
    ];
    for (name, changes, known) in cases {
        let store = Arc::new(Store::in_memory().unwrap());
        let house = House { store, clock: Arc::new(Moved(AtomicU64::new(1_000))) };
        let before = house.open().await;
        for change in changes {
            submit(&before, change).await;
            house.clock.0.fetch_add(1_000_000_000, Ordering::Relaxed);
        }
        // While it runs, whoever never asked knows nothing.
        for query in [service("pay-api"), Query::Key("pay/k".into())] {
            assert!(look(&before, "new", &query).is_err(), "{name}: {query:?}");
        }
        before.stop().await;
        drop(before);
        let after = house.open().await;
        for query in [service("pay-api"), Query::Key("pay/k".into())] {
            let seen = look(&after, "plain", &query);
            assert_eq!(seen.is_ok(), known, "{name}: {query:?}: {seen:?}");
            let Ok(seen) = seen else { continue };
            assert_eq!(seen.outcome, Outcome::Defer, "{name}");
            assert!(seen.age >= Duration::from_secs(1), "{name}: {:?}", seen.age);
            assert!(seen.authority.allows(Act::service_read("pay-api")), "{name}");
        }
        if known {
            // It stays what it was.
            let gone = Removal::Service { node: "n1".into(), id: "pay-api".into() };
            submit(&after, Change::Deregister(gone)).await;
            let still = look(&after, "plain", &service("pay-api")).unwrap();
            assert!(still.at.service("pay-api").is_some(), "{name}");
            // Whoever comes only now did not see it before this.
            assert!(look(&after, "new", &service("pay-api")).is_err(), "{name}");
        }
    }
}

/// By a clock: what was written in hours that are over, and what had run out before the restart.
#[tokio::test]
async fn what_the_hours_let_through_is_known_after_a_restart() {
    const OVER: u64 = 3_600_000_000_000;
    for (written, asked, known) in [(0, true, true), (0, false, true), (OVER, false, false)] {
        let store = Arc::new(Store::in_memory().unwrap());
        let house = House { store, clock: Arc::new(Moved(AtomicU64::new(1_000))) };
        let before = house.open().await;
        submit(&before, Change::Records(rules(POLICY, 1))).await;
        house.clock.0.store(1_000 + written, Ordering::Relaxed);
        submit(&before, instance("pay-api", 80)).await;
        if asked {
            look(&before, "daily", &service("pay-api")).unwrap();
            house.clock.0.store(OVER, Ordering::Relaxed);
            before.govern_now().await;
        }
        house.clock.0.store(OVER + 1_000_000_000, Ordering::Relaxed);
        before.stop().await;
        drop(before);
        let after = house.open().await;
        let seen = look(&after, "daily", &service("pay-api"));
        assert_eq!(seen.is_ok(), known, "{written} {asked}: {seen:?}");
    }
}

#[tokio::test]
async fn a_policy_moves_what_shows_otherwise_and_nothing_else() {
    let (handle, _) = governed().await;
    let (query, other) = (service("pay-api"), service("web"));
    let index = |query: &Query| look(&handle, "refused", query).unwrap().index;
    let (before, beside) = (index(&query), index(&other));
    // The same decisions in other words.
    let words = POLICY.replace("\"shut\"", "\"closed\"");
    submit(&handle, Change::Records(rules(&words, 2))).await;
    assert_eq!(index(&query), before);
    let waiting = {
        let (handle, query) = (handle.clone(), query.clone());
        tokio::spawn(async move { handle.wait(&by("refused"), &query, before, FOREVER).await })
    };
    while handle.0.board.watches.len() == 0 {
        tokio::task::yield_now().await;
    }
    let open = "package p\ndecision := set()";
    let committed = submit(&handle, Change::Records(rules(open, 3))).await;
    let answer = waiting.await.unwrap().unwrap();
    assert_eq!((answer.outcome, answer.index), (Outcome::Resolve, committed.revision));
    assert_eq!(index(&other), beside);
}

#[tokio::test]
async fn a_decision_that_runs_out_moves_what_shows_otherwise() {
    let (handle, clock) = governed().await;
    let query = service("pay-api");
    // Half a minute before midnight, and as much after it as the decision is over.
    clock.0.store(86_370_000_000_000, Ordering::Relaxed);
    assert!(look(&handle, "daily", &query).is_err());
    clock.0.store(86_440_000_000_000, Ordering::Relaxed);
    let before = handle.lookup(&Caller::own(), &query).unwrap().index;
    handle.govern_now().await;
    let after = look(&handle, "daily", &query).unwrap();
    assert!(after.outcome == Outcome::Resolve && after.index > before);
    // Nothing is left to do.
    let revision = handle.snapshot().revision();
    handle.govern_now().await;
    assert_eq!(handle.snapshot().revision(), revision);
}

/// The status and the output of the check of `pay-late`.
fn check(handle: &Handle) -> (Status, String) {
    let at = handle.snapshot();
    let row = at.node("n1").unwrap().checks.get("check-pay-late").unwrap().clone();
    (row.status().clone(), row.output().to_owned())
}

#[tokio::test]
async fn what_runs_is_not_held_when_it_is_told_once_more() {
    let (handle, _) = open().await;
    submit(&handle, instance("pay-old", 0)).await;
    submit(&handle, Change::Records(rules(POLICY, 1))).await;
    let held = |handle: &Handle| {
        let at = handle.snapshot();
        at.held().next().is_some()
    };
    handle.submit(&by("plain"), instance("pay-old", 0)).await.unwrap();
    assert!(!held(&handle));
    let Change::Register(mut other) = instance("pay-old", 0) else { unreachable!() };
    other.service.as_mut().unwrap().address = "10.0.0.2".into();
    handle.submit(&by("plain"), Change::Register(other)).await.unwrap();
    assert!(held(&handle));
}

#[tokio::test]
async fn what_is_held_comes_alive_when_the_reason_is_gone() {
    let (handle, _) = governed().await;
    let caller = by("plain");
    handle.submit(&caller, instance("pay-late", 0)).await.unwrap();
    let uid = |handle: &Handle| {
        let at = handle.snapshot();
        let row = at.node("n1").unwrap().services.get("pay-late").unwrap().clone();
        (row.uid, row.hold.is_some())
    };
    let (first, held) = uid(&handle);
    assert!(held);
    let told = (Status::Critical, "deferred: scope dc1/pay, rule approval".to_owned());
    assert_eq!(check(&handle), told);
    // The check's own word is kept, and not told.
    let Change::Register(mut again) = instance("pay-late", 0) else { unreachable!() };
    again.service = None;
    again.checks[0].output = "finer".into();
    handle.submit(&caller, Change::Register(again)).await.unwrap();
    assert_eq!(check(&handle), told);
    assert!(handle.govern_now().await.is_some());
    assert_eq!(check(&handle), told);
    // Rows that are read back say the same.
    let index = handle.lookup(&caller, &service("pay-late")).unwrap().index;
    let committed =
        submit(&handle, Change::Records(rules("package p\ndecision := set()", 2))).await;
    assert_eq!(uid(&handle), (first, false));
    assert_eq!(check(&handle), (Status::Passing, "finer".to_owned()));
    let after = handle.lookup(&caller, &service("pay-late")).unwrap().index;
    assert!(after > index && after == committed.revision);
    assert!(handle.snapshot().held().next().is_none());
}
