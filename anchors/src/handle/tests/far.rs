//! Three scopes in one process, joined without sockets: what travels, what is kept, and what is told while nobody answers.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use super::*;
use crate::credential::dsse::Envelope;
use crate::record::{AnyRecord, RecordChange, When};
use crate::scope::{OnPartition, Scope, ScopePolicy};
use crate::traversal::adjacency::{EVERYTHING, Offer, Standing, TERM};
use crate::traversal::{Ask, Peer, RESOLUTION_TYPE, Reply};

/// Brings bytes from one handle to another.
#[derive(Default)]
struct Switch {
    handles: Mutex<HashMap<Box<str>, Handle>>,
    /// Scopes that nobody reaches.
    down: Mutex<Vec<Box<str>>>,
    /// Questions that travelled and were not held.
    asked: AtomicUsize,
    forging: AtomicBool,
}

struct Plug {
    key: Box<str>,
    switch: Arc<Switch>,
}

impl Switch {
    fn reach(&self, scope: &str) -> Result<Handle, Box<str>> {
        if self.down.lock().unwrap().iter().any(|down| **down == *scope) {
            return Err("down".into());
        }
        self.handles.lock().unwrap().get(scope).cloned().ok_or("nobody".into())
    }

    fn set_down(&self, scope: &str, down: bool) {
        let mut all = self.down.lock().unwrap();
        all.retain(|one| **one != *scope);
        if down {
            all.push(scope.into());
        }
    }

    async fn carry(
        self: Arc<Self>,
        from: Box<str>,
        to: Box<str>,
        errand: Errand,
        body: Vec<u8>,
    ) -> Result<Vec<u8>, Box<str>> {
        let handle = self.reach(&to)?;
        let reply = match errand {
            Errand::Contact => serde_json::to_vec(&handle.contact(&from).ok_or("no neighbour")?),
            Errand::Ask => {
                let ask: Ask = serde_json::from_slice(&body).unwrap();
                if ask.wait_ms == 0 {
                    self.asked.fetch_add(1, Ordering::Relaxed);
                }
                let reply = handle.hop(&from, ask).await.map_err(|fault| fault.to_string())?;
                serde_json::to_vec(&self.forged(reply))
            }
        };
        // It may have gone meanwhile.
        self.reach(&to)?;
        Ok(reply.unwrap())
    }

    fn forged(&self, mut reply: Reply) -> Reply {
        if self.forging.load(Ordering::Relaxed) {
            reply.answer = Some(b"{\"index\": 1}".to_vec());
        }
        reply
    }
}

impl Wire for Plug {
    fn send(&self, to: &Peer, errand: Errand, body: Vec<u8>, _: Duration) -> Sending {
        let (from, to) = (self.key.clone(), to.scope.as_str().into());
        Box::pin(Arc::clone(&self.switch).carry(from, to, errand, body))
    }
}

/// Scopes and who joined whom.
struct World {
    switch: Arc<Switch>,
    clock: Arc<Moved>,
}

impl World {
    async fn open(scopes: &[&str], edges: &[(&str, &str)]) -> Self {
        let clock = Arc::new(Moved(AtomicU64::new(1_000_000_000_000)));
        let world = Self { switch: Arc::default(), clock };
        for scope in scopes {
            let store = Arc::new(Store::in_memory().unwrap());
            let settings = GroupSettings { scope: (*scope).into(), member: "n1".into() };
            let clock = Arc::clone(&world.clock) as _;
            let handle =
                Handle::open(store, settings, AclSettings::default(), clock).await.unwrap();
            let plug = Plug { key: handle.anchor_key(), switch: Arc::clone(&world.switch) };
            handle.join(Arc::new(plug));
            world.switch.handles.lock().unwrap().insert((*scope).into(), handle);
        }
        for (a, b) in edges {
            world.marry(a, b).await;
        }
        world.contact().await;
        world
    }

    fn at(&self, scope: &str) -> Handle {
        self.switch.handles.lock().unwrap()[scope].clone()
    }

    async fn marry(&self, a: &str, b: &str) {
        let offer = Offer {
            addresses: vec!["127.0.0.1:1".into()],
            actions: vec![EVERYTHING.into()],
            policies: Vec::new(),
            term: TERM,
        };
        let (own, peer) = (Caller::own(), ScopePath::parse(b).unwrap());
        let asked = self.at(a).request_adjacency(&own, &peer, &offer).await.unwrap();
        let ours = asked.ours.unwrap();
        let accepted = self.at(b).accept_adjacency(&own, &ours, &offer).await.unwrap();
        let theirs = accepted.ours.unwrap();
        self.at(a).accept_adjacency(&own, &theirs, &offer).await.unwrap();
    }

    /// Everybody asks its neighbours, as often as a way is long.
    async fn contact(&self) {
        let handles: Vec<Handle> = self.switch.handles.lock().unwrap().values().cloned().collect();
        for _ in 0..3 {
            for handle in &handles {
                handle.ask_neighbours().await;
            }
        }
    }

    fn pass(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap();
        self.clock.0.fetch_add(nanos, Ordering::Relaxed);
    }

    async fn look(&self, from: &str, to: &str) -> Result<Answer, FarFault> {
        self.look_after(from, to, 0).await
    }

    async fn look_after(&self, from: &str, to: &str, after: u64) -> Result<Answer, FarFault> {
        let target = ScopePath::parse(to).unwrap();
        let wait = Wait { after, patience: FOREVER, travel: Duration::from_secs(10) };
        let query = Query::Health("web".into());
        self.at(from).lookup_far(&Caller::default(), &target, &query, wait).await
    }

    fn asked(&self) -> usize {
        self.switch.asked.load(Ordering::Relaxed)
    }

    /// Waits until whoever follows has noticed something.
    async fn until(&self, from: &str, to: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        loop {
            let answer = self.look(from, to).await.unwrap();
            if wanted(&answer) {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    }
}

fn instances(answer: &Answer) -> usize {
    answer.at.service("web").map_or(0, |row| row.instances.len())
}

fn put_records(records: impl IntoIterator<Item = AnyRecord>) -> Change {
    let put = |record| RecordChange::Put { record, when: When::Always };
    Change::Records(records.into_iter().map(put).collect())
}

/// A policy for a datacenter, and what it does while nobody reaches it.
fn policy(scope: &str, rego: &str, on_partition: OnPartition) -> Change {
    let path = ScopePath::parse(scope).unwrap();
    let of = Scope {
        path: path.clone(),
        owner: "somebody".into(),
        policy: Some("p".into()),
        on_partition,
        ..Scope::default()
    };
    let policy = ScopePolicy {
        name: "p".into(),
        scope: path,
        rego: rego.into(),
        version: 1,
        ..ScopePolicy::default()
    };
    put_records([AnyRecord::Scope(of.into()), AnyRecord::ScopePolicy(policy.into())])
}

fn saying(outcome: &str) -> String {
    format!(
        "package proconsul\nimport rego.v1\ndecision := {{\"outcome\": \"{outcome}\", \"rule\": \"test\"}}\n"
    )
}

#[tokio::test]
async fn the_first_read_travels_and_the_next_does_not() {
    let edges = [("eu", "payments"), ("edge", "eu")];
    let world = World::open(&["eu", "payments", "edge"], &edges).await;
    let first = submit(&world.at("payments"), register("n1", Some("web"))).await;
    let answer = world.look("eu", "payments").await.unwrap();
    assert_eq!((instances(&answer), answer.index, world.asked()), (1, first.revision, 1));
    assert_eq!(answer.way.unwrap().shown(), "eu=resolve,payments=resolve");
    // Over the scope between them: once each.
    let answer = world.look("edge", "payments").await.unwrap();
    assert_eq!((instances(&answer), world.asked()), (1, 3));
    assert_eq!(answer.way.unwrap().shown(), "edge=resolve,eu=resolve,payments=resolve");
    for _ in 0..50 {
        assert_eq!(instances(&world.look("eu", "payments").await.unwrap()), 1);
        assert_eq!(instances(&world.look("edge", "payments").await.unwrap()), 1);
    }
    assert_eq!(world.asked(), 3, "what is followed is not asked for again");
    assert!(matches!(world.look("eu", "nowhere").await, Err(FarFault::NoPath(_))));
}

#[tokio::test]
async fn a_change_far_away_wakes_who_waits() {
    let world = World::open(&["eu", "payments"], &[("eu", "payments")]).await;
    submit(&world.at("payments"), register("n1", Some("web"))).await;
    let before = world.look("eu", "payments").await.unwrap().index;
    let changed = async {
        submit(&world.at("payments"), register("n2", Some("web"))).await;
    };
    let (answer, ()) = tokio::join!(world.look_after("eu", "payments", before), changed);
    let answer = answer.unwrap();
    assert!(answer.index > before && instances(&answer) == 2);
}

#[tokio::test]
async fn what_is_gone_is_told_with_its_age() {
    let world = World::open(&["eu", "payments"], &[("eu", "payments")]).await;
    submit(&world.at("payments"), register("n1", Some("web"))).await;
    let before = world.look("eu", "payments").await.unwrap();
    world.switch.set_down("payments", true);
    for seconds in [10, 20] {
        world.pass(Duration::from_secs(10));
        let answer = world.look("eu", "payments").await.unwrap();
        assert_eq!((answer.outcome, instances(&answer)), (Outcome::Defer, 1));
        assert_eq!((answer.age, answer.index), (Duration::from_secs(seconds), before.index));
    }
    let other = Query::Health("db".into());
    let target = ScopePath::parse("payments").unwrap();
    let wait = Wait { after: 0, patience: FOREVER, travel: Duration::from_secs(1) };
    let unseen = world.at("eu").lookup_far(&Caller::default(), &target, &other, wait).await;
    assert!(matches!(unseen, Err(FarFault::NoPath(_))), "never seen");
    world.switch.set_down("payments", false);
    world.contact().await;
    let back = world.until("eu", "payments", |answer| answer.outcome == Outcome::Resolve).await;
    assert_eq!(back.age, Duration::ZERO);
}

#[tokio::test]
async fn a_partition_is_answered_by_the_rule_of_the_scope() {
    let cases = [
        (OnPartition::Stale, 0, Some(1)),
        (OnPartition::Stale, 5, None),
        (OnPartition::Empty, 0, Some(0)),
        (OnPartition::Error, 0, None),
    ];
    for (rule, max_stale, kept) in cases {
        let world = World::open(&["eu", "payments"], &[("eu", "payments")]).await;
        submit(&world.at("payments"), register("n1", Some("web"))).await;
        let mut change = policy("payments", &saying("resolve"), rule);
        if let Change::Records(records) = &mut change
            && let RecordChange::Put { record: AnyRecord::Scope(scope), .. } = &mut records[0]
        {
            scope.max_stale_seconds = max_stale;
        }
        submit(&world.at("payments"), change).await;
        assert_eq!(instances(&world.look("eu", "payments").await.unwrap()), 1);
        world.switch.set_down("payments", true);
        world.pass(Duration::from_secs(10));
        let answer = world.look("eu", "payments").await;
        assert_eq!(answer.ok().map(|answer| instances(&answer)), kept, "{rule:?} {max_stale}");
    }
}

#[tokio::test]
async fn an_adjacency_that_was_taken_back_answers_nothing() {
    for (side, other) in [("eu", "payments"), ("payments", "eu")] {
        let world = World::open(&["eu", "payments"], &[("eu", "payments")]).await;
        submit(&world.at("payments"), register("n1", Some("web"))).await;
        let before = world.look("eu", "payments").await.unwrap();
        let peer = ScopePath::parse(other).unwrap();
        world.at(side).revoke_adjacency(&Caller::own(), &peer).await.unwrap();
        let after = world.until("eu", "payments", |answer| answer.outcome == Outcome::Refuse).await;
        assert!(instances(&after) == 0 && after.index > before.index, "{side}");
        let standing = world.at(side).adjacencies()[0].1;
        assert_eq!(standing, Standing::Revoked);
    }
}

#[tokio::test]
async fn an_adjacency_ends_with_its_time() {
    let world = World::open(&["eu", "payments"], &[("eu", "payments")]).await;
    submit(&world.at("payments"), register("n1", Some("web"))).await;
    assert_eq!(instances(&world.look("eu", "payments").await.unwrap()), 1);
    world.pass(TERM);
    let after = world.look("eu", "payments").await.unwrap();
    assert_eq!((after.outcome, instances(&after)), (Outcome::Refuse, 0));
    assert_eq!(&*after.way.unwrap().0[0].rule, "adjacency/expired");
}

#[tokio::test]
async fn each_scope_decides_and_the_strictest_holds() {
    let cases = [
        ("resolve", "resolve", Outcome::Resolve, 1),
        ("resolve", "attest", Outcome::Attest, 1),
        ("attest", "resolve", Outcome::Attest, 1),
        ("refuse", "resolve", Outcome::Refuse, 0),
        ("resolve", "refuse", Outcome::Refuse, 0),
    ];
    for (here, there, outcome, shown) in cases {
        let world = World::open(&["eu", "payments"], &[("eu", "payments")]).await;
        submit(&world.at("payments"), register("n1", Some("web"))).await;
        submit(&world.at("eu"), policy("eu", &saying(here), OnPartition::Stale)).await;
        submit(&world.at("payments"), policy("payments", &saying(there), OnPartition::Stale)).await;
        let answer = world.look("eu", "payments").await.unwrap();
        assert_eq!((answer.outcome, instances(&answer)), (outcome, shown), "{here} {there}");
        assert_eq!(answer.filtered, outcome == Outcome::Refuse);
    }
    let world = World::open(&["eu", "payments"], &[("eu", "payments")]).await;
    submit(&world.at("payments"), policy("payments", &saying("defer"), OnPartition::Stale)).await;
    assert!(matches!(world.look("eu", "payments").await, Err(FarFault::NotReady(_))), "never seen");
}

#[tokio::test]
async fn a_refusal_far_away_reaches_who_was_answered_before() {
    let world = World::open(&["eu", "payments"], &[("eu", "payments")]).await;
    submit(&world.at("payments"), register("n1", Some("web"))).await;
    let before = world.look("eu", "payments").await.unwrap();
    let refuse = policy("payments", &saying("refuse"), OnPartition::Stale);
    let changed = async {
        submit(&world.at("payments"), refuse).await;
    };
    let (after, ()) = tokio::join!(world.look_after("eu", "payments", before.index), changed);
    let after = after.unwrap();
    assert_eq!((after.outcome, instances(&after)), (Outcome::Refuse, 0));
}

#[tokio::test]
async fn what_is_forged_is_the_last_known_or_nothing() {
    let world = World::open(&["eu", "payments"], &[("eu", "payments")]).await;
    submit(&world.at("payments"), register("n1", Some("web"))).await;
    world.switch.forging.store(true, Ordering::Relaxed);
    assert!(matches!(world.look("eu", "payments").await, Err(FarFault::NoPath(_))));
    world.switch.forging.store(false, Ordering::Relaxed);
    world.pass(Duration::from_secs(1));
    world.contact().await;
    assert_eq!(instances(&world.look("eu", "payments").await.unwrap()), 1);
}

/// What the anchor of a scope signed.
fn signed_by(handle: &Handle, envelope: &Envelope) -> serde_json::Value {
    assert!(envelope.is_signed_by(&handle.signing_key().verifying_key()));
    assert_eq!(&*envelope.payload_type, RESOLUTION_TYPE);
    serde_json::from_slice(&envelope.payload).unwrap()
}

#[tokio::test]
async fn an_attested_path_has_what_its_owner_signed() {
    let cases = [("resolve", "attest", true), ("attest", "resolve", false)];
    for (here, there, stated) in cases {
        let world = World::open(&["eu", "payments"], &[("eu", "payments")]).await;
        let (eu, payments) = (world.at("eu"), world.at("payments"));
        submit(&payments, register("n1", Some("web"))).await;
        submit(&eu, policy("eu", &saying(here), OnPartition::Stale)).await;
        submit(&payments, policy("payments", &saying(there), OnPartition::Stale)).await;
        let caller = Caller::default();
        let ask = || eu.resolve_path(&caller, "payments/web/x", "read", FOREVER);
        let found = ask().await.unwrap();
        assert_eq!((found.outcome, world.asked()), (Outcome::Attest, 1));
        let told = signed_by(&eu, &eu.sign_resolution(&found, "read"));
        assert_eq!((&told["Matched"], &told["Rest"]), (&"payments/web".into(), &"x".into()));
        assert_eq!(told["Chain"].as_array().unwrap().len(), 2);
        assert_eq!(told["Records"][0]["Node"], "n1");
        assert_eq!(told["Statement"].is_object(), stated, "{here} {there}");
        if stated {
            let statement = Envelope::parse(told["Statement"].to_string().as_bytes()).unwrap();
            let owner = signed_by(&payments, &statement);
            assert_eq!(owner["Chain"][0]["Scope"], "payments");
            for key in ["Outcome", "Matched", "Rest", "Owner", "Records", "Action"] {
                assert_eq!(owner[key], told[key], "{key}");
            }
        }
        // It is the same one while it holds: whoever follows is not told anew.
        assert_eq!((ask().await.unwrap().statement, world.asked()), (found.statement, 1));
    }
}

#[tokio::test]
async fn a_path_is_deferred_by_whoever_does_not_decide_yet() {
    for side in ["eu", "payments"] {
        let world = World::open(&["eu", "payments"], &[("eu", "payments")]).await;
        submit(&world.at("payments"), register("n1", Some("web"))).await;
        submit(&world.at(side), policy(side, &saying("defer"), OnPartition::Stale)).await;
        let (eu, caller) = (world.at("eu"), Caller::default());
        let found = eu.resolve_path(&caller, "payments/web", "read", FOREVER).await.unwrap();
        assert_eq!((found.outcome, &*found.rule), (Outcome::Defer, "test"), "{side}");
        assert!(found.matched.is_none());
        world.switch.set_down("payments", true);
        let other = eu.resolve_path(&caller, "payments/db", "read", FOREVER).await;
        let unreached = matches!(other, Err(FarFault::NoPath(_)));
        assert_eq!(unreached, side == "payments", "the own policy needs nobody");
    }
}

#[tokio::test]
async fn a_name_of_another_scope_is_judged_in_any_case() {
    const SHUT: &str = r#"package proconsul
import rego.v1
default decision := {"outcome": "resolve", "rule": "open"}
decision := {"outcome": "refuse", "rule": "web"} if input.target.name in ["web", "payments/web", "n1"]
"#;
    for side in ["eu", "payments"] {
        let world = World::open(&["eu", "payments"], &[("eu", "payments")]).await;
        submit(&world.at("payments"), register("N1", Some("Web"))).await;
        submit(&world.at(side), policy(side, SHUT, OnPartition::Stale)).await;
        let payments = ScopePath::parse("payments").unwrap();
        let wait = Wait { after: 0, patience: FOREVER, travel: Duration::from_secs(10) };
        let node = side == "payments";
        for (query, refused) in [
            (Query::Health("WEB".into()), true),
            (Query::Node("N1".into()), node),
            (Query::NodeChecks("N1".into()), node),
            (Query::Health("other".into()), false),
        ] {
            let caller = Caller::default();
            let answer = world.at("eu").lookup_far(&caller, &payments, &query, wait).await;
            let outcome = if refused { Outcome::Refuse } else { Outcome::Resolve };
            assert_eq!(answer.unwrap().outcome, outcome, "{side} {query:?}");
        }
    }
    let world = World::open(&["payments"], &[]).await;
    submit(&world.at("payments"), register("N1", Some("Web"))).await;
    let found = || async {
        let payments = world.at("payments");
        let found = payments.resolve_path(&Caller::default(), "Web", "read", FOREVER).await;
        found.unwrap().matched.unwrap().kind.is_some()
    };
    assert!(found().await);
    submit(&world.at("payments"), policy("payments", SHUT, OnPartition::Stale)).await;
    assert!(!found().await);
}
