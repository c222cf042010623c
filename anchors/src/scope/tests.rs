use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;

fn path(text: &str) -> ScopePath {
    ScopePath::parse(text).unwrap()
}

/// `dc1/payments services=pay*,web keys=pay/ accessor=a1 source=10.0.0.0/8 instances=3 depth=1 policy=p`.
fn scope(line: &str) -> Scope {
    let mut words = line.split_whitespace();
    let mut scope = Scope { path: path(words.next().unwrap()), ..Scope::default() };
    let mut rule = CallerRule::default();
    for word in words {
        let (field, value) = word.split_once('=').unwrap();
        let text = || Some(value.into());
        match field {
            "services" => scope.services = value.split(',').map(NameRange::parse).collect(),
            "keys" => scope.keys = value.split(',').map(Into::into).collect(),
            "accessor" => rule.accessor = text(),
            "listener" => rule.listener = text(),
            "source" => rule.source = text(),
            "acl_policy" => rule.policy = text(),
            "instances" => scope.budget.instances = value.parse().ok(),
            "depth" => scope.depth = value.parse().ok(),
            "policy" => scope.policy = text(),
            other => panic!("no field {other}"),
        }
    }
    if rule != CallerRule::default() {
        scope.callers.push(rule);
    }
    scope
}

fn scopes(lines: &str) -> Scopes {
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    Scopes::new(&path("dc1"), lines.map(scope))
}

#[test]
fn the_most_specific_delegation_tells_the_owner() {
    let scopes = scopes(
        "dc1/payments services=pay*,ledger keys=pay/,shared/pay/
         dc1/payments/card services=pay-card*,ledger keys=pay/card/
         dc1/early services=a..m
         dc1/early/b services=b..c,b..bz
         dc1/rest services=q..r",
    );
    let cases = [
        ("pay", "dc1/payments"),
        ("PAY-API", "dc1/payments"),
        ("pay-card", "dc1/payments/card"),
        ("pay-cards-2", "dc1/payments/card"),
        ("pay-car", "dc1/payments"),
        ("ledger", "dc1/payments/card"),
        ("ledgers", "dc1/early"),
        ("a", "dc1/early"),
        ("b", "dc1/early/b"),
        ("bzz", "dc1/early/b"),
        ("c", "dc1/early"),
        ("m", "-"),
        ("pa", "-"),
        ("web", "-"),
        ("", "-"),
        ("q", "dc1/rest"),
        ("qü", "dc1/rest"),
    ];
    for (name, owner) in cases {
        let found = scopes.owner_of_service(name).map_or("-", ScopePath::as_str);
        assert_eq!(found, owner, "{name}");
    }
    let keys = [
        ("pay/x", "dc1/payments"),
        ("pay/card/x", "dc1/payments/card"),
        ("shared/pay/", "dc1/payments"),
        ("shared/", "-"),
        ("Pay/x", "-"),
    ];
    for (key, owner) in keys {
        assert_eq!(scopes.owner_of_key(key).map_or("-", ScopePath::as_str), owner, "{key}");
    }
}

#[test]
fn a_chain_goes_from_the_datacenter_down() {
    let scopes = scopes("dc1/a\ndc1/a/b\ndc1/a-b\ndc1/a/b/c");
    let chain = |of: &str| -> Vec<String> {
        scopes.chain(&path(of)).iter().map(|scope| scope.path.to_string()).collect()
    };
    assert_eq!(chain("dc1/a/b"), ["dc1", "dc1/a", "dc1/a/b"]);
    assert_eq!(chain("dc1"), ["dc1"]);
    assert_eq!(chain("dc1/a/gone"), ["dc1", "dc1/a"]);
    assert!(chain("dc2").is_empty());
    let under: Vec<&str> =
        scopes.all_under(&path("dc1/a")).map(|scope| scope.path.as_str()).collect();
    assert_eq!(under, ["dc1/a", "dc1/a/b", "dc1/a/b/c"]);
    assert!(!scopes.is_empty() && Scopes::new(&path("dc1"), []).is_empty());
}

#[test]
fn a_caller_speaks_for_the_scope_that_knows_most_of_it() {
    let scopes = scopes(
        "dc1/net source=10.0.0.0/8
         dc1/near source=10.1.0.0/16
         dc1/door listener=127.0.0.1:8501
         dc1/team acl_policy=team
         dc1/one accessor=a1
         dc1/both accessor=a2 source=10.0.0.0/8",
    );
    let facts = |accessor: &str, policy: &str, listener: &str, source: &str| CallerFacts {
        accessor: (!accessor.is_empty()).then(|| accessor.into()),
        policies: [policy.into()].into(),
        listener: (!listener.is_empty()).then(|| listener.into()),
        source: source.parse().ok(),
        ..CallerFacts::default()
    };
    let cases = [
        (("", "", "", ""), "-"),
        (("", "", "", "10.2.0.1"), "dc1/net"),
        (("", "", "", "10.1.0.1"), "dc1/near"),
        (("", "", "127.0.0.1:8501", "10.1.0.1"), "dc1/door"),
        (("a9", "team", "127.0.0.1:8501", "10.1.0.1"), "dc1/team"),
        (("a1", "team", "", "10.1.0.1"), "dc1/one"),
        (("a2", "team", "", "10.1.0.1"), "dc1/both"),
        (("a2", "", "", "11.0.0.1"), "-"),
    ];
    for ((accessor, policy, listener, source), expected) in cases {
        let facts = facts(accessor, policy, listener, source);
        assert_eq!(scopes.scope_of(&facts).map_or("-", ScopePath::as_str), expected, "{facts:?}");
    }
}

#[test]
fn scopes_that_do_not_fit_together_are_told() {
    let cases: [(&str, &[&str]); 16] = [
        ("dc1/a services=x\ndc1/b services=y", &[]),
        ("dc2/a", &["scope dc2/a: its first label must be this datacenter's name, dc1"]),
        (
            "dc1/a/b",
            &[
                "scope dc1/a/b: there is no scope dc1/a that it could lie under; write that one first",
            ],
        ),
        (
            "dc1 depth=1\ndc1/a\ndc1/a/b",
            &["scope dc1/a/b: only 1 labels may lie under dc1; see the depth of that scope"],
        ),
        (
            "dc1/a services=web\ndc1/b services=web",
            &[
                "scope dc1/b: services \"web\" has names of scope dc1/a, \"web\": a name has one owner",
            ],
        ),
        (
            "dc1/a services=pay*\ndc1/b services=payments",
            &[
                "scope dc1/b: services \"payments\" has names of scope dc1/a, \"pay*\": a name has one owner",
            ],
        ),
        (
            "dc1/a services=b..m\ndc1/b services=lz*",
            &[
                "scope dc1/b: services \"lz*\" has names of scope dc1/a, \"b..m\": a name has one owner",
            ],
        ),
        ("dc1/a services=b..m\ndc1/b services=m", &[]),
        ("dc1/a services=pay*\ndc1/a/b services=payments", &[]),
        (
            "dc1/a keys=x/\ndc1/b keys=x/y/",
            &[
                "scope dc1/b: keys \"x/y/*\" has names of scope dc1/a, \"x/*\": a name has one owner",
            ],
        ),
        (
            "dc1/a instances=2\ndc1/a/b\ndc1/a/b/c instances=3",
            &[
                "scope dc1/a/b/c: budget.instances: 3 is more than scope dc1/a, under which it lies, may hold: 2",
            ],
        ),
        ("dc1/a policy=known", &[]),
        ("dc1/a policy=other", &["scope dc1/a: policy: there is no policy \"other\""]),
        (
            "dc1/a source=10.0.0.0/x",
            &["scope dc1/a: callers: source must be a network such as 10.0.0.0/8"],
        ),
        ("dc1/a services=Web", &[]),
        (
            "dc1/a services=m..b",
            &[
                "scope dc1/a: services: \"m..b\" has no names: its end must come after its beginning",
            ],
        ),
    ];
    for (lines, expected) in cases {
        let faults = scopes(lines).faults(|name| name == "known");
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(told, expected, "{lines}");
    }
}

#[test]
fn a_datacenters_scopes_nest_sixteen_deep() {
    let deep = |labels: usize| -> String {
        let paths = (1..=labels).map(|n| format!("dc1{}\n", "/x".repeat(n)));
        paths.collect()
    };
    assert!(scopes(&deep(16)).faults(|_| true).is_empty());
    assert_eq!(scopes(&deep(17)).faults(|_| true).len(), 1);
    assert!(scopes(&format!("dc1 depth=20\n{}", deep(17))).faults(|_| true).is_empty());
}

/// Whose a name is, by a look at each range of each scope.
fn plain_owner<'a>(scopes: &'a [Scope], name: &str) -> Option<&'a ScopePath> {
    let all = scopes.iter().flat_map(|s| s.services.iter().map(move |range| (range, &s.path)));
    let held = all.filter(|(range, _)| range.contains(name));
    let (_, path) = held.max_by_key(|(range, path)| {
        let (kind, from, below) = match range {
            NameRange::Exact(_) => (2, "", ""),
            NameRange::Prefix(prefix) => (1, &**prefix, ""),
            NameRange::Range(from, below) => (0, &**from, &**below),
        };
        (kind, from.to_owned(), std::cmp::Reverse(below.to_owned()), path.depth(), (*path).clone())
    })?;
    Some(path)
}

#[test]
fn owners_are_those_of_a_plain_model() {
    let word = |rng: &mut StdRng, most: usize| -> String {
        (0..rng.random_range(0..=most)).map(|_| ['a', 'b', 'ü'][rng.random_range(0..3)]).collect()
    };
    for seed in 0..300 {
        let mut rng = StdRng::seed_from_u64(seed);
        let scopes: Vec<Scope> = ["dc1/x", "dc1/x/y", "dc1/x/y/z", "dc1/w"]
            .map(|at| {
                let mut scope = scope(at);
                for _ in 0..rng.random_range(0..5) {
                    let (a, b) = (word(&mut rng, 3), word(&mut rng, 3));
                    scope.services.push(match rng.random_range(0..3) {
                        0 => NameRange::Exact(a.into()),
                        1 => NameRange::Prefix(a.into()),
                        _ => NameRange::Range(a.into(), b.into()),
                    });
                }
                scope
            })
            .into();
        let table = Scopes::new(&path("dc1"), scopes.clone());
        let one_owner = table.faults(|_| true).is_empty();
        for _ in 0..60 {
            let name = word(&mut rng, 4);
            assert_eq!(table.owner_of_service(&name), plain_owner(&scopes, &name), "{seed} {name}");
            let mut holders =
                scopes.iter().filter(|s| s.services.iter().any(|r| r.contains(&name)));
            let strangers =
                holders.clone().any(|a| holders.any(|b| !check::related(&a.path, &b.path)));
            assert!(!(one_owner && strangers), "{seed}: two owners of {name} were let through");
        }
    }
}
