use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use super::*;
use crate::clock::Time;
use crate::outcome::Outcome;
use crate::scope::CallerFacts;
use crate::service::{Node, Service};

fn record(name: &str, version: u64, rego: &str) -> ScopePolicy {
    ScopePolicy { name: name.into(), rego: rego.into(), version, ..ScopePolicy::default() }
}

fn scope(path: &str, policy: Option<&str>, inherit: Option<&str>) -> Arc<Scope> {
    let path = ScopePath::parse(path).unwrap();
    let (policy, inherit) = (policy.map(Into::into), inherit.map(Into::into));
    Arc::new(Scope { path, policy, inherit, ..Scope::default() })
}

/// 2026-11-20T16:40:00Z, a Friday.
const NOW: Time = Time(1_795_192_800_000_000_000);

fn ask(set: &PolicySet, chain: &[Arc<Scope>], target: Target<'_>) -> Decided {
    let caller = CallerFacts::default();
    let (action, facts) = (Action::RegisterService, Facts::default());
    set.decide(chain, &Input { caller: &caller, action, target, time: NOW, facts })
}

/// What one policy decides about the service `web`.
fn decided(rego: &str) -> Decided {
    let set = PolicySet::default().timed_by(|| START.elapsed());
    let set = PolicySet::of(&[record("p", 1, rego)], &set);
    ask(&set, &[scope("dc1", Some("p"), None)], Target::Service("web"))
}

#[expect(clippy::disallowed_methods, reason = "a bound on what an evaluation costs")]
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

#[test]
fn ready_rules_decide_as_their_tests_say() {
    for ready in library::ALL {
        let told = run(&[(ready.name, ready.tests)]).unwrap();
        assert!(!told.is_empty(), "{} has no tests", ready.name);
        let failed: Vec<_> = told.iter().filter(|told| told.failure.is_some()).collect();
        assert!(failed.is_empty(), "{failed:?}");
    }
}

#[test]
fn answers_are_read() {
    let cases = [
        (r#"{"outcome": "refuse", "rule": "a"}"#, Outcome::Refuse, "a", None),
        (r#"{"outcome": "attest", "rule": "a", "ttl": 5}"#, Outcome::Attest, "a", Some(5)),
        (
            r#"{"outcome": "defer", "rule": "a b/c", "ttl": "1m"}"#,
            Outcome::Defer,
            "a b/c",
            Some(60),
        ),
        (r#"set()"#, Outcome::Resolve, OPEN, None),
        (r#"[]"#, Outcome::Resolve, OPEN, None),
        (r#"{{"outcome": "resolve", "rule": "a", "ttl": 9}}"#, Outcome::Resolve, "a", Some(9)),
        (
            r#"{{"outcome": "defer", "rule": "a", "ttl": 9}, {"outcome": "refuse", "rule": "b"}}"#,
            Outcome::Refuse,
            "b",
            Some(9),
        ),
    ];
    for (answer, outcome, rule, ttl) in cases {
        let decided = decided(&format!("package p\ndecision := {answer}"));
        assert_eq!(decided.fault, None, "{answer}");
        assert_eq!((decided.outcome, &*decided.rule), (outcome, rule), "{answer}");
        assert_eq!(decided.ttl, ttl.map(Duration::from_secs), "{answer}");
    }
}

#[test]
fn whatever_fails_defers() {
    let doubled = (1..64).fold(String::from("a0 := [1]\n"), |text, n| {
        text + &format!("a{n} := array.concat(a{0}, a{0})\n", n - 1)
    });
    let squared = (1..40).fold(String::from("a0 := 12345\n"), |text, n| {
        text + &format!("a{n} := a{0} * a{0}\n", n - 1)
    });
    let chain = (1..400).fold(String::from("f0(x) := x\n"), |text, n| {
        text + &format!("f{n}(x) := f{0}(x) + 1\n", n - 1)
    });
    let answers = [
        // Nonsense.
        r#"decision := 7"#,
        r#"decision := {"outcome": "allow", "rule": "a"}"#,
        r#"decision := {"outcome": "refuse"}"#,
        r#"decision := {"rule": "a"}"#,
        r#"decision := {"outcome": "refuse", "rule": ""}"#,
        "decision := {\"outcome\": \"refuse\", \"rule\": \"a\\nb\"}",
        r#"decision := {"outcome": "refuse", "rule": "a", "ttl": -1}"#,
        r#"decision := {"outcome": "refuse", "rule": "a", "ttl": 0}"#,
        r#"decision := {"outcome": "refuse", "rule": "a", "ttl": "soon"}"#,
        r#"decision := {"outcome": "refuse", "rule": "a", "why": 1}"#,
        r#"decision := {"outcome": "refuse", "rule": "a"} if input.nothing"#,
        r#"decision := {7}"#,
        "decision := {\"outcome\": \"refuse\", \"rule\": \"a\"}\ndecision := {\"outcome\": \"defer\", \"rule\": \"a\"}",
        r#"decision := unknown.function(1)"#,
        // Without end.
        "decision := {\"outcome\": \"refuse\", \"rule\": sprintf(\"%d\", [f(1)])}\nf(x) := f(x + 1)",
        "decision := count([1 | some a in r; some b in r; some c in r])\nr := numbers.range(1, 4000)",
        "decision := a\na := b\nb := a",
        // Too much.
        r#"decision := numbers.range(1, 1000000000000)"#,
        r#"decision := count(numbers.range(1, 1000000000000))"#,
        &format!("decision := count(a63)\n{doubled}"),
        &format!("decision := a39\n{squared}"),
        &format!("decision := f399(1)\n{chain}"),
        r#"decision := to_number("1e999999999")"#,
        r#"decision := 1e999999999"#,
        r#"decision := replace("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "", input.scope.path)"#,
        r#"decision := sprintf("%999999999d", [1])"#,
    ];
    for answer in answers {
        let decided = decided(&format!("package p\n{answer}"));
        assert_eq!((decided.outcome, &*decided.rule), (Outcome::Defer, FAULT), "{answer:.200}");
        assert!(decided.fault.is_some());
    }
}

#[test]
fn the_strictest_of_a_chain_decides() {
    let open = "package open\ndecision := {\"outcome\": \"resolve\", \"rule\": \"all\"}";
    let wait = "package wait\ndecision := {\"outcome\": \"defer\", \"rule\": \"wait\", \"ttl\": 7}";
    let shut = "package shut\ndecision := {\"outcome\": \"refuse\", \"rule\": \"shut\"}";
    let records = [record("open", 1, open), record("wait", 1, wait), record("shut", 1, shut)];
    let set = PolicySet::of(&records, &PolicySet::default());
    let cases = [
        ((None, None), (None, None), OPEN, "-"),
        ((None, None), (Some("open"), None), "all", "dc1/a"),
        // What a scope hands down does not bind itself, and its own policy no child.
        ((Some("shut"), None), (Some("open"), Some("shut")), "all", "dc1/a"),
        ((None, Some("wait")), (Some("open"), None), "wait", "dc1"),
        ((None, Some("open")), (Some("shut"), None), "shut", "dc1/a"),
        ((None, Some("missing")), (Some("open"), None), FAULT, "dc1"),
    ];
    for ((root, handed), (own, below), rule, by) in cases {
        let chain = [scope("dc1", root, handed), scope("dc1/a", own, below)];
        let decided = ask(&set, &chain, Target::Service("web"));
        assert_eq!(&*decided.rule, rule);
        assert_eq!(decided.scope.as_ref().map_or("-", ScopePath::as_str), by);
    }
}

#[test]
fn a_version_is_compiled_once() {
    let rego = "package p\ndecision := set()";
    let first = PolicySet::of(&[record("p", 1, rego), record("q", 1, rego)], &PolicySet::default());
    let second = PolicySet::of(&[record("p", 1, rego), record("q", 2, rego)], &first);
    assert!(Arc::ptr_eq(first.get("p").unwrap(), second.get("p").unwrap()));
    assert!(!Arc::ptr_eq(first.get("q").unwrap(), second.get("q").unwrap()));
}

#[test]
fn a_bad_policy_is_told_by_its_line() {
    let cases = [
        ("package p\n\ndecision := {", "p:3"),
        ("package p\n\n\nx := print(1)\ndecision := x", "p:4"),
        ("package p\nx := 1", "no rule named decision"),
        ("package library.names\ndecision := 1", "library"),
        ("decision := 1", "p:1"),
    ];
    for (rego, told) in cases {
        let fault = Module::check("p", rego).unwrap_err().to_string();
        assert!(fault.contains(told), "{rego:?}: {fault}");
    }
    let long = format!("package p\n#{}\ndecision := 1", "x\n#".repeat(40_000));
    assert!(Module::check("p", &long).unwrap_err().to_string().contains("bytes"));
}

#[test]
fn a_policy_is_told_what_it_asks_for() {
    let (service, node) = (Service { port: 80, ..Service::default() }, Node::default());
    let rego = "package p\ndecision := {\"outcome\": \"refuse\", \"rule\": sprintf(\"%s %d %s %s\", [input.time.date, input.target.port, input.time.weekday, input.scope.path])}";
    let set = PolicySet::of(&[record("p", 1, rego)], &PolicySet::default());
    let chain = [scope("dc1", Some("p"), None)];
    let decided = ask(&set, &chain, Target::Instance(&service, &node));
    assert_eq!(&*decided.rule, "2026-11-20 80 friday dc1");
    assert_eq!(set.reads(&chain), Reads { facts: false, time: true });
}

#[test]
fn what_is_looked_at_is_known() {
    let cases = [
        ("input.target.name == 1", false, false),
        ("input.time.unix > 1", false, true),
        ("input.facts.services > 1", true, false),
        ("x := input", true, true),
        ("data.library.freeze.frozen([])", false, true),
        ("data.library.quotas.instances(3)", true, false),
    ];
    for (body, facts, time) in cases {
        let rego = format!("package p\ndecision := 1 if {{\n{body}\n}}");
        let module = Module::of(&record("p", 1, &rego));
        assert_eq!(module.reads(), Reads { facts, time }, "{body}");
    }
}

#[test]
fn cases_are_judged() {
    let rego = "package p\ndecision contains {\"outcome\": \"refuse\", \"rule\": \"ports\"} if input.target.port < 1024";
    let case = |port: u16, outcome: &str, rule: &str| -> Option<Box<str>> {
        let case = serde_json::json!({ "name": "a", "input": { "target": { "port": port } }, "outcome": outcome, "rule": rule });
        serde_json::from_value::<Case>(case).unwrap().judge("p", rego).unwrap().failure
    };
    assert_eq!(case(80, "refuse", "ports"), None);
    assert_eq!(case(8080, "resolve", "open"), None);
    let failure = case(8080, "refuse", "ports").unwrap();
    assert_eq!(&*failure, "decides resolve by rule open, not refuse by rule ports");
}
