//! `fallback`: whom to ask about names that are unknown here.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use proconsul_anchors::caller::Secret;
use proconsul_dns::name::Name;

use super::faults::Faults;
use super::raw::Raw;

/// How long an answer is kept at most when nothing is said.
const TTL_MAX: Duration = Duration::from_secs(30);
/// How long an upstream may take when nothing is said: half of what a stub resolver waits.
const TIMEOUT: Duration = Duration::from_secs(2);
/// A client has given up by then.
const TIMEOUT_MAX: Duration = Duration::from_secs(10);
/// How many servers with fallbacks may hand on a question one after another, at most.
const DEPTH_MAX: i64 = 8;
/// Where a Consul answers DNS when no port is said.
const CONSUL_PORT: u16 = 8600;
/// Where everybody else does.
const DNS_PORT: u16 = 53;

/// One block: for which names, whom, and what is asked of the answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fallback {
    /// Names at or under it; nothing for the own domains.
    pub(crate) zone: Option<Name>,
    /// Who is asked.
    pub(crate) upstream: Upstream,
    /// Whether answers must be signed, and the signatures hold.
    pub(crate) dnssec: bool,
    /// A file of DNSKEY records that are trusted instead of the root's.
    pub(crate) trust_anchors: Option<PathBuf>,
    /// How many servers with fallbacks may hand on a question one after another, this one included.
    pub(crate) depth: u8,
    /// No answer is kept longer.
    pub(crate) ttl_max: Duration,
    /// How long the upstream may take.
    pub(crate) timeout: Duration,
}

/// Who is asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Upstream {
    /// A Consul, or another server that speaks its DNS or its HTTP.
    Consul {
        /// Its DNS interface, each address in turn; empty when names are not asked there.
        dns: Vec<SocketAddr>,
        /// The URL of its HTTP interface; nothing when that is not asked.
        http: Option<String>,
        /// With which rights it is asked over HTTP.
        token: Option<Secret>,
        /// Certificates of whom to trust over HTTPS instead of whom the machine trusts.
        ca_file: Option<PathBuf>,
        /// Its domain, when it is another than the one that was asked.
        domain: Option<Name>,
    },
    /// A resolver, which is asked for the same name.
    Recursor {
        /// Its addresses, each in turn.
        dns: Vec<SocketAddr>,
    },
    /// A zone that names services its own way, behind a resolver.
    Zone {
        /// The addresses of the resolver, each in turn.
        dns: Vec<SocketAddr>,
        /// `web.service.consul` is `web` in this zone.
        zone: Name,
    },
}

/// Reads the blocks in their order.
pub(super) fn read(raw: &Raw, faults: &mut Faults) -> Vec<Fallback> {
    let blocks = raw.blocks("fallback").iter().enumerate();
    let mut domains = Vec::new();
    for key in ["domain", "alt_domain"] {
        // What is no name is told by whoever needs the domain.
        let said = raw.text(key).unwrap_or(if key == "domain" { "consul" } else { "" });
        domains.extend(Name::parse(said).ok().filter(|_| !said.is_empty()));
    }
    let outside = |zone: &Name| !domains.iter().any(|domain| zone.suffix_like(domain).is_some());
    for (place, block) in blocks.clone() {
        let zone = block.text("zone").and_then(|text| Name::parse(text).ok());
        if zone.as_ref().is_some_and(outside) {
            faults.push(format!(
                "fallback[{place}].zone: {:?} is not in the domain of this agent; write a name at or under {}",
                block.text("zone").unwrap_or(""),
                domains.first().map(ToString::to_string).unwrap_or_default()
            ));
        }
    }
    blocks.filter_map(|(place, block)| one(block, &format!("fallback[{place}]"), faults)).collect()
}

fn one(raw: &Raw, at: &str, faults: &mut Faults) -> Option<Fallback> {
    let zone = name(raw.text("zone"), &format!("{at}.zone"), faults);
    let dnssec = match raw.text("require").unwrap_or("none") {
        "none" => false,
        "dnssec" => true,
        other => {
            faults.push(format!(
                "{at}.require: {other:?} is not known; write \"none\" or \"dnssec\""
            ));
            false
        }
    };
    let anchors = raw.text("trust_anchors").filter(|path| !path.is_empty());
    if anchors.is_some() && !dnssec {
        faults.push(format!("{at}.trust_anchors: nothing is verified; set require = \"dnssec\""));
    }
    let depth = raw.int("depth").unwrap_or(1);
    if !(1..=DEPTH_MAX).contains(&depth) {
        faults.push(format!("{at}.depth: {depth} is not between 1 and {DEPTH_MAX}"));
    }
    let mut time =
        |key: &str, otherwise| faults.duration(&format!("{at}.{key}"), raw.text(key), otherwise);
    let (ttl_max, timeout) = (time("ttl_max", TTL_MAX), time("timeout", TIMEOUT));
    if timeout.is_zero() || timeout > TIMEOUT_MAX {
        faults
            .push(format!("{at}.timeout: must be above 0s and at most {}s", TIMEOUT_MAX.as_secs()));
    }
    let upstream = upstream(&raw.block("upstream"), &format!("{at}.upstream"), faults)?;
    if dnssec && matches!(upstream, Upstream::Consul { .. }) {
        faults.push(format!(
            "{at}.require: a Consul signs nothing; set require = \"none\", or an upstream of another kind"
        ));
    }
    Some(Fallback {
        zone,
        upstream,
        dnssec,
        trust_anchors: anchors.map(PathBuf::from),
        depth: u8::try_from(depth).unwrap_or(1),
        ttl_max,
        timeout,
    })
}

fn upstream(raw: &Raw, at: &str, faults: &mut Faults) -> Option<Upstream> {
    let kind = raw.text("kind").unwrap_or("");
    let port = if kind == "consul" { CONSUL_PORT } else { DNS_PORT };
    let said = raw.texts("dns");
    let dns: Vec<SocketAddr> =
        said.iter().filter_map(|text| place(text, port, &format!("{at}.dns"), faults)).collect();
    let takes = |keys: &[&str], faults: &mut Faults| {
        for key in ["http", "token", "ca_file", "domain", "zone"] {
            if raw.text(key).is_some() && !keys.contains(&key) {
                faults.push(format!(
                    "{at}.{key}: an upstream of kind {kind:?} has none; leave it out"
                ));
            }
        }
    };
    match kind {
        "consul" => {
            takes(&["http", "token", "ca_file", "domain"], faults);
            consul(raw, dns, said.is_empty(), at, faults)
        }
        "recursor" | "zone" if said.is_empty() => {
            faults.push(format!(
                "{at}.dns: missing; write the addresses of a resolver, such as [\"192.0.2.53\"]"
            ));
            None
        }
        "recursor" => {
            takes(&[], faults);
            Some(Upstream::Recursor { dns })
        }
        "zone" => {
            takes(&["zone"], faults);
            let zone = name(raw.text("zone"), &format!("{at}.zone"), faults);
            if raw.text("zone").is_none() {
                faults.push(format!("{at}.zone: missing; write the zone that holds the services, such as \"svc.old.example\""));
            }
            Some(Upstream::Zone { dns, zone: zone? })
        }
        other => {
            faults.push(format!(
                "{at}.kind: {other:?} is not known; write \"consul\", \"recursor\" or \"zone\""
            ));
            None
        }
    }
}

fn consul(
    raw: &Raw,
    dns: Vec<SocketAddr>,
    no_dns: bool,
    at: &str,
    faults: &mut Faults,
) -> Option<Upstream> {
    let http = raw.text("http").filter(|url| !url.is_empty());
    if http.is_none() && no_dns {
        faults.push(format!("{at}: nowhere to ask; write dns = [\"192.0.2.1:8600\"], http = \"http://192.0.2.1:8500\", or both"));
    }
    if let Some(url) = http
        && !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme))
    {
        faults.push(format!(
            "{at}.http: {url:?} is no URL; write http://HOST:PORT or https://HOST:PORT"
        ));
    }
    let token = raw.text("token").filter(|token| !token.is_empty());
    if token.is_some() && http.is_none() {
        faults.push(format!("{at}.token: tokens go over HTTP alone; write http, or leave it out"));
    }
    Some(Upstream::Consul {
        dns,
        http: http.map(|url| url.trim_end_matches('/').to_owned()),
        token: token.map(Secret::new),
        ca_file: raw.text("ca_file").filter(|path| !path.is_empty()).map(PathBuf::from),
        domain: name(raw.text("domain"), &format!("{at}.domain"), faults),
    })
}

/// A domain name under a key.
pub(super) fn name(said: Option<&str>, at: &str, faults: &mut Faults) -> Option<Name> {
    match Name::parse(said.filter(|text| !text.is_empty())?) {
        Ok(name) => Some(name.to_lower()),
        Err(fault) => {
            faults.push(format!(
                "{at}: {:?}: {fault}; write a domain such as \"corp.example\"",
                said.unwrap_or("")
            ));
            None
        }
    }
}

/// An address, with a port or without one.
pub(super) fn place(said: &str, port: u16, at: &str, faults: &mut Faults) -> Option<SocketAddr> {
    let lone = |text: &str| text.parse().ok().map(|ip: IpAddr| SocketAddr::new(ip, port));
    let found =
        said.parse().ok().or_else(|| lone(said.trim_start_matches('[').trim_end_matches(']')));
    if found.is_none() {
        faults.push(format!("{at}: {said:?} is no address; write IP or IP:PORT"));
    }
    found
}
