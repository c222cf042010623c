//! Lines of data: what users write, and what Consul 1.22.7 says of what it does not read.

use super::*;

fn check(source: &str, expected: &str) {
    let read = read(source).map(|node| node.to_json().to_string());
    assert_eq!(read.as_deref().unwrap_or_else(|fault| fault), expected, "{source}");
}

#[test]
fn what_only_the_first_language_has() {
    for (source, json) in [
        ("ports { http = 8500 dns = 8600 }", r#"{"ports":{"dns":8600,"http":8500}}"#),
        ("ports { \"http\" = 8500, dns = 8601 }", r#"{"ports":{"dns":8601,"http":8500}}"#),
        ("node_meta { a.b = \"c\" \"x-y\" = \"z\" }", r#"{"node_meta":{"a.b":"c","x-y":"z"}}"#),
        ("a = 0x10 b = 010 c = -1.5e3 d = -7 e = 0", r#"{"a":16,"b":8,"c":-1500,"d":-7,"e":0}"#),
        ("a = \"${foo \"x\"}\" b = \"q\\\"\\n\"", r#"{"a":"${foo \"x\"}","b":"q\"\n"}"#),
        ("a = \"{{ GetInterfaceIP \\\"eth0\\\" }}\"", r#"{"a":"{{ GetInterfaceIP \"eth0\" }}"}"#),
        ("service \"web\" { port = 1 }", r#"{"service":{"web":{"port":1}}}"#),
        ("{ \"a\": 1 }", r#"{"a":1}"#),
    ] {
        check(source, json);
    }
}

#[test]
fn blocks_gather_and_values_replace() {
    for (source, json) in [
        ("s { a = 1 } s { a = 2 }", r#"{"s":[{"a":1},{"a":2}]}"#),
        ("s = [{ a = 1 }, { b = [1, 2,] }]", r#"{"s":[{"a":1},{"b":[1,2]}]}"#),
        ("a = 1\na = 2", r#"{"a":2}"#),
        ("s { c { d = true } }", r#"{"s":{"c":{"d":true}}}"#),
        ("a = []", r#"{"a":[]}"#),
    ] {
        check(source, json);
    }
}

#[test]
fn comments_and_heredocs() {
    for (source, json) in [
        ("# x\n// y\n/* z\n */ a = 1 # q", r#"{"a":1}"#),
        ("a = <<EOF\nx\n y\nEOF\nb = 1", r#"{"a":"x\n y\n","b":1}"#),
        ("a = <<-EOF\n    x\n      y\n    EOF\n", r#"{"a":"x\n  y\n"}"#),
        ("a = <<-EOF\n x\n    EOF\n", r#"{"a":" x\n"}"#),
        ("a = <<EOF\nEOF\n", r#"{"a":""}"#),
    ] {
        check(source, json);
    }
}

#[test]
fn faults_are_told_as_consul_tells_them() {
    for (source, told) in [
        ("data_dir = \"/tmp", "At 1:17: literal not terminated"),
        (
            "data_dir \"/tmp/cfgw/d\"",
            "At 1:23: key 'data_dir \"/tmp/cfgw/d\"' expected start of object ('{') or assignment ('=')",
        ),
        ("= 3", "At 1:1: no object keys found!"),
        ("data_dir = ", "{}"),
        ("a {", "At 1:5: object expected closing RBRACE got: EOF"),
        ("a {\n", "At 2:2: object expected closing RBRACE got: EOF"),
        ("a { b = 1", "At 1:13: object expected closing RBRACE got: EOF"),
        ("a { b = \"x\"", "At 1:13: object expected closing RBRACE got: EOF"),
        ("a = [1", "At 1:9: error parsing list, expected comma or list end, got: EOF"),
        ("foo", "At 1:5: key 'foo' expected start of object ('{') or assignment ('=')"),
        ("a = [1 2]", "At 1:8: error parsing list, expected comma or list end, got: NUMBER"),
        (
            "a = [{ b }]",
            "At 1:6: error while trying to parse object within list: At 1:10: key 'b' expected start of object ('{') or assignment ('=')",
        ),
        ("a = .", "At 1:5: Unknown token: 1:5 PERIOD ."),
        ("a = <<EOF\nx", "At 1:5: heredoc not terminated"),
    ] {
        check(source, told);
    }
    assert!(read(&format!("a = {}", "[".repeat(100_000))).is_err());
}

#[test]
fn rules_say_a_thing_once() {
    for (source, told) in [
        (
            "acl = \"read\"\nacl = \"write\"",
            "The argument \"acl\" at 2:1 was already set. Each argument can only be defined once",
        ),
        (
            "k \"a\" {\n p = 1\n p = 2 }",
            "The argument \"p\" at 3:2 was already set. Each argument can only be defined once",
        ),
    ] {
        assert_eq!(read_once(source), Err(told.to_owned()), "{source}");
        assert!(read(source).is_ok());
    }
    assert!(read_once("k \"a\" { p = 1 }\nk \"a\" { p = 1 }").is_ok());
}

#[test]
fn values_know_their_lines() {
    let Value::Object(fields) = read("a = 1\n\nb {\n c = 2\n}").unwrap().value else {
        panic!("no object")
    };
    assert_eq!(
        fields.iter().map(|(key, node)| (key.as_str(), node.line)).collect::<Vec<_>>(),
        [("a", 1), ("b", 3)]
    );
}
