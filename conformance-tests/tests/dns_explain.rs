//! The way of DNS answers, as the program tells it.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::process::Command;

use proconsul_conformance::{
    dns::stub,
    subject::{Kind, Mode, Setup, Subject},
};

/// What `dns explain` prints, and whether it succeeds.
fn explain(subject: &Subject, words: &str) -> (bool, String) {
    let agent = format!("-http-addr=127.0.0.1:{}", subject.ports.http);
    let mut command = Command::new(Kind::Proconsul.binary());
    command.args(["dns", "explain", &agent]).args(words.split(' '));
    let output = command.output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(printed).unwrap())
}

#[test]
fn the_way_of_an_answer_is_printed() {
    let config = format!(r#"{{"recursors": ["{}"]}}"#, stub::address());
    let subject = Subject::start(Setup::of(Kind::Proconsul, Mode::Dev).config(&config)).unwrap();
    for (id, status) in [("good", "passing"), ("bad", "critical")] {
        let body = format!(
            r#"{{"Node": "n1", "Address": "10.0.0.1", "Service": {{"Service": "web", "ID": "{id}", "Port": 80}},
                "Check": {{"CheckID": "c-{id}", "Name": "c", "ServiceID": "{id}", "Status": "{status}"}}}}"#
        );
        assert_eq!(subject.ask("PUT", "/v1/catalog/register", &body).status, 200);
    }
    let asked = format!("Asked      the recursors: {}\n", stub::address());
    for (words, succeeds, parts) in [
        (
            "web.service.consul SRV",
            true,
            [
                "Looks for  the instances of service web, in zone consul.\n",
                "n1/bad at 10.0.0.1:80: left out, because its check c-bad is critical\n",
                "Answer     web.service.consul. 0 SRV 1 1 80 n1.node.dc1.consul.\n",
            ],
        ),
        (
            "-tcp x.example.test",
            true,
            [
                asked.as_str(),
                "Asker      TCP, no EDNS",
                "Answer     x.example.test. 77 A 192.0.2.33\n",
            ],
        ),
        (
            "-format=json -edns=1232 refused.example.test",
            true,
            [
                "\"ExtendedError\": \"22 (No Reachable Authority): no recursor answered\"",
                "\"Rcode\": \"SERVFAIL\"",
                "\"LooksFor\": \"a name outside of our zones\"",
            ],
        ),
        (
            "web..consul",
            false,
            ["Error explaining web..consul: ", "Invalid name", "a label is empty"],
        ),
        ("web NOTYPE", false, ["Error explaining web: ", "Invalid type \"NOTYPE\"", "say A, SRV"]),
        ("web A more", false, ["Usage: dns explain NAME [TYPE]", "", ""]),
    ] {
        let (succeeded, printed) = explain(&subject, words);
        assert_eq!(succeeded, succeeds, "{words}: {printed}");
        for part in parts {
            assert!(printed.contains(part), "{words}: {part:?} in {printed}");
        }
    }
}
