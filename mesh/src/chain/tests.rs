use crate::chain::{Compiled, Place, Wishes};
use crate::testing::Lines;

fn place() -> Place {
    Place { datacenter: "dc1".to_owned(), trust_domain: "t.consul".to_owned() }
}

fn compile(service: &str, wishes: &str, entries: &str) -> Result<Compiled, String> {
    let wishes = Wishes::decode(&serde_json::from_str(wishes).unwrap()).unwrap();
    Compiled::of(service, &place(), &wishes, &Lines::of(entries)).map_err(|fault| fault.to_string())
}

/// The start, then each node and where it leads.
fn shown(compiled: &Compiled) -> String {
    let nodes = compiled.chain.nodes.iter().map(|(key, node)| {
        let spare = node.resolver.iter().filter_map(|resolver| resolver.failover.as_ref());
        let spare: Vec<String> =
            spare.flat_map(|failover| &failover.targets).map(|id| format!("or {id}")).collect();
        let next: Vec<String> = node
            .next()
            .map(str::to_owned)
            .zip(
                node.splits
                    .iter()
                    .map(|split| format!(" {}", split.weight.0))
                    .chain(std::iter::repeat(String::new())),
            )
            .map(|(next, weight)| format!("{next}{weight}"))
            .collect();
        format!("{key} -> {}", [next, spare].concat().join(", "))
    });
    let lines: Vec<String> = nodes.collect();
    format!("{}\n{}", compiled.chain.start, lines.join("\n"))
}

const HTTP: &str = r#"{"Kind":"proxy-defaults","Name":"global","Config":{"protocol":"http"}}"#;

#[test]
fn a_name_without_entries_leads_to_itself() {
    let chain = compile("web", "{}", "").unwrap();
    assert!(!chain.touched && chain.chain.default && chain.protocol() == "tcp");
    assert_eq!(
        shown(&chain),
        "resolver:web.default.default.dc1\nresolver:web.default.default.dc1 -> "
    );
    let target = &chain.chain.targets["web.default.default.dc1"];
    assert_eq!(target.sni, "web.default.dc1.internal.t.consul");
}

#[test]
fn routers_split_and_splits_of_splits_are_one() {
    let entries = format!(
        "{HTTP}\n{}\n{}\n{}",
        r#"{"Kind":"service-router","Name":"web","Routes":[{"Match":{"HTTP":{"PathPrefix":"/a"}},"Destination":{"Service":"api"}}]}"#,
        r#"{"Kind":"service-splitter","Name":"web","Splits":[{"Weight":50,"Service":"a"},{"Weight":50,"Service":"nested"}]}"#,
        r#"{"Kind":"service-splitter","Name":"nested","Splits":[{"Weight":10,"Service":"b"},{"Weight":90,"Service":"c"}]}"#,
    );
    let chain = compile("web", "{}", &entries).unwrap();
    let expected = "router:web.default.default
resolver:a.default.default.dc1 -> 
resolver:api.default.default.dc1 -> 
resolver:b.default.default.dc1 -> 
resolver:c.default.default.dc1 -> 
router:web.default.default -> resolver:api.default.default.dc1, splitter:web.default.default
splitter:web.default.default -> resolver:a.default.default.dc1 50, resolver:b.default.default.dc1 5, resolver:c.default.default.dc1 45";
    assert_eq!(shown(&chain), expected);
}

#[test]
fn redirects_subsets_and_failover_are_followed() {
    let entries = r#"
{"Kind":"service-resolver","Name":"old","Redirect":{"Service":"web","Datacenter":"dc2"}}
{"Kind":"service-resolver","Name":"web","DefaultSubset":"v1","Subsets":{"v1":{"Filter":"x"}},"Failover":{"*":{"Datacenters":["dc3","dc2"]}}}
"#;
    let chain = compile("old", "{}", entries).unwrap();
    let expected = "resolver:v1.web.default.default.dc2\nresolver:v1.web.default.default.dc2 -> or v1.web.default.default.dc3";
    assert_eq!(shown(&chain), expected);
    assert_eq!(chain.chain.targets["v1.web.default.default.dc2"].instances.filter, "x");
}

#[test]
fn wishes_change_the_chain_and_are_told_by_a_word() {
    let wishes = r#"{"OverrideMeshGateway":{"Mode":"local"},"OverrideProtocol":"grpc","OverrideConnectTimeout":"22s"}"#;
    let entries = r#"{"Kind":"service-resolver","Name":"web","ConnectTimeout":"33s"}"#;
    let chain = compile("web", wishes, entries).unwrap();
    // The word is the one that Consul's own client expects.
    assert_eq!((chain.chain.customization.as_str(), chain.protocol()), ("98809527", "grpc"));
}

#[test]
fn contradictions_are_told() {
    let cases = [
        (
            r#"{"Kind":"service-resolver","Name":"a","Redirect":{"Service":"b"}}
{"Kind":"service-resolver","Name":"b","Redirect":{"Service":"a"}}"#,
            "detected circular resolver redirect: [a.default.default.dc1 -> b.default.default.dc1 -> a.default.default.dc1]",
        ),
        (
            r#"{"Kind":"service-router","Name":"a"}"#,
            "discovery chain \"a\" uses a protocol \"tcp\" that does not permit advanced routing or splitting behavior",
        ),
        (
            r#"{"Kind":"service-defaults","Name":"a","Protocol":"http"}
{"Kind":"service-splitter","Name":"a","Splits":[{"Weight":50},{"Weight":50,"Service":"b"}]}"#,
            "discovery chain \"a\" uses inconsistent protocols; service \"b\" has \"tcp\" which is not \"http\"",
        ),
        (
            r#"{"Kind":"service-resolver","Name":"a","Redirect":{"Service":"b","ServiceSubset":"v1"}}"#,
            "service \"b\" does not have a subset named \"v1\"",
        ),
        (
            r#"{"Kind":"service-defaults","Name":"a","ExternalSNI":"x"}
{"Kind":"service-resolver","Name":"a","Subsets":{"v1":{}}}"#,
            "service \"a\" has an external SNI set; cannot define subsets for external services",
        ),
    ];
    for (entries, told) in cases {
        let told = format!("failed to compile discovery chain: {told}");
        assert_eq!(compile("a", "{}", entries).map(|_| ()), Err(told), "{entries}");
    }
    let circle = format!(
        "{HTTP}\n{}\n{}",
        r#"{"Kind":"service-splitter","Name":"a","Splits":[{"Weight":100,"Service":"b"}]}"#,
        r#"{"Kind":"service-splitter","Name":"b","Splits":[{"Weight":100,"Service":"a"}]}"#,
    );
    let told = "failed to compile discovery chain: detected circular reference: [splitter:a.default.default -> splitter:b.default.default -> splitter:a.default.default]";
    assert_eq!(compile("a", "{}", &circle).map(|_| ()), Err(told.to_owned()));
}

/// So many splitters, each with ways to the next two.
fn growing(levels: usize) -> String {
    let way = |to: usize| format!(r#"{{"Weight":50,"Service":"s{to}"}}"#);
    let split = |at: usize| {
        let ways = format!("{},{}", way(at + 1), way(at + 2));
        format!(r#"{{"Kind":"service-splitter","Name":"s{at}","Splits":[{ways}]}}"#)
    };
    let levels: Vec<String> = (0..levels).map(split).collect();
    format!("{HTTP}\n{}", levels.join("\n"))
}

#[test]
fn chains_that_grow_with_every_level_are_bounded() {
    let told = |levels| compile("s0", "{}", &growing(levels)).map(|chain| chain.chain.nodes.len());
    let refused = |what: &str| {
        Err(format!("failed to compile discovery chain: discovery chain \"s0\" {what}"))
    };
    assert_eq!(told(10), Ok(3));
    assert_eq!(told(40), refused("splits into more than 10000 ways"));
    assert_eq!(told(65), refused("has more than 64 nested splitters"));
}
