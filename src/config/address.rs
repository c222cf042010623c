//! Addresses in configuration: templates filled in, words split, kinds told apart.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::faults::Faults;
use super::host::Host;
use super::template::{self, Network};

/// Networks from which an address is announced without being asked for, when the program listens on all.
const PRIVATE: &[&str] = &[
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "::1/128",
    "fe80::/10",
    "fc00::/7",
    "fec0::/10",
    "2001:db8::/32",
];

/// Where a listener binds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Listen {
    /// An address and port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// A word of an address setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// An address without a port.
    Ip(IpAddr),
    /// The path after `unix://`.
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Whether an address means all addresses.
pub(crate) fn is_any(text: &str) -> bool {
    matches!(text, "0.0.0.0" | "::" | "[::]")
}

/// The places that a setting names; none when it is faulty or says nothing.
pub(crate) fn places(
    key: &str,
    said: Option<&str>,
    host: &Host,
    faults: &mut Faults,
) -> Vec<Place> {
    let Some(said) = said.filter(|said| !said.is_empty()) else { return Vec::new() };
    let text = match template::expand(said, host) {
        Ok(text) => text,
        Err(fault) => {
            faults.push(format!("{key}: error parsing {said:?}: {fault}"));
            return Vec::new();
        }
    };
    let mut places = Vec::new();
    for word in text.split_whitespace() {
        let Some(place) = place(word) else {
            faults.push(format!("{key}: invalid ip address: {word}"));
            return Vec::new();
        };
        places.push(place);
    }
    places
}

fn place(word: &str) -> Option<Place> {
    if let Some(path) = word.strip_prefix("unix://") {
        return Some(Place::Unix(path.into()));
    }
    let word = if word == "[::]" { "::" } else { word };
    word.parse().ok().map(Place::Ip)
}

/// The addresses of a setting that takes no Unix sockets.
pub(crate) fn ips(key: &str, said: Option<&str>, host: &Host, faults: &mut Faults) -> Vec<IpAddr> {
    let mut ips = Vec::new();
    for place in places(key, said, host, faults) {
        match place {
            Place::Ip(ip) => ips.push(ip),
            Place::Unix(_) => {
                faults.push(format!("{key} cannot be a unix socket"));
                return Vec::new();
            }
        }
    }
    ips
}

/// The one address of a setting.
pub(crate) fn ip(
    key: &str,
    said: Option<&str>,
    host: &Host,
    faults: &mut Faults,
) -> Option<IpAddr> {
    let ips = ips(key, said, host, faults);
    if ips.len() > 1 {
        let shown: Vec<String> = ips.iter().map(IpAddr::to_string).collect();
        faults.push(format!("{key}: multiple addresses found: {}", shown.join(" ")));
        return None;
    }
    ips.first().copied()
}

/// Where a listener binds: at its own places, else at the client addresses, nowhere when its port is off.
pub(crate) fn listens(own: &[Place], clients: &[IpAddr], port: i32) -> Vec<Listen> {
    let Ok(port) = u16::try_from(port) else { return Vec::new() };
    let tcp = |ip: &IpAddr| Listen::Tcp(SocketAddr::new(*ip, port));
    if own.is_empty() {
        return clients.iter().map(tcp).collect();
    }
    let listen = |place: &Place| match place {
        Place::Unix(path) => Listen::Unix(path.clone()),
        Place::Ip(ip) => tcp(ip),
    };
    own.iter().map(listen).collect()
}

/// The address to announce when the program listens on all: the machine's only private IPv4 or public IPv6 one.
///
/// # Errors
/// When there is none, or more than one.
pub(crate) fn announced(listened: IpAddr, host: &Host) -> Result<IpAddr, String> {
    let (kind, found) = if listened.is_ipv4() {
        ("private IPv4", private_v4(host))
    } else {
        let public = host
            .interfaces
            .iter()
            .map(|one| one.address)
            .filter(|ip| ip.is_ipv6() && !is_private(*ip));
        ("public IPv6", public.collect())
    };
    match found.as_slice() {
        [] => Err(format!("No {kind} address found")),
        [only] => Ok(*only),
        _ => Err(format!(
            "Multiple {kind} addresses found. Please configure one with 'bind' and/or 'advertise'."
        )),
    }
}

/// Loopback counts only on a machine that has nothing else.
fn private_v4(host: &Host) -> Vec<IpAddr> {
    let up = host.interfaces.iter().filter(|one| one.up);
    let (inner, outer): (Vec<_>, Vec<_>) = up.partition(|one| one.loopback);
    let candidates = if outer.is_empty() { inner } else { outer };
    candidates
        .into_iter()
        .map(|one| one.address)
        .filter(|ip| ip.is_ipv4() && is_private(*ip))
        .collect()
}

fn is_private(ip: IpAddr) -> bool {
    PRIVATE.iter().filter_map(|text| template::network(text)).any(|net| net.holds(ip))
}

/// Networks of a setting.
pub(crate) fn networks(key: &str, said: &[String], faults: &mut Faults) -> Vec<Network> {
    let mut networks = Vec::new();
    for text in said {
        match template::network(text.trim()) {
            Some(network) => networks.push(network),
            None => faults.push(format!("{key}: invalid cidr: {text}")),
        }
    }
    networks
}
