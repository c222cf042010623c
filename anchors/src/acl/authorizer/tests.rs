//! Lines of data, and a plain model that looks at every rule.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;

fn authorizer(policies: &str) -> Authorizer {
    let rules: Vec<Rules> = policies.split("---").map(|one| Rules::parse(one).unwrap()).collect();
    Authorizer::of(&rules)
}

/// `key:write on a/`, `service:write any`, `node:read all`, `key:write under a/`, `mesh:read`.
fn act(line: &str) -> Act<'_> {
    let (what, reach) = line.split_once(' ').unwrap_or((line, ""));
    let (resource, access) = what.split_once(':').unwrap();
    let resource = match resource {
        "acl" => Resource::Acl,
        "intention" => Resource::Intention,
        "key" => Resource::Key,
        "mesh" => Resource::Mesh,
        "node" => Resource::Node,
        "operator" => Resource::Operator,
        "peering" => Resource::Peering,
        "service" => Resource::Service,
        other => panic!("no resource {other}"),
    };
    let access = match access {
        "read" => Access::Read,
        "list" => Access::List,
        _ => Access::Write,
    };
    let reach = match reach.split_once(' ') {
        Some(("on", name)) => Reach::Named(name),
        Some((_, name)) => Reach::Under(name),
        None if reach == "any" => Reach::Any,
        None if reach == "all" => Reach::All,
        None => Reach::Whole,
    };
    Act { resource, access, reach }
}

fn check(policies: &str, answers: &[(&str, Verdict)]) {
    let authorizer = authorizer(policies);
    for (line, verdict) in answers {
        assert_eq!(authorizer.ask(act(line)), *verdict, "{line} with {policies}");
    }
}

use Verdict::{Allowed, Denied, Unsaid};

#[test]
fn the_most_specific_rule_decides() {
    check(
        r#"key_prefix "" { policy = "read" } key_prefix "a/" { policy = "write" }
           key_prefix "a/b" { policy = "deny" } key "a/b/c" { policy = "list" }"#,
        &[
            ("key:write on a/x", Allowed),
            ("key:read on a/b", Denied),
            ("key:read on a/bz", Denied),
            ("key:read on a/b/c", Allowed),
            ("key:list on a/b/c", Allowed),
            ("key:write on a/b/c", Denied),
            ("key:read on a/b/cd", Denied),
            ("key:read on z", Allowed),
            ("key:write on z", Denied),
            ("node:read on z", Unsaid),
        ],
    );
}

#[test]
fn of_rules_about_one_name_the_strongest_wins() {
    let two = |a: &str, b: &str| {
        format!("key \"k\" {{ policy = \"{a}\" }} --- key \"k\" {{ policy = \"{b}\" }}")
    };
    for (a, b, read, write) in [
        ("read", "write", Allowed, Allowed),
        ("deny", "write", Denied, Denied),
        ("list", "read", Allowed, Denied),
        ("write", "list", Allowed, Allowed),
    ] {
        check(&two(a, b), &[("key:read on k", read), ("key:write on k", write)]);
        check(&two(b, a), &[("key:read on k", read), ("key:write on k", write)]);
    }
    check("acl = \"write\" --- acl = \"deny\"", &[("acl:read", Denied)]);
}

#[test]
fn the_mesh_is_the_operators() {
    check(
        "operator = \"read\" peering = \"write\"",
        &[("mesh:read", Allowed), ("mesh:write", Denied), ("peering:write", Allowed)],
    );
    check("mesh = \"write\"", &[("operator:read", Unsaid), ("peering:read", Unsaid)]);
}

#[test]
fn intentions_follow_their_service() {
    check(
        r#"service "web" { policy = "write" } service "db" { policy = "read" intentions = "write" }
           service_prefix "x" { policy = "deny" }"#,
        &[
            ("intention:read on web", Allowed),
            ("intention:write on web", Denied),
            ("intention:write on db", Allowed),
            ("intention:read on xy", Denied),
            ("intention:read on other", Unsaid),
            ("intention:read on *", Allowed),
            ("intention:write on *", Denied),
        ],
    );
    // Levels and intentions merge apart.
    check(
        "service \"a\" { policy = \"read\" intentions = \"read\" } --- service \"a\" { policy = \"write\" }",
        &[
            ("intention:read on a", Allowed),
            ("intention:write on a", Denied),
            ("service:write on a", Allowed),
        ],
    );
}

#[test]
fn a_tree_needs_every_rule_below() {
    check(
        r#"key_prefix "a/" { policy = "write" } key "a/b" { policy = "write" } key "c/d" { policy = "read" }"#,
        &[
            ("key:write under a/", Allowed),
            ("key:write under a/b", Allowed),
            ("key:write under a", Unsaid),
            ("key:write under c", Denied),
            ("key:write under", Unsaid),
        ],
    );
    check(
        r#"key_prefix "" { policy = "write" } key_prefix "a/x" { policy = "list" }"#,
        &[
            ("key:write under a/", Denied),
            ("key:write under a/y", Allowed),
            ("key:write under b", Allowed),
        ],
    );
}

#[test]
fn any_and_all() {
    check(
        r#"node_prefix "" { policy = "read" } node "x" { policy = "deny" } service "s" { policy = "write" }"#,
        &[
            ("node:read all", Denied),
            ("node:read any", Allowed),
            ("node:write any", Denied),
            ("service:write any", Allowed),
            ("service:read all", Unsaid),
        ],
    );
    check("node_prefix \"\" { policy = \"read\" }", &[("node:read all", Allowed)]);
}

/// Looks at every rule for the one that decides.
fn model(rules: &[Rule], name: &str, access: Access) -> Verdict {
    let of = |matches: Match, text: &str| {
        let about = rules.iter().filter(|rule| rule.matches == matches && &*rule.name == text);
        about.map(|rule| rule.level).max()
    };
    let beginnings = (0..=name.len()).rev().filter(|end| name.is_char_boundary(*end));
    let level = of(Match::Exact, name)
        .or_else(|| beginnings.into_iter().find_map(|end| of(Match::Prefix, &name[..end])));
    verdict(level, access)
}

#[test]
fn after_any_rules_it_answers_as_the_plain_model() {
    const LEVELS: [Level; 4] = [Level::Read, Level::List, Level::Write, Level::Deny];
    fn name(rng: &mut StdRng) -> String {
        (0..rng.random_range(0..5)).map(|_| ['a', 'b', '\u{e9}'][rng.random_range(0..3)]).collect()
    }
    for seed in 0..400 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut rule = || Rule {
            resource: Resource::Key,
            matches: [Match::Exact, Match::Prefix][rng.random_range(0..2)],
            name: name(&mut rng).into(),
            level: LEVELS[rng.random_range(0..4)],
            intentions: None,
        };
        let named: Vec<Rule> = (0..seed % 12).map(|_| rule()).collect();
        let rules = Rules { whole: Vec::new(), named };
        let authorizer = Authorizer::of([&rules]);
        for _ in 0..40 {
            let name = name(&mut rng);
            for access in [Access::Read, Access::List, Access::Write] {
                let act = Act { resource: Resource::Key, access, reach: Reach::Named(&name) };
                let expected = model(&rules.named, &name, access);
                assert_eq!(authorizer.ask(act), expected, "seed {seed} {act:?} {rules:?}");
            }
            let under = Act::key_write_under(&name);
            assert_eq!(
                authorizer.ask(under),
                model_under(&rules.named, &name),
                "seed {seed} {under:?}"
            );
        }
    }
}

fn model_under(rules: &[Rule], prefix: &str) -> Verdict {
    let beginnings: Vec<Rule> =
        rules.iter().filter(|rule| rule.matches == Match::Prefix).cloned().collect();
    let base = model(&beginnings, prefix, Access::Write);
    let strongest = |rule: &Rule| {
        let same =
            rules.iter().filter(|other| other.name == rule.name && other.matches == rule.matches);
        same.map(|other| other.level).max()
    };
    let below = rules.iter().filter(|rule| rule.name.starts_with(prefix));
    let withheld = below.into_iter().any(|rule| strongest(rule) != Some(Level::Write));
    if withheld { Denied } else { base }
}
