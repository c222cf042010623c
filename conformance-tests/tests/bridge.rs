//! Names of the index in a zone of the DNS around, kept on a real BIND.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::{fmt::Debug, fs, time::Duration};

use proconsul_conformance::{
    bind::{Named, dig, folder_with_key, tool},
    subject::{Kind, Mode, Setup, Subject, free_port, new_folder},
    wait::until,
};

/// A change, its way there, and a look at it, on a busy machine.
const SHOWN_MAX: Duration = Duration::from_secs(20);
/// The zone as somebody else keeps it.
const ZONE: &str = "$TTL 60
@ IN SOA ns hostmaster 1 3600 600 86400 0
@ IN NS ns
ns IN A 127.0.0.1
www IN A 192.0.2.80
taken IN A 192.0.2.81
";
const PROBE: &str = "corp.example SOA";

fn primary() -> Named {
    let folder = folder_with_key();
    fs::write(folder.join("corp.zone"), ZONE).unwrap();
    let key = folder.join("upd.key");
    let zones = format!(
        "include \"{}\"; zone \"corp.example\" {{ type primary; file \"corp.zone\"; allow-update {{ key upd; }};
         allow-transfer {{ key upd; }}; }};",
        key.display()
    );
    Named::start(folder, &zones, PROBE).unwrap()
}

fn bridge(more: &str) -> String {
    format!(
        r#"{{"bridge": [{{"zone": "corp.example", "public": {{"meta": {{"public": "true"}}}}, "ttl": "7s"{more}}}]}}"#
    )
}

fn to_server(named: &Named) -> String {
    let key = named.folder.join("upd.key");
    let (port, key) = (named.port, key.display());
    bridge(&format!(
        r#", "server": "127.0.0.1:{port}", "tsig_key_file": "{key}", "compare_interval": "1s""#
    ))
}

fn start(config: &str) -> Subject {
    Subject::start(Setup::of(Kind::Proconsul, Mode::Disk).config(config)).unwrap()
}

fn register(subject: &Subject, name: &str, port: u16, meta: &str) {
    let body = format!(
        r#"{{"Name": "{name}", "Port": {port}, "Address": "10.0.0.1", "Meta": {{"public": "{meta}"}},
            "Check": {{"CheckID": "{name}", "TTL": "1h", "Status": "passing"}}}}"#
    );
    assert_eq!(subject.ask("PUT", "/v1/agent/service/register", &body).status, 200);
}

/// Waits until a look shows what is expected.
fn shows<T: PartialEq + Debug>(what: &str, look: impl Fn() -> T, expected: &T) {
    let seen = until(what, SHOWN_MAX, || (look() == *expected).then_some(()));
    seen.unwrap_or_else(|vain| panic!("{vain}: {:?}", look()));
}

fn text(text: &str) -> String {
    text.to_owned()
}

#[test]
#[ignore = "needs bind9"]
fn a_zone_on_bind_follows_the_index() {
    let mut named = primary();
    let mut subject = start(&to_server(&named));
    for name in ["web", "sick", "gone", "hidden", "taken"] {
        register(&subject, name, 8080, "true");
    }
    register(&subject, "private", 8081, "false");
    let at_bind = |named: &Named, name: &str| named.short(&format!("{name}.corp.example"));
    for name in ["web", "sick", "gone", "hidden"] {
        shows(name, || at_bind(&named, name), &text("10.0.0.1"));
    }
    let server = text("1 1 8080 0a000001.addr.corp.example.");
    shows("SRV", || named.short("_web._tcp.corp.example SRV"), &server);
    assert_eq!(at_bind(&named, "0a000001.addr"), "10.0.0.1");
    // What was there before stays, and what is not public does not come.
    assert_eq!(
        ["www", "taken", "private"].map(|name| at_bind(&named, name)),
        ["192.0.2.80", "192.0.2.81", ""]
    );

    assert_eq!(subject.ask("PUT", "/v1/agent/check/fail/sick", "").status, 200);
    assert_eq!(subject.ask("PUT", "/v1/agent/service/deregister/gone", "").status, 200);
    register(&subject, "hidden", 8080, "false");
    for name in ["sick", "gone", "hidden"] {
        shows(name, || at_bind(&named, name), &text(""));
        assert_eq!(named.short(&format!("_proconsul.{name}.corp.example TXT")), "");
    }

    // What changes while we are away is made up for at the start.
    subject.stop().unwrap();
    let update = format!(
        "server 127.0.0.1 {}\nkey hmac-sha256:upd {}\nupdate delete web.corp.example A\nsend\n",
        named.port,
        tool(&named.folder, "sed", "-n s/.*secret.*\"\\(.*\\)\".*/\\1/p upd.key").trim()
    );
    fs::write(named.folder.join("update"), update).unwrap();
    let _quiet = tool(&named.folder, "nsupdate", "update");
    assert_eq!(at_bind(&named, "web"), "");
    subject.again().unwrap();
    shows("web again", || at_bind(&named, "web"), &text("10.0.0.1"));

    // The server forgets nothing that it took, and takes what it missed.
    named.stop();
    assert_eq!(subject.ask("PUT", "/v1/agent/check/pass/sick", "").status, 200);
    assert_eq!(subject.ask("PUT", "/v1/agent/service/deregister/web", "").status, 200);
    named.again(PROBE).unwrap();
    shows("sick again", || at_bind(&named, "sick"), &text("10.0.0.1"));
    shows("web gone", || at_bind(&named, "web"), &text(""));
    assert_eq!(at_bind(&named, "taken"), "192.0.2.81");
}

#[test]
#[ignore = "needs bind9"]
fn a_name_that_may_not_be_read_is_withdrawn() {
    const MANAGEMENT: &str = "22222222-aaaa-bbbb-cccc-000000000000";
    let named = primary();
    let acl = Setup::of(Kind::Proconsul, Mode::Disk).denying(MANAGEMENT).config;
    let mut setup =
        Setup::of(Kind::Proconsul, Mode::Disk).config(&joined(&acl, &to_server(&named)));
    setup.token = Some(text(MANAGEMENT));
    let subject = Subject::start(setup).unwrap();
    register(&subject, "web", 8080, "true");
    let rules = r#"{"Name": "dns", "Rules": "service_prefix \"\" { policy = \"read\" } node_prefix \"\" { policy = \"read\" }"}"#;
    let policy = subject.ask("PUT", "/v1/acl/policy", rules);
    assert_eq!(policy.status, 200, "{}", policy.text());
    let grant = |policies: &str| {
        let anonymous = "/v1/acl/token/00000000-0000-0000-0000-000000000002";
        let body = format!(
            r#"{{"AccessorID": "00000000-0000-0000-0000-000000000002", "Description": "x", "Policies": {policies}}}"#
        );
        let answer = subject.ask("PUT", anonymous, &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    assert_eq!(named.short("web.corp.example"), "");
    grant(r#"[{"Name": "dns"}]"#);
    shows("a name that may be read", || named.short("web.corp.example"), &text("10.0.0.1"));
    grant("[]");
    shows("one that may not", || named.short("web.corp.example"), &text(""));
}

/// Two objects in one.
fn joined(one: &str, other: &str) -> String {
    let (one, other) = (one.trim(), other.trim());
    format!("{}, {}", &one[..one.len() - 1], &other[1..])
}

#[test]
#[ignore = "needs bind9"]
fn a_zone_is_exported_and_transferred() {
    let port = free_port();
    let mut subject = start(&bridge(&format!(r#", "secondaries": ["127.0.0.1:{port}"]"#)));
    for number in 0..40 {
        register(&subject, &format!("web{number}"), 8080, "true");
    }
    let ours = |name: &str| dig(subject.ports.dns, &format!("+short {name}.corp.example"));
    shows("our own answer", || ours("web39"), &text("10.0.0.1"));

    let binary = Kind::Proconsul.binary();
    let words = format!("bridge export -http-addr=127.0.0.1:{} corp.example", subject.ports.http);
    let folder = new_folder();
    let exported = tool(&folder, binary.to_str().unwrap(), &words);
    fs::write(folder.join("exported"), &exported).unwrap();
    let checked = tool(&folder, "named-checkzone", "corp.example exported");
    assert!(checked.contains("OK"), "{checked}");
    assert!(exported.contains("web7.corp.example. 7 IN A 10.0.0.1"), "{exported}");

    // A secondary has the whole zone, and hears of what changes.
    let zones = format!(
        "zone \"corp.example\" {{ type secondary; file \"corp.copy\"; masterfile-format text;
         primaries {{ 127.0.0.1 port {}; }}; }};",
        subject.ports.dns
    );
    let named = Named::start_at(folder, port, &zones, PROBE).unwrap();
    assert_eq!(named.short("web39.corp.example"), "10.0.0.1");
    assert_eq!(subject.ask("PUT", "/v1/agent/service/deregister/web39", "").status, 200);
    shows("a change", || named.short("web39.corp.example"), &text(""));

    // The number of the zone rises when it changes and at no other time.
    let serial = || dig(subject.ports.dns, "+short corp.example SOA");
    let before = serial();
    assert_ne!(before, "");
    let body = r#"{"Name": "private", "Port": 1}"#;
    assert_eq!(subject.ask("PUT", "/v1/agent/service/register", body).status, 200);
    subject.stop().unwrap();
    subject.again().unwrap();
    shows("the same number", || dig(subject.ports.dns, "+short corp.example SOA"), &before);
}

#[test]
#[ignore = "needs bind9"]
fn a_whole_zone_is_for_secondaries_alone() {
    let subject = start(&bridge(r#", "secondaries": ["192.0.2.7"]"#));
    register(&subject, "web", 8080, "true");
    let ours = || dig(subject.ports.dns, "+short web.corp.example");
    shows("our own answer", ours, &text("10.0.0.1"));
    let refused = dig(subject.ports.dns, "corp.example AXFR");
    assert!(refused.contains("Transfer failed"), "{refused}");
    let nothing = dig(subject.ports.dns, "nothing.corp.example");
    assert!(nothing.contains("NXDOMAIN") && nothing.contains("SOA"), "{nothing}");
}
