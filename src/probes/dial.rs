//! Connects to what a check names.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};

use super::os_words;

/// Where names are resolved, for the words of an error.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Why there is no connection, in the words of Go's dialler.
#[derive(Debug)]
pub(super) enum DialError {
    /// The text is no `host:port`.
    Address(String, &'static str),
    /// The port is no name of one.
    UnknownPort(String),
    /// The host is not known.
    Lookup(String),
    /// Nobody took the call.
    Connect(String, io::Error),
    /// Nobody took it in time.
    Timeout(String),
}

/// A `host:port`, checked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Without brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

/// Connects within time.
pub(super) async fn dial(address: &str, until: Instant) -> Result<TcpStream, DialError> {
    let place = Place::parse(address)?;
    match timeout_at(until, place.addresses()).await {
        Ok(addresses) => connect(&addresses?, until).await,
        Err(_) => Err(DialError::Timeout(address.to_owned())),
    }
}

/// Tries each address; the first one's failure is told.
async fn connect(
    addresses: &[(SocketAddr, String)],
    until: Instant,
) -> Result<TcpStream, DialError> {
    let mut first = None;
    for (address, shown) in addresses {
        let failure = match timeout_at(until, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => DialError::Connect(shown.clone(), error),
            Err(_) => DialError::Timeout(shown.clone()),
        };
        first.get_or_insert(failure);
    }
    Err(first.unwrap_or_else(|| DialError::Lookup(String::new())))
}

// === impl Place ===

impl Place {
    pub(super) fn parse(address: &str) -> Result<Self, DialError> {
        let (host, port) =
            split(address).map_err(|why| DialError::Address(address.to_owned(), why))?;
        Ok(Self { host: host.to_owned(), port: port_number(port)? })
    }

    /// Each address to try, and how it is told of.
    pub(super) async fn addresses(&self) -> Result<Vec<(SocketAddr, String)>, DialError> {
        if self.host.is_empty() {
            let own = SocketAddr::from(([127, 0, 0, 1], self.port));
            return Ok(vec![(own, format!(":{}", self.port))]);
        }
        if let Ok(ip) = self.host.parse::<IpAddr>() {
            let address = SocketAddr::new(ip, self.port);
            return Ok(vec![(address, address.to_string())]);
        }
        let found = lookup_host((self.host.as_str(), self.port)).await;
        let found: Vec<_> = found.map_err(|_| DialError::Lookup(self.host.clone()))?.collect();
        if found.is_empty() {
            return Err(DialError::Lookup(self.host.clone()));
        }
        Ok(found.into_iter().map(|address| (address, address.to_string())).collect())
    }
}

fn split(address: &str) -> Result<(&str, &str), &'static str> {
    let Some((host, port)) = address.rsplit_once(':') else {
        return Err("missing port in address");
    };
    match host.strip_prefix('[') {
        Some(inner) => match inner.strip_suffix(']') {
            Some(inner) => Ok((inner, port)),
            None if address.contains(']') => Err("missing port in address"),
            None => Err("missing ']' in address"),
        },
        None if host.contains(':') => Err("too many colons in address"),
        None => Ok((host, port)),
    }
}

fn port_number(text: &str) -> Result<u16, DialError> {
    let known = [
        ("", 0),
        ("domain", 53),
        ("ftp", 21),
        ("http", 80),
        ("https", 443),
        ("imaps", 993),
        ("smtp", 25),
        ("ssh", 22),
    ];
    if let Some((_, port)) = known.iter().find(|(name, _)| *name == text) {
        return Ok(*port);
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map_err(|_| DialError::Address(text.to_owned(), "invalid port"));
    }
    Err(DialError::UnknownPort(text.to_owned()))
}

// === impl DialError ===

impl DialError {
    /// The words for a network: `tcp` or `udp`.
    pub(super) fn words(&self, network: &str) -> String {
        match self {
            Self::Address(address, why) => format!("dial {network}: address {address}: {why}"),
            Self::UnknownPort(port) => {
                format!("dial {network}: lookup {network}/{port}: unknown port")
            }
            Self::Lookup(host) => {
                format!("dial {network}: lookup {host}{}: no such host", name_server())
            }
            Self::Connect(to, error) => {
                format!("dial {network} {to}: connect: {}", os_words(error))
            }
            Self::Timeout(to) => format!("dial {network} {to}: i/o timeout"),
        }
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words("tcp"))
    }
}

/// ` on <address>:53`, when the machine names a server.
fn name_server() -> String {
    let conf = std::fs::read_to_string(RESOLV_CONF).unwrap_or_default();
    let server = conf
        .lines()
        .find_map(|line| line.strip_prefix("nameserver")?.trim().parse::<IpAddr>().ok());
    server.map_or_else(String::new, |ip| format!(" on {}", SocketAddr::new(ip, 53)))
}
