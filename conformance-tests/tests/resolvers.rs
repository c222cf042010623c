//! Resolvers that others wrote, from Debian's packages, get the right answers: `dig`, `drill`, `kdig` (plain, within TLS
//! and HTTPS), the C library's own, and unbound and dnsmasq that forward `consul.`

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use proconsul_conformance::{
    dns,
    subject::{Kind, Mode, Setup, Subject, free_port, new_folder},
    wait::until,
};

/// A forwarder is up within this.
const READY_MAX: Duration = Duration::from_secs(20);
const WEB: [&str; 3] = ["10.1.0.1", "10.1.0.2", "10.1.0.3"];
const SRV: [&str; 3] = [
    "1 1 8001 0a010001.addr.dc1.consul.",
    "1 1 8002 0a010002.addr.dc1.consul.",
    "1 1 8003 0a010003.addr.dc1.consul.",
];
const LARGE: usize = 300;

/// A program that ends with the test.
struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// A subject with its ports for DNS within TLS, and the folder of its certificates.
struct Served {
    subject: Subject,
    tls: u16,
    https: u16,
    folder: PathBuf,
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// The lines of an answer, sorted, without comments.
fn lines(text: &str) -> Vec<String> {
    let told =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(';'));
    let mut lines: Vec<String> = told.map(str::to_owned).collect();
    lines.sort();
    lines
}

fn check(who: &str, said: &str, expected: &[&str]) {
    assert_eq!(lines(said), expected, "{who}");
}

fn serve() -> Served {
    let (tls, https, folder) = (free_port(), free_port(), new_folder());
    certificates(&folder);
    let file = |name: &str| folder.join(name).display().to_string();
    let config = format!(
        r#"{{"ports": {{"dns_tls": {tls}, "dns_https": {https}}}, "dns_config": {{"enable_truncate": true}},
  "tls": {{"dns": {{"cert_file": "{}", "key_file": "{}"}}}}}}"#,
        file("dc1-server-consul-0.pem"),
        file("dc1-server-consul-0-key.pem")
    );
    let subject = Subject::start(Setup::of(Kind::Proconsul, Mode::Dev).config(&config)).unwrap();
    for (at, address) in WEB.iter().enumerate() {
        register(&subject, &format!("n{at}"), "web", address, 8001 + at);
    }
    register(&subject, "n6", "six", "fd00::6", 6);
    for at in 0..LARGE {
        let address =
            Ipv4Addr::new(10, 2, u8::try_from(at / 200).unwrap(), u8::try_from(at % 200).unwrap());
        register(&subject, &format!("l{at}"), "large", &address.to_string(), 80);
    }
    Served { subject, tls, https, folder }
}

/// A root and a certificate for `dns.example.test`, by the program's own commands.
fn certificates(folder: &Path) {
    let make = |arguments: &[&str]| {
        let output =
            Command::new(Kind::Proconsul.binary()).args(arguments).current_dir(folder).output();
        assert!(output.unwrap().status.success(), "{arguments:?}");
    };
    make(&["tls", "ca", "create"]);
    make(&["tls", "cert", "create", "-server", "-additional-dnsname", "dns.example.test"]);
}

fn register(subject: &Subject, node: &str, service: &str, address: &str, port: usize) {
    let body = format!(
        r#"{{"Node": "{node}", "Address": "10.9.9.9", "Service": {{"Service": "{service}", "Address": "{address}", "Port": {port}}}}}"#
    );
    let answer = subject.ask("PUT", "/v1/catalog/register", &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
#[ignore = "needs dnsutils, ldnsutils and knot-dnsutils"]
fn clients() {
    let served = serve();
    let port = served.subject.ports.dns.to_string();
    let dig = |more: &[&str]| {
        run("dig", &[&["@127.0.0.1", "-p", &port, "+short", "+tries=1"], more].concat())
    };
    check("dig A", &dig(&["web.service.consul"]), &WEB);
    check("dig AAAA", &dig(&["six.service.consul", "AAAA"]), &["fd00::6"]);
    check("dig SRV", &dig(&["_web._tcp.service.consul", "SRV"]), &SRV);
    check("dig TCP", &dig(&["+tcp", "web.service.consul"]), &WEB);
    check("dig PTR", &dig(&["-x", "10.1.0.2"]), &["web.service.dc1.consul."]);
    check("dig TXT", &dig(&["n0.node.consul", "TXT"]), &[]);
    check("dig without EDNS", &dig(&["+noedns", "web.service.consul"]), &WEB);
    assert_eq!(lines(&dig(&["+tcp", "large.service.consul"])).len(), LARGE, "dig of many by TCP");
    assert_eq!(
        lines(&dig(&["+noedns", "+ignore", "large.service.consul"])).len(),
        3,
        "dig of many by UDP"
    );
    let drill =
        |more: &[&str]| run("drill", &[&["-Q", "-p", &port], more, &["@127.0.0.1"]].concat());
    check("drill A", &drill(&["web.service.consul"]), &WEB);
    check("drill SRV by TCP", &drill(&["-t", "web.service.consul", "SRV"]), &SRV);
    let (tls, https) = (served.tls.to_string(), served.https.to_string());
    let root = format!("+tls-ca={}", served.folder.join("consul-agent-ca.pem").display());
    let within = ["+tls-hostname=dns.example.test", &root];
    let ways: [(&str, &[&str]); 5] = [
        (&port, &[]),
        (&port, &["+tcp"]),
        (&tls, &["+tls"]),
        (&https, &["+https=/dns-query"]),
        (&https, &["+https=/dns-query", "+https-get"]),
    ];
    for (port, way) in ways {
        let within = if port == served.subject.ports.dns.to_string() { &[][..] } else { &within };
        let kdig = |more: &[&str]| {
            run("kdig", &[&["@127.0.0.1", "-p", port, "+short"], way, within, more].concat())
        };
        check(&format!("kdig A {way:?}"), &kdig(&["web.service.consul"]), &WEB);
        check(&format!("kdig SRV {way:?}"), &kdig(&["web.service.consul", "SRV"]), &SRV);
    }
    fs::remove_dir_all(&served.folder).unwrap();
}

/// What kdig gets within TLS from whom it trusts by that root; nothing when it does not.
fn trusting(root: &Path, port: u16) -> Option<Vec<String>> {
    let root = format!("+tls-ca={}", root.join("consul-agent-ca.pem").display());
    let (port, name) = (port.to_string(), "+tls-hostname=dns.example.test");
    let output = Command::new("kdig")
        .args(["@127.0.0.1", "-p", &port, "+short", "+retry=0", name, &root, "web.service.consul"])
        .output();
    let output = output.unwrap_or_else(|error| panic!("kdig: {error}"));
    output.status.success().then(|| lines(&String::from_utf8_lossy(&output.stdout)))
}

#[test]
#[ignore = "needs knot-dnsutils"]
fn certificates_are_read_again() {
    let served = serve();
    let (old, new) = (new_folder(), new_folder());
    fs::copy(served.folder.join("consul-agent-ca.pem"), old.join("consul-agent-ca.pem")).unwrap();
    assert_eq!(trusting(&old, served.tls).unwrap(), WEB);
    certificates(&new);
    assert_eq!(trusting(&new, served.tls), None);
    for file in ["dc1-server-consul-0.pem", "dc1-server-consul-0-key.pem"] {
        fs::copy(new.join(file), served.folder.join(file)).unwrap();
    }
    served.subject.signal("HUP").unwrap();
    let found = until("the new certificate", READY_MAX, || trusting(&new, served.tls)).unwrap();
    assert_eq!(found, WEB);
    assert_eq!(trusting(&old, served.tls), None);
    for folder in [&served.folder, &old, &new] {
        fs::remove_dir_all(folder).unwrap();
    }
}

/// Starts a forwarder, waits until it answers, and asks it.
fn forwarded(name: &str, program: &str, arguments: &[&str], port: u16) {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _running = Background(child.unwrap_or_else(|error| panic!("{program}: {error}")));
    let at = (Ipv4Addr::LOCALHOST, port).into();
    let up =
        || dns::ask(at, "web.service.consul.", 1).ok().filter(|found| !found.answers.is_empty());
    until(name, READY_MAX, up).unwrap();
    let port = port.to_string();
    let dig = |more: &[&str]| {
        run("dig", &[&["@127.0.0.1", "-p", &port, "+short", "+tries=1"], more].concat())
    };
    check(name, &dig(&["web.service.consul"]), &WEB);
    check(name, &dig(&["wEb.sErvice.conSul"]), &WEB);
    check(name, &dig(&["six.service.consul", "AAAA"]), &["fd00::6"]);
    check(name, &dig(&["+tcp", "web.service.consul"]), &WEB);
    check(name, &dig(&["nope.service.consul"]), &[]);
    let targets: Vec<String> = lines(&dig(&["web.service.consul", "SRV"]));
    assert_eq!(targets.iter().map(|line| line.to_lowercase()).collect::<Vec<_>>(), SRV, "{name}");
    assert_eq!(lines(&dig(&["large.service.consul"])).len(), LARGE, "{name}: many");
}

#[test]
#[ignore = "needs unbound and dnsmasq"]
fn forwarders() {
    let served = serve();
    let (asked, port) = (served.subject.ports.dns, free_port());
    let file = served.folder.join("unbound.conf");
    let config = format!(
        "server:\n interface: 127.0.0.1\n port: {port}\n do-daemonize: no\n use-syslog: no\n chroot: \"\"\n username: \"\"\n pidfile: \"\"\n \
         directory: \"{}\"\n do-not-query-localhost: no\n domain-insecure: \"consul\"\n module-config: \"iterator\"\n use-caps-for-id: yes\n\
         forward-zone:\n name: \"consul.\"\n forward-addr: 127.0.0.1@{asked}\nremote-control:\n control-enable: no\n",
        served.folder.display()
    );
    fs::write(&file, config).unwrap();
    forwarded("unbound", "unbound", &["-d", "-c", file.to_str().unwrap()], port);
    let port = free_port();
    let (listen, to) = (format!("--port={port}"), format!("--server=/consul/127.0.0.1#{asked}"));
    let quiet = [
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--pid-file=",
    ];
    let here = ["--listen-address=127.0.0.1", "--bind-interfaces", "--user=root", &listen, &to];
    forwarded("dnsmasq", "dnsmasq", &[&quiet[..], &here[..]].concat(), port);
    fs::remove_dir_all(&served.folder).unwrap();
}

/// In a network of its own, where port 53 is free, and with files of its own in the place of the system's.
#[test]
#[ignore = "makes a network namespace: needs root, unshare and ip"]
fn the_c_library() {
    let folder = new_folder();
    fs::write(folder.join("resolv.conf"), "nameserver 127.0.0.1\nsearch service.consul\n").unwrap();
    fs::write(folder.join("nsswitch.conf"), "hosts: files dns\n").unwrap();
    let services: Vec<String> = WEB
        .iter()
        .enumerate()
        .map(|(at, address)| {
            format!(r#"{{"id": "web{at}", "name": "web", "port": 80, "address": "{address}"}}"#)
        })
        .collect();
    let config = format!(
        r#"{{"bind_addr": "127.0.0.1", "ports": {{"dns": 53, "grpc": -1, "grpc_tls": -1}}, "services": [{}]}}"#,
        services.join(", ")
    );
    fs::write(folder.join("config.json"), config).unwrap();
    let script = format!(
        "set -e; cd {folder}; ip link set lo up
         # The library asks for no addresses of a family that the machine has none of, but its own.
         ip address add 192.0.2.9/32 dev lo
         for file in resolv.conf nsswitch.conf; do mount --bind $file /etc/$file; done
         {program} agent -dev -config-file config.json >log 2>&1 & agent=$!
         trap 'kill $agent; wait $agent' EXIT
         for try in $(seq 100); do getent ahostsv4 web.service.consul >/dev/null && break; sleep 0.1; done
         getent ahostsv4 web.service.consul | grep STREAM | cut -d' ' -f1
         echo short; getent hosts web | wc -l
         echo none; getent ahosts nope.service.consul || true",
        folder = folder.display(),
        program = Kind::Proconsul.binary().display(),
    );
    let said = run("unshare", &["--net", "--mount", "sh", "-c", &script]);
    let parts: Vec<&str> = said.split("short\n").collect();
    check("getent", parts[0], &WEB);
    assert_eq!(parts[1], "3\nnone\n", "by the search list, and an unknown name");
    fs::remove_dir_all(&folder).unwrap();
}
