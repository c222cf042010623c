//! Lines of data: what people write, and what Consul 1.22.7 says of what it does not take.

use super::*;

/// Prints rules on one line.
fn print(rules: &Rules) -> String {
    let whole = rules.whole.iter().map(|(resource, level)| format!("{resource}={level:?}"));
    let named = rules.named.iter().map(|rule| {
        let any = if rule.matches == Match::Prefix { "*" } else { "" };
        let intentions = rule.intentions.map(|level| format!("/{level:?}")).unwrap_or_default();
        format!("{}:{}{any}={:?}{intentions}", rule.resource, rule.name, rule.level)
    });
    whole.chain(named).collect::<Vec<_>>().join(" ")
}

fn check(source: &str, expected: &str) {
    let read = Rules::parse(source).map_or_else(|error| error.to_string(), |rules| print(&rules));
    assert_eq!(read, expected, "{source}");
}

#[test]
fn rules_are_read() {
    for (source, rules) in [
        ("", ""),
        ("acl = \"read\" mesh = \"Write\"", "acl=Read mesh=Write"),
        ("operator = \"\"", ""),
        ("key \"a\" { policy = \"list\" }", "key:a=List"),
        (
            "key_prefix \"\" { policy = \"deny\" } key \"b\" { policy = \"write\" }",
            "key:b=Write key:*=Deny",
        ),
        ("service \"web\" { policy = \"write\" intentions = \"deny\" }", "service:web=Write/Deny"),
        (
            "{\"node_prefix\": {\"\": {\"policy\": \"read\"}}, \"acl\": \"write\"}",
            "acl=Write node:*=Read",
        ),
        ("{\"event\": [{\"e\": {\"policy\": \"read\"}}]}", "event:e=Read"),
        ("Key_Prefix \"x\" { Policy = \"read\" }", "key:x*=Read"),
        (
            "key \"a\" { policy = \"read\" } key \"a\" { policy = \"write\" }",
            "key:a=Read key:a=Write",
        ),
        ("foo \"a\" { policy = \"zz\" } identity \"x\" { policy = \"zz\" }", ""),
        ("key { policy = \"read\" }", "key:policy=Read"),
    ] {
        check(source, rules);
    }
}

#[test]
fn what_is_not_taken_is_told_in_consuls_words() {
    for (source, told) in [
        ("acl = \"list\"", "Invalid acl policy: \"list\""),
        (
            "key \"a\" { policy = \"zz\" }",
            "Invalid key policy: &acl.KeyRule{Prefix:\"a\", Policy:\"zz\", EnterpriseRule:acl.EnterpriseRule{}}",
        ),
        (
            "agent_prefix \"a\" { policy = \"list\" }",
            "Invalid agent_prefix policy: &acl.AgentRule{Node:\"a\", Policy:\"list\"}",
        ),
        (
            "service \"a\" { intentions = \"read\" }",
            "Invalid service policy: &acl.ServiceRule{Name:\"a\", Policy:\"\", Intentions:\"read\", EnterpriseRule:acl.EnterpriseRule{}}",
        ),
        (
            "service_prefix \"a\" { policy = \"read\" intentions = \"x\" }",
            "Invalid service_prefix intentions policy: &acl.ServiceRule{Name:\"a\", Policy:\"read\", Intentions:\"x\", EnterpriseRule:acl.EnterpriseRule{}}",
        ),
        (
            "event \"\u{e9}\u{1}\" { policy = \"a\\\"b\\t\" }",
            "Invalid event policy: &acl.EventRule{Event:\"\u{e9}\\x01\", Policy:\"a\\\"b\\t\"}",
        ),
        (
            "query \"a\" { }",
            "Invalid query policy: &acl.PreparedQueryRule{Prefix:\"a\", Policy:\"\"}",
        ),
        (
            "acl = \"read\"\nacl = \"read\"",
            "Failed to parse ACL rules: The argument \"acl\" at 2:1 was already set. Each argument can only be defined once",
        ),
        (
            "key \"a\" {",
            "Failed to parse ACL rules: At 1:11: object expected closing RBRACE got: EOF",
        ),
        ("key = \"a\"", "Failed to parse ACL rules: At 1:1: unknown slice type: *ast.LiteralType"),
        (
            "acl = true",
            "Failed to parse ACL rules: At 1:1: root.acl: unknown type for string *ast.LiteralType",
        ),
        (
            "{\"acl\": {}}",
            "Failed to parse ACL rules: At -: root.acl: unknown type for string *ast.ObjectList",
        ),
        (
            "{\"key\": [\"a\"]}",
            "Failed to parse ACL rules: At -: root.key[0]: not an object type for struct (*ast.LiteralType)",
        ),
    ] {
        check(source, told);
    }
}
