//! The door of a real scope whose policy has a say in what DNS tells.

use std::sync::atomic::{AtomicU64, Ordering};

use proconsul_anchors::acl::AclSettings;
use proconsul_anchors::change::{Change, Registration};
use proconsul_anchors::clock::Clock;
use proconsul_anchors::credential::dsse::Envelope;
use proconsul_anchors::credential::offline::Taxonomy;
use proconsul_anchors::group::GroupSettings;
use proconsul_anchors::handle::Handle;
use proconsul_anchors::record::{AnyRecord, RecordChange, When};
use proconsul_anchors::scope::{NameRange, Scope, ScopePath, ScopePolicy};
use proconsul_anchors::service::{Node, Service as Registered};
use proconsul_anchors::store::Store;
use proconsul_conformance::dns::shown::show;
use proconsul_conformance::dns::wire;

use super::*;

/// In the first hour all but one is shown; after it nothing is answered anew.
const POLICY: &str = r#"package p
decision contains {"outcome": "attest", "rule": "shown"} if input.target.name == "pay-shown"
decision contains {"outcome": "refuse", "rule": "shut"} if {
	input.action == "service:read"
	input.target.name == "pay-shut"
}
decision contains {"outcome": "defer", "rule": "hours", "ttl": 60} if {
	input.action == "service:read"
	input.time.minute_of_day >= 60
}
"#;
const HOUR: u64 = 3_600_000_000_000;

struct Moved(AtomicU64);

impl Clock for Moved {
    fn now(&self) -> Time {
        Time(self.0.load(Ordering::Relaxed))
    }
}

struct Governed {
    handle: Handle,
    clock: Arc<Moved>,
    service: Arc<Service<Handle>>,
    kept: Kept,
}

impl Governed {
    /// `pay-shown`, `pay-shut` and `pay-late` on `n1`, and nobody who has a say in them yet.
    async fn open(text: &str) -> Self {
        let clock = Arc::new(Moved(AtomicU64::new(1_000)));
        let store = Arc::new(Store::in_memory().unwrap());
        let group = GroupSettings { scope: "dc1".into(), member: "n1".into() };
        let (acl, at) = (AclSettings::default(), Arc::clone(&clock) as _);
        let handle = Handle::open(store, group, acl, at).await.unwrap();
        for (name, port) in [("pay-shown", 80), ("pay-shut", 81), ("pay-late", 82)] {
            let node = Node { name: "n1".into(), address: "10.0.0.1".into(), ..Node::default() };
            let tags = std::iter::once(Box::<str>::from("_proof")).collect();
            let (id, name) = (name.into(), name.into());
            let service = Some(Registered { id, name, port, tags, ..Registered::default() });
            let registration = Registration { node, service, ..Registration::default() };
            submit(&handle, Change::Register(Box::new(registration))).await;
        }
        let settings = World::read(text).settings;
        let service = Service::new(handle.clone(), Arc::new(ArcSwap::from_pointee(settings)));
        Self { handle, clock, service, kept: Kept::default() }
    }

    async fn govern(&self) {
        let put = |record| RecordChange::Put { record, when: When::Always };
        let (name, rego) = ("p".into(), POLICY.into());
        let policy = ScopePolicy { name, rego, version: 1, ..ScopePolicy::default() };
        let scope = Scope {
            path: ScopePath::parse("dc1/pay").unwrap(),
            services: vec![NameRange::Prefix("pay".into())],
            policy: Some("p".into()),
            ..Scope::default()
        };
        let records =
            [AnyRecord::ScopePolicy(policy.into()), AnyRecord::Scope(scope.into())].map(put);
        submit(&self.handle, Change::Records(records.into())).await;
        self.handle.found_trust().await.unwrap();
    }

    /// The reply to a datagram, by the way of a listener that keeps replies.
    async fn ask(&mut self, question: &str) -> Vec<String> {
        let message = wire::question(question, 7).unwrap();
        let (service, kept, mut out) = (&self.service, &mut self.kept, Vec::new());
        service.turn(kept);
        let reply = match service.respond_again(kept, None, &message, &mut rand::rng(), &mut out) {
            Again::Silence => panic!("{question} is a query"),
            Again::Now => out,
            Again::Later(reply) => reply.await,
        };
        let shown = show(Some(&reply));
        [vec![shown.head], shown.records[1..].to_vec()].concat()
    }

    /// An attestation, as somebody verifies it who has nothing but the taxonomy and the answer.
    fn verify(&self, id: &str, answer: &str) -> (String, String) {
        let (envelope, now) = (self.handle.attestation(id).unwrap(), self.handle.now());
        let taxonomy = self.handle.taxonomy().to_json();
        let taxonomy = Taxonomy::read(taxonomy.as_bytes(), None, now).unwrap();
        assert!(Envelope::parse(envelope.as_bytes()).is_ok());
        let other = taxonomy.attestation(envelope.as_bytes(), Some(b"another answer"), now);
        assert!(other.is_err());
        let read = taxonomy.attestation(envelope.as_bytes(), Some(answer.as_bytes()), now).unwrap();
        (read.scope.to_string(), read.query.into())
    }
}

async fn submit(handle: &Handle, change: Change) {
    handle.submit(&Caller::own(), change).await.unwrap();
}

#[tokio::test]
async fn proofs_are_told_of_what_a_policy_wants_attested() {
    let mut scope = Governed::open("set a_record_limit=1").await;
    // Nobody has a say yet: it is a tag, as with Consul.
    let tag = "udp edns=1232 _proof.pay-shown.service.consul TXT";
    let before = scope.ask(tag).await;
    assert!(before.iter().any(|line| line.contains("A 10.0.0.1")), "{before:?}");
    scope.govern().await;
    let told = scope.ask(tag).await;
    assert!(told[0].starts_with("NOERROR"), "{told:?}");
    let owner = "pay-shown.service.consul.";
    let sets = [
        ("A", format!("{owner} a 10.0.0.1\n")),
        ("SRV", format!("{owner} srv 1 1 80 n1.node.dc1.consul.\n")),
    ];
    for (kind, set) in sets {
        let of_kind = format!("type={kind}");
        let line = told.iter().find(|line| line.contains(&of_kind));
        let line = line.unwrap_or_else(|| panic!("{of_kind} in {told:?}"));
        for part in ["scope=dc1/pay", "rule=shown", " 0 TXT ", "answer=sha256:"] {
            assert!(line.contains(part), "{part} in {line}");
        }
        let id = line.split("/v1/anchor/attestation/").nth(1).unwrap();
        let (by, query) = scope.verify(&id[..64], &set);
        assert_eq!(
            (by.as_str(), query),
            ("dc1/pay", format!("dns:pay-shown.service.consul?type={kind}"))
        );
    }
    assert_eq!(told.iter().filter(|line| line.contains("attestation")).count(), 2, "{told:?}");
    for (name, head) in [
        // Of others there is only the tag.
        ("_proof.pay-late.service.consul", "NOERROR"),
        ("_proof.web.service.consul", "NXDOMAIN"),
        ("_proof.x.pay-shown.service.consul", "NXDOMAIN"),
        ("_proof.pay-shut.service.consul", "NXDOMAIN"),
    ] {
        let told = scope.ask(&format!("udp {name} TXT")).await;
        assert!(told[0].starts_with(head), "{name}: {told:?}");
        assert!(!told.iter().any(|line| line.contains("attestation")), "{name}: {told:?}");
    }
}

#[tokio::test]
async fn what_was_known_last_is_kept_by_nobody() {
    let mut scope = Governed::open("set node_ttl=5s\nset service_ttl:pay-late=7s").await;
    scope.govern().await;
    let question = "udp edns=1232 pay-late.service.consul SRV";
    let fresh = scope.ask(question).await;
    assert!(fresh[1].contains(". 7 SRV 1 1 82 "), "{fresh:?}");
    assert!(
        fresh.iter().any(|line| line.contains("n1.node.dc1.consul. 7 A 10.0.0.1")),
        "{fresh:?}"
    );
    scope.clock.0.store(HOUR, Ordering::Relaxed);
    let stale = scope.ask(question).await;
    assert!(stale[1].contains(". 0 SRV 1 1 82 "), "{stale:?}");
    assert!(
        stale.iter().any(|line| line.contains("n1.node.dc1.consul. 0 A 10.0.0.1")),
        "{stale:?}"
    );
    // 15 is the number of the option, 3 that of stale answers.
    assert!(stale.iter().any(|line| line.contains("Unknown(15, [0, 3, ")), "{stale:?}");
    // What was never told before cannot be told now.
    scope.clock.0.store(HOUR + 1, Ordering::Relaxed);
    let never = scope.ask("udp edns=1232 pay-new.service.consul A").await;
    assert!(never[0].starts_with("SERVFAIL"), "{never:?}");
    assert!(never.iter().any(|line| line.contains("Unknown(15, [0, 14, ")), "{never:?}");
}

#[tokio::test]
async fn no_reply_is_kept_in_which_a_policy_has_a_part() {
    let mut scope = Governed::open("").await;
    let names = ["pay-shown", "pay-shut", "pay-late"];
    for name in names {
        for _ in 0..9 {
            assert!(
                scope.ask(&format!("udp {name}.service.consul A")).await[0].starts_with("NOERROR")
            );
        }
    }
    assert_eq!(scope.kept.count(), names.len(), "nobody had a say");
    // The rows of the services are as they were: what was kept is true, and not to be told any more.
    scope.govern().await;
    for (name, head) in names.into_iter().zip(["NOERROR", "NXDOMAIN", "NOERROR"]) {
        for _ in 0..9 {
            let told = scope.ask(&format!("udp {name}.service.consul A")).await;
            assert!(told[0].starts_with(head), "{name}: {told:?}");
        }
    }
    assert_eq!(scope.kept.count(), 0);
}
