//! Whose a write is, and what the scopes decide about it.

use super::*;
use crate::entry::Entry;
use crate::pairs::Pairs;
use crate::record::{AnyRecord, RecordChange, TableId, When};
use crate::scope::{Budget, CallerRule, NameRange, Scope, ScopePolicy};
use crate::service::Check;
use crate::txn::ServiceOp;

const POLICY: &str = r#"package p
default decision := {"outcome": "resolve", "rule": "fine"}
decision := {"outcome": "refuse", "rule": "frozen"} if input.target.name == "pay-frozen"
decision := {"outcome": "defer", "rule": "later"} if input.target.name == "pay-late"
decision := {"outcome": "defer", "rule": "later"} if input.target.name == "pay/late"
"#;

fn path(text: &str) -> ScopePath {
    ScopePath::parse(text).unwrap()
}

fn scope(at: &str, services: &str, keys: &str, budget: Budget) -> RecordChange {
    let listener = Some(at.into());
    let policy = (at == "dc1/pay").then(|| "p".into());
    let record = Scope {
        path: path(at),
        services: vec![NameRange::Prefix(services.into())],
        keys: vec![keys.into()],
        callers: vec![CallerRule { listener, ..CallerRule::default() }],
        policy,
        budget,
        ..Scope::default()
    };
    RecordChange::Put { record: AnyRecord::Scope(Box::new(record)), when: When::Always }
}

/// `dc1/pay` has `pay*` and `pay/`, `dc1/pay/card` of it what has to do with cards, `dc1/web` has `web*`; a caller by the
/// listener of a scope's name speaks for it.
async fn governed() -> (Handle, Arc<Moved>) {
    let (handle, clock) = open().await;
    submit(&handle, register("n1", None)).await;
    let policy =
        ScopePolicy { name: "p".into(), rego: POLICY.into(), version: 1, ..ScopePolicy::default() };
    let policy =
        RecordChange::Put { record: AnyRecord::ScopePolicy(policy.into()), when: When::Always };
    let none = Budget::default;
    let few = Budget { instances: Some(2), writes_per_second: Some(3), ..none() };
    let scopes = vec![
        policy,
        scope("dc1/pay", "pay", "pay/", none()),
        scope("dc1/pay/card", "pay-card", "pay/card/", none()),
        scope("dc1/web", "web", "web/", none()),
        scope("dc1/few", "few", "few/", few),
    ];
    submit(&handle, Change::Records(scopes)).await;
    (handle, clock)
}

fn by(listener: &str) -> Caller {
    let listener = (listener != "-").then(|| listener.into());
    Caller { listener, ..Caller::default() }
}

fn service(name: &str, meta: &str) -> Service {
    let meta = (meta != "-").then(|| Pairs::from_iter([("scope", Box::<str>::from(meta))]));
    Service { id: name.into(), name: name.into(), meta, ..Service::default() }
}

/// Whose a service is as it was registered on `n1`, or why it was not.
async fn placed(handle: &Handle, caller: &str, name: &str, meta: &str) -> String {
    let node = Node { name: "n1".into(), ..Node::default() };
    let service = Some(service(name, meta));
    let registration =
        Registration { node, service, skip_node_update: true, ..Registration::default() };
    match handle.submit(&by(caller), Change::Register(Box::new(registration))).await {
        Err(refusal) => refusal.to_string(),
        Ok(_) => {
            let at = handle.snapshot();
            let row = at.node("n1").unwrap().services.get(name).unwrap().clone();
            let hold =
                row.hold.as_ref().map(|hold| format!(" held by {} {}", hold.scope, hold.rule));
            let scope = row.scope.as_ref().map_or("dc1", ScopePath::as_str);
            format!("{scope}{}", hold.unwrap_or_default())
        }
    }
}

async fn told(handle: &Handle, caller: &str, change: Change) -> String {
    let verdict = handle.submit(&by(caller), change).await;
    verdict.map_or_else(|refusal| refusal.to_string(), |_| String::new())
}

#[tokio::test]
async fn a_registration_goes_to_the_scope_that_owns_its_name() {
    let (handle, _) = governed().await;
    let cases = [
        ("-", "other", "-", "dc1"),
        ("-", "pay-api", "-", "dc1/pay"),
        ("dc1/pay", "pay-card-1", "-", "dc1/pay/card"),
        ("dc1/pay/card", "pay-x", "-", "scope dc1/pay refuses by rule delegation"),
        ("dc1/web", "pay-x", "-", "scope dc1/pay refuses by rule delegation"),
        ("dc1/web", "free", "-", "dc1/web"),
        ("dc1/pay", "free", "-", "scope dc1/web refuses by rule delegation"),
        ("-", "free", "-", "dc1/web"),
        ("dc1/pay", "mine", "dc1/pay/card", "dc1/pay/card"),
        ("dc1/pay", "own", "dc1/web", "scope dc1/web refuses by rule meta.scope"),
        ("dc1/pay", "own", "dc1/pay/none", "scope dc1/pay/none refuses by rule meta.scope"),
        ("dc1/pay", "pay-api", "dc1/pay/card", "scope dc1/pay refuses by rule meta.scope"),
        ("dc1/pay", "own", "production", "dc1/pay"),
        ("-", "chosen", "dc1/web", "dc1/web"),
        ("dc1/pay", "pay-frozen", "-", "scope dc1/pay refuses by rule frozen"),
        ("dc1/pay", "pay-late", "-", "dc1/pay held by dc1/pay later"),
    ];
    for (caller, name, meta, expected) in cases {
        assert_eq!(placed(&handle, caller, name, meta).await, expected, "{caller} {name} {meta}");
    }
    handle.set_default_scope(Some(path("dc1/web")));
    assert_eq!(placed(&handle, "-", "stray", "-").await, "dc1/web");
    assert_eq!(placed(&handle, "dc1/pay", "astray", "-").await, "dc1/pay");
    handle.set_default_scope(Some(path("dc1/gone")));
    assert_eq!(placed(&handle, "-", "stray-2", "-").await, "dc1");
}

#[tokio::test]
async fn what_is_held_is_held_since_it_was_first_held() {
    let (handle, clock) = governed().await;
    placed(&handle, "dc1/pay", "pay-late", "-").await;
    let since = |handle: &Handle| {
        let at = handle.snapshot();
        let row = at.service("pay-late").unwrap().instances.values().next().unwrap().clone();
        (row.hold.as_ref().unwrap().since, row.modified)
    };
    let first = since(&handle);
    clock.0.store(9_000, Ordering::Relaxed);
    placed(&handle, "dc1/pay", "pay-late", "-").await;
    assert_eq!(since(&handle), first);
}

#[tokio::test]
async fn what_is_anothers_is_not_touched() {
    let (handle, _) = governed().await;
    for (caller, name) in [("dc1/pay", "pay-api"), ("dc1/web", "web"), ("-", "nobodys")] {
        placed(&handle, caller, name, "-").await;
    }
    let write = |key: &str| put(key, PutWhen::Always);
    let gone = |id: &str| Change::Deregister(Removal::Service { node: "n1".into(), id: id.into() });
    let check = |of: &str| {
        let service = Some(crate::service::Checked { id: of.into(), ..Default::default() });
        let check = Check { id: "c".into(), service, ..Check::default() };
        let node = Node { name: "n1".into(), ..Node::default() };
        Change::Register(Box::new(Registration {
            node,
            skip_node_update: true,
            checks: vec![check],
            ..Registration::default()
        }))
    };
    let tree = |prefix: &str| Change::Kv(KvChange::DeleteTree { prefix: prefix.into() });
    let refused = |scope: &str, rule: &str| format!("scope {scope} refuses by rule {rule}");
    let cases = [
        ("dc1/web", write("pay/a"), refused("dc1/pay", "delegation")),
        ("dc1/pay", write("pay/a"), String::new()),
        ("dc1/pay", write("pay/late"), refused("dc1/pay", "later")),
        ("dc1/pay", write("free/a"), String::new()),
        ("dc1/web", write("free/a"), refused("dc1/pay", "delegation")),
        ("-", write("free/a"), String::new()),
        ("dc1/web", tree("free"), refused("dc1/pay", "delegation")),
        ("dc1/web", tree(""), refused("dc1/pay", "delegation")),
        ("dc1/web", check("pay-api"), refused("dc1/pay", "delegation")),
        ("dc1/pay", check("pay-api"), String::new()),
        ("dc1/web", check("nobodys"), String::new()),
        ("dc1/web", gone("pay-api"), refused("dc1/pay", "delegation")),
        (
            "dc1/web",
            Change::Deregister(Removal::Node { node: "n1".into() }),
            refused("dc1/pay", "delegation"),
        ),
        ("dc1/web", gone("web"), String::new()),
        ("-", gone("pay-api"), String::new()),
        (
            "dc1/web",
            Change::Records(vec![scope("dc1/pay/x", "pay-x", "pay/x/", Budget::default())]),
            refused("dc1/pay", "delegation"),
        ),
        (
            "dc1/web",
            Change::Records(vec![scope("dc1/web", "web", "web/", Budget::default())]),
            refused("dc1", "delegation"),
        ),
        (
            "dc1/web",
            Change::Records(vec![scope("dc1/web/x", "web-x", "web/x/", Budget::default())]),
            String::new(),
        ),
    ];
    for (caller, change, expected) in cases {
        let shown = format!("{caller}: {change:?}");
        assert_eq!(told(&handle, caller, change).await, expected, "{shown}");
    }
}

#[tokio::test]
async fn every_operation_of_a_transaction_is_judged() {
    let (handle, _) = governed().await;
    let set = |name: &str| {
        let (node, service) = ("n1".into(), service(name, "-"));
        TxnOp::Service(Box::new(ServiceOp {
            verb: crate::txn::Verb::Set,
            node,
            service,
            ..Default::default()
        }))
    };
    let key =
        |key: &str| TxnOp::Key(KeyOp { verb: KeyVerb::Set, key: key.into(), ..KeyOp::default() });
    let ops = vec![set("pay-a"), set("web-a"), key("web/a"), set("pay-frozen")];
    let refusal = handle.submit(&by("dc1/pay"), Change::Txn(ops.clone())).await.unwrap_err();
    let Refusal::Txn(faults) = refusal else { panic!("{refusal}") };
    let told: Vec<_> = faults.iter().map(|fault| (fault.op, fault.why.to_string())).collect();
    let foreign = "scope dc1/web refuses by rule delegation".to_owned();
    assert_eq!(told, [(1, foreign.clone()), (2, foreign)]);
    let late = Change::Txn(vec![set("pay-a"), set("pay-late"), key("pay/a")]);
    let committed = handle.submit(&by("dc1/pay"), late).await.unwrap();
    assert_eq!(committed.outcome, Outcome::Defer);
    let at = handle.snapshot();
    let held = |name| at.service(name).unwrap().instances.values().next().unwrap().hold.is_some();
    assert_eq!((held("pay-a"), held("pay-late")), (false, true));
    assert_eq!(at.key("pay/a").unwrap().scope, Some(path("dc1/pay")));
    let mixed = Change::Txn(vec![key("pay/b"), key("web/b")]);
    handle.submit(&by("-"), mixed).await.unwrap();
    let logs = lineages(&handle);
    let last = |scope| -> &Entry { logs.iter().rev().find(|entry| entry.scope == scope).unwrap() };
    assert_eq!(last(Some(path("dc1/pay"))).outcome, Outcome::Defer);
    assert_eq!(
        last(None).kind,
        crate::entry::Kind::Txn,
        "what is of two scopes is the datacenter's"
    );
}

/// The entries of all lineages.
fn lineages(handle: &Handle) -> Vec<Entry> {
    let lineage = handle.0.group.lineage();
    let scopes = lineage.scopes().unwrap().into_iter().map(Some).chain([None]);
    let entries = scopes.flat_map(|scope| {
        let log = lineage.of(scope);
        (0..).map_while(move |seq| log.entry(seq).unwrap()).collect::<Vec<_>>()
    });
    entries.map(|leaf| serde_json::from_slice(&leaf).unwrap()).collect()
}

#[tokio::test]
async fn a_budget_and_its_refusals_are_told() {
    let (handle, clock) = governed().await;
    for name in ["few-1", "few-2"] {
        assert_eq!(placed(&handle, "dc1/few", name, "-").await, "dc1/few");
    }
    let full = "scope dc1/few refuses by rule budget/instances";
    assert_eq!(placed(&handle, "dc1/few", "few-3", "-").await, full);
    assert_eq!(placed(&handle, "dc1/few", "few-1", "-").await, "dc1/few");
    let fast = "scope dc1/few takes 3 writes a second (budget/writes_per_second)";
    assert_eq!(placed(&handle, "dc1/few", "few-1", "-").await, fast);
    clock.0.store(2_000_000_000, Ordering::Relaxed);
    assert_eq!(placed(&handle, "dc1/few", "few-1", "-").await, "dc1/few");
    for _ in 0..20 {
        placed(&handle, "dc1/few", "few-3", "-").await;
    }
    let refused = lineages(&handle).into_iter().filter(|entry| entry.outcome == Outcome::Refuse);
    let refused: Vec<_> = refused.map(|entry| (entry.scope, entry.rule)).collect();
    assert_eq!(refused.len() as u64, 1 + crate::limits::REFUSALS_TOLD_PER_SECOND);
    assert!(refused.iter().all(|one| *one == (Some(path("dc1/few")), "budget/instances".into())));
}

#[tokio::test]
async fn without_a_scope_nothing_is_another() {
    let (handle, _) = open().await;
    submit(&handle, register("n1", None)).await;
    assert_eq!(placed(&handle, "dc1/pay", "pay-api", "dc1/pay").await, "dc1");
    assert!(lineages(&handle).iter().all(|entry| entry.scope.is_none()));
    assert!(handle.snapshot().table_mark(TableId::Scope) == 0);
}
