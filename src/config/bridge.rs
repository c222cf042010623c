//! `bridge`: zones of the DNS around in which public names of the index appear.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use proconsul_dns::bridge::Public;
use proconsul_dns::name::Name;

use super::fallback::{name, place};
use super::faults::Faults;
use super::raw::Raw;

/// How long answers may be kept when nothing is said.
const TTL: Duration = Duration::from_secs(30);
/// How often everything is compared when nothing is said.
const COMPARE_INTERVAL: Duration = Duration::from_secs(300);
/// More often would be a transfer of the whole zone all the time.
const COMPARE_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Where DNS is spoken when no port is said.
const DNS_PORT: u16 = 53;

/// One bridged zone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bridge {
    /// Its name.
    pub(crate) zone: Name,
    /// What of the index appears in it.
    pub(crate) public: Public,
    /// How long its records may be kept.
    pub(crate) ttl: Duration,
    /// Who answers for it. Empty: `ns` in the zone.
    pub(crate) name_servers: Vec<Name>,
    /// Who is responsible for it: `hostmaster` in the zone when nothing is said.
    pub(crate) mailbox: Option<Name>,
    /// The server to which changes are sent (RFC 2136), and the file of the key that signs them.
    pub(crate) server: Option<(SocketAddr, PathBuf)>,
    /// How often everything is compared with that server.
    pub(crate) compare_interval: Duration,
    /// Who may have the whole zone, and is told when it changes.
    pub(crate) secondaries: Vec<SocketAddr>,
}

/// Reads the blocks.
pub(super) fn read(raw: &Raw, faults: &mut Faults) -> Vec<Bridge> {
    let blocks = raw.blocks("bridge").iter().enumerate();
    let bridges: Vec<Bridge> = blocks
        .filter_map(|(place, block)| one(block, &format!("bridge[{place}]"), faults))
        .collect();
    for (place, bridge) in bridges.iter().enumerate() {
        if bridges[..place].iter().any(|other| other.zone == bridge.zone) {
            faults.push(format!(
                "bridge: the zone {} stands in two blocks; put them together",
                bridge.zone
            ));
        }
    }
    bridges
}

fn one(raw: &Raw, at: &str, faults: &mut Faults) -> Option<Bridge> {
    let zone = name(raw.text("zone"), &format!("{at}.zone"), faults);
    if raw.text("zone").is_none_or(str::is_empty) {
        faults.push(format!("{at}.zone: missing; write the zone, such as \"corp.example\""));
    }
    let public = raw.block("public");
    let public = Public {
        names: public.texts("names"),
        tags: public.texts("tags"),
        meta: public.text_map("meta"),
    };
    if public == Public::default() {
        faults.push(format!(
            "{at}.public: says nothing, so that nothing would appear; write names, tags or meta, such as meta = {{ public = \"true\" }}"
        ));
    }
    let mut time =
        |key: &str, otherwise| faults.duration(&format!("{at}.{key}"), raw.text(key), otherwise);
    let ttl = time("ttl", TTL);
    let compare_interval = time("compare_interval", COMPARE_INTERVAL).max(COMPARE_INTERVAL_MIN);
    let servers = raw.texts("name_servers");
    let servers =
        servers.iter().filter_map(|text| name(Some(text), &format!("{at}.name_servers"), faults));
    let name_servers = servers.collect();
    let secondaries = raw.texts("secondaries");
    let secondaries = secondaries
        .iter()
        .filter_map(|text| place(text, DNS_PORT, &format!("{at}.secondaries"), faults));
    Some(Bridge {
        public,
        ttl,
        secondaries: secondaries.collect(),
        name_servers,
        mailbox: name(raw.text("mailbox"), &format!("{at}.mailbox"), faults),
        server: server(raw, at, faults),
        compare_interval,
        zone: zone?,
    })
}

/// Who is sent updates needs a key: whoever may write a zone unsigned may write anything.
fn server(raw: &Raw, at: &str, faults: &mut Faults) -> Option<(SocketAddr, PathBuf)> {
    let (server, key) = (raw.text("server"), raw.text("tsig_key_file"));
    match (server, key) {
        (Some(server), Some(key)) => {
            Some((place(server, DNS_PORT, &format!("{at}.server"), faults)?, PathBuf::from(key)))
        }
        (None, None) => None,
        (Some(_), None) => {
            faults.push(format!(
                "{at}.tsig_key_file: missing; updates are signed, make a key with tsig-keygen"
            ));
            None
        }
        (None, Some(_)) => {
            faults.push(format!(
                "{at}.server: missing; write the address of the server that is sent updates"
            ));
            None
        }
    }
}
