//! `tls ca create`, `tls cert create`: certificates for agents, in files in the current folder.

mod certificate;

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use clap::Arg;
use proconsul_ca::{KeyKind, PrivateKey};

use super::sink::{write_private, write_public};
use super::{Call, Entry, boolean, integer, print_out, text, texts, told_if_any};
use crate::config::reason;
use certificate::{Authority, Bearer, Made};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        path: &["tls", "ca", "create"],
        words: "",
        about: "Makes a CA for agents' certificates",
        flags: ca_flags,
        run: |call| told_if_any(create_ca(call)),
    },
    Entry {
        path: &["tls", "cert", "create"],
        words: "",
        about: "Makes a certificate of that CA",
        flags: cert_flags,
        run: |call| told_if_any(create_certificate(call)),
    },
];

/// Length of keys, on the curve P-256.
const KEY_BITS: u32 = 256;
/// How long a CA is valid unless said.
const CA_DAYS: &str = "1825";
/// How long a certificate is.
const DAYS: &str = "365";
/// A folder with more certificates of one kind takes no further one.
const NUMBER_MAX: u32 = 10_000;

fn ca_flags() -> Vec<Arg> {
    vec![
        texts(
            "additional-name-constraint",
            "value",
            "A further domain for -name-constraint. May be given several times.",
        ),
        text("cluster-id", "string", "Id of the cluster, for the CA's URI."),
        text("common-name", "string", "Name of the CA."),
        integer("days", "How many days the CA is valid.").default_value(CA_DAYS),
        text("domain", "string", "Domain of the agents.").default_value("consul"),
        boolean("name-constraint", "Lets the CA sign for its domains and localhost only."),
    ]
}

fn cert_flags() -> Vec<Arg> {
    vec![
        texts("additional-dnsname", "value", "A further name. May be given several times."),
        texts("additional-ipaddress", "value", "A further address. May be given several times."),
        text("ca", "string", "File of the CA.").default_value("#DOMAIN#-agent-ca.pem"),
        boolean("cli", "Makes a certificate for this program's commands."),
        boolean("client", "Makes a certificate for a client agent."),
        integer("days", "How many days the certificate is valid.").default_value(DAYS),
        text("dc", "string", "Datacenter of the agent.").default_value("dc1"),
        text("domain", "string", "Domain of the agent.").default_value("consul"),
        text("key", "string", "File of the CA's key.").default_value("#DOMAIN#-agent-ca-key.pem"),
        text("node", "string", "Name of the server, which gets a name of its own."),
        boolean("server", "Makes a certificate for a server."),
    ]
}

fn said<'a>(call: &'a Call, flag: &str) -> &'a str {
    call.text(flag).unwrap_or("")
}

fn new_key() -> Result<PrivateKey, String> {
    PrivateKey::generate(KeyKind::Ec, KEY_BITS).map_err(|fault| fault.to_string())
}

/// Writes a certificate and its key, and tells both.
fn saved(made: &Made, certificate: &str, key: &str) -> Result<String, String> {
    write_public(certificate, made.certificate.as_bytes())?;
    print_out(&format!("==> Saved {certificate}"));
    write_private(key, made.key.as_bytes())?;
    Ok(format!("==> Saved {key}"))
}

fn create_ca(call: &Call) -> Result<String, String> {
    let domain = said(call, "domain");
    let (certificate, key) =
        (format!("{domain}-agent-ca.pem"), format!("{domain}-agent-ca-key.pem"));
    for file in [&certificate, &key] {
        if Path::new(file).exists() {
            return Err(format!("{file} already exists."));
        }
    }
    let mut domains = Vec::new();
    if call.flag("name-constraint") {
        domains.extend(call.texts("additional-name-constraint"));
        domains.extend([domain, "localhost"]);
    }
    let cluster = call.said("cluster-id").map(|id| format!("{id}.{domain}").to_lowercase());
    let made = Authority {
        name: call.said("common-name"),
        days: call.integer("days"),
        domains: &domains,
        trust_domain: cluster.as_deref(),
    };
    saved(&made.make(&new_key()?)?, &certificate, &key)
}

/// Who bears a certificate: `server`, `client` or `cli`.
fn bearer(call: &Call) -> Result<&'static str, String> {
    let asked: Vec<&'static str> =
        ["server", "client", "cli"].into_iter().filter(|kind| call.flag(kind)).collect();
    match asked.as_slice() {
        [kind] => Ok(kind),
        _ => Err("Please provide either -server, -client, or -cli".to_owned()),
    }
}

fn create_certificate(call: &Call) -> Result<String, String> {
    for (flag, what) in [("ca", "ca"), ("key", "key")] {
        call.said(flag).ok_or_else(|| format!("Please provide the {what}"))?;
    }
    let kind = bearer(call)?;
    if call.said("node").is_some() && kind != "server" {
        return Err("-node requires -server".to_owned());
    }
    let (place, domain) = (said(call, "dc"), said(call, "domain"));
    let (certificate, key) = free_names(&format!("{place}-{kind}-{domain}"))?;
    let ca_file = said(call, "ca").replacen("#DOMAIN#", domain, 1);
    let key_file = said(call, "key").replacen("#DOMAIN#", domain, 1);
    let read = |path: &str, what: &str| {
        fs::read_to_string(path)
            .map_err(|fault| format!("Error reading {what}: open {path}: {}", reason(&fault)))
    };
    let (ca, ca_key) = (read(&ca_file, "CA")?, read(&key_file, "CA key")?);
    if kind == "server" {
        print_out(
            "==> WARNING: Server Certificates grants authority to become a\n    server and access all state in the cluster including root keys\n    \
             and all ACL tokens. Do not distribute them to production hosts\n    that are not server nodes. Store them as securely as CA \
             keys.",
        );
    }
    print_out(&format!("==> Using {ca_file} and {key_file}"));
    let ca_key = PrivateKey::from_pem(&ca_key).map_err(|fault| fault.to_string())?;
    let name = format!("{kind}.{place}.{domain}");
    let (names, addresses) = names(call, kind, &name)?;
    let made = Bearer {
        name: &name,
        days: call.integer("days"),
        names: &names,
        addresses: &addresses,
        serves: kind != "cli",
    };
    let made = made.make(&ca, &ca_key, &new_key()?)?;
    certificate::verify(&ca, &made.certificate, &name)?;
    saved(&made, &certificate, &key)
}

/// The names and addresses for which a certificate stands.
fn names(call: &Call, kind: &str, name: &str) -> Result<(Vec<String>, Vec<IpAddr>), String> {
    let own = [name.to_owned(), "localhost".to_owned()];
    if kind == "cli" {
        return Ok((own.to_vec(), Vec::new()));
    }
    let words = |flag| call.texts(flag).into_iter().map(str::trim).filter(|word| !word.is_empty());
    let mut names: Vec<String> = words("additional-dnsname").map(str::to_owned).collect();
    names.extend(call.said("node").map(|node| format!("{node}.{name}")));
    names.extend(own);
    let mut addresses = Vec::new();
    for word in words("additional-ipaddress") {
        addresses.push(word.parse().map_err(|_| format!("{word:?} is no IP address"))?);
    }
    addresses.push(IpAddr::from([127, 0, 0, 1]));
    Ok((names, addresses))
}

/// The first number that no file in the folder has yet.
fn free_names(prefix: &str) -> Result<(String, String), String> {
    let names =
        |number: u32| (format!("{prefix}-{number}.pem"), format!("{prefix}-{number}-key.pem"));
    let free = |(certificate, key): &(String, String)| {
        !Path::new(certificate).exists() && !Path::new(key).exists()
    };
    let found = (0..NUMBER_MAX).map(names).find(free);
    found.ok_or_else(|| "Could not find a filename that doesn't already exist".to_owned())
}
