//! Whom HTTP checks go through, as the environment says it and Go's clients read it.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::dial::{Place, dial};
use super::url::Target;
use crate::config::Network;

/// A proxy's answer to the wish to be connected is no longer than this.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// The proxies, and for whom they are not.
#[derive(Clone, Debug, Default)]
pub(super) struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    exceptions: Vec<Exception>,
}

/// Somebody who passes requests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proxy {
    /// `host:port`; or why there is none.
    place: Result<String, String>,
    /// What he is shown.
    pub(super) authorization: Option<String>,
}

/// Who is asked directly.
#[derive(Clone, Debug)]
enum Exception {
    Everybody,
    Addresses(Network),
    /// An address or a name, at a port or at all.
    One(String, Option<u16>),
    /// All below a name, at a port or at all.
    Below(String, Option<u16>),
}

// === impl Proxies ===

impl Proxies {
    /// Reads what the environment says, each name in capitals or not.
    pub(super) fn read(said: impl Fn(&str) -> String) -> Self {
        let said = |name: &str| {
            let value = said(name);
            if value.is_empty() { said(&name.to_lowercase()) } else { value }
        };
        // A web server gives its programs headers under such names: this one is no word of the machine's owner.
        let http =
            if said("REQUEST_METHOD").is_empty() { said("HTTP_PROXY") } else { String::new() };
        Self {
            http: Proxy::parse(&http),
            https: Proxy::parse(&said("HTTPS_PROXY")),
            exceptions: exceptions(&said("NO_PROXY")),
        }
    }

    /// The proxy for a request; nobody for most.
    pub(super) fn of(&self, target: &Target) -> Option<&Proxy> {
        let proxy = if target.https { self.https.as_ref() } else { self.http.as_ref() }?;
        let place = Place::parse(&target.place()).ok()?;
        let (host, ip) = (place.host.to_lowercase(), place.host.parse::<IpAddr>().ok());
        let is_own = host == "localhost" || ip.is_some_and(|ip| ip.is_loopback());
        let is_excepted = self.exceptions.iter().any(|one| one.is_for(&host, ip, place.port));
        (!is_own && !is_excepted).then_some(proxy)
    }
}

fn exceptions(said: &str) -> Vec<Exception> {
    let words = said.split(',').map(|word| word.trim().to_lowercase());
    words.filter(|word| !word.is_empty()).map(|word| Exception::parse(&word)).collect()
}

// === impl Exception ===

impl Exception {
    fn parse(word: &str) -> Self {
        if word == "*" {
            return Self::Everybody;
        }
        if let Some(network) = word.contains('/').then(|| crate::config::network(word)).flatten() {
            return Self::Addresses(network);
        }
        let (host, port) = match word.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, port.parse().ok())
            }
            _ => (word, None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let below = host.strip_prefix("*.").or(host.strip_prefix('.'));
        match below {
            Some(name) => Self::Below(name.to_owned(), port),
            None => Self::One(host.to_owned(), port),
        }
    }

    fn is_for(&self, host: &str, ip: Option<IpAddr>, port: u16) -> bool {
        let at = |wanted: &Option<u16>| wanted.is_none_or(|wanted| wanted == port);
        let is_below = |name: &str| {
            host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')) && ip.is_none()
        };
        match self {
            Self::Everybody => true,
            Self::Addresses(network) => ip.is_some_and(|ip| network.holds(ip)),
            Self::One(name, wanted) => at(wanted) && (host == name || is_below(name)),
            Self::Below(name, wanted) => at(wanted) && is_below(name),
        }
    }
}

// === impl Proxy ===

impl Proxy {
    fn parse(said: &str) -> Option<Self> {
        if said.is_empty() {
            return None;
        }
        let (scheme, rest) = said.split_once("://").unwrap_or(("http", said));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
        let place = match scheme {
            "http" if has_port => Ok(host.to_owned()),
            "http" => Ok(format!("{host}:80")),
            other => Err(format!("proxies that speak {other} are not supported")),
        };
        let authorization = user.map(|user| {
            let user: Vec<u8> = percent_decode_str(user).collect();
            format!("Basic {}", STANDARD.encode(user))
        });
        Some(Self { place, authorization })
    }

    /// Connects to the proxy.
    pub(super) async fn dial(&self, until: Instant) -> Result<TcpStream, String> {
        let connected = match &self.place {
            Ok(place) => dial(place, until).await.map_err(|error| error.to_string()),
            Err(why) => Err(why.clone()),
        };
        connected.map_err(|why| format!("proxyconnect tcp: {why}"))
    }

    /// Connects to a place through the proxy, for something that it does not understand.
    pub(super) async fn tunnel(&self, place: &str, until: Instant) -> Result<TcpStream, String> {
        let mut stream = self.dial(until).await?;
        let shown = self.authorization.as_ref();
        let shown =
            shown.map(|shown| format!("Proxy-Authorization: {shown}\r\n")).unwrap_or_default();
        let wish = format!(
            "CONNECT {place} HTTP/1.1\r\nHost: {place}\r\nUser-Agent: Go-http-client/1.1\r\n{shown}\r\n"
        );
        let broken = |_| "unexpected EOF".to_owned();
        stream.write_all(wish.as_bytes()).await.map_err(broken)?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() >= HEAD_BYTES_MAX {
                return Err("the proxy's answer is too long".to_owned());
            }
            // One at a time: what follows the head is not ours to take.
            head.push(stream.read_u8().await.map_err(broken)?);
        }
        let line = String::from_utf8_lossy(&head);
        let mut words = line.lines().next().unwrap_or_default().splitn(3, ' ').skip(1);
        match (words.next(), words.next()) {
            (Some("200"), _) => Ok(stream),
            (_, reason) => Err(reason.unwrap_or("malformed HTTP response").to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(pairs: &[(&str, &str)]) -> Proxies {
        let said = |name: &str| {
            pairs.iter().find(|(own, _)| *own == name).map_or("", |(_, value)| value).to_owned()
        };
        Proxies::read(said)
    }

    #[test]
    fn requests_go_through_whom_the_environment_names() {
        let proxies = proxies(&[
            ("http_proxy", "http://proxy:3128"),
            ("HTTPS_PROXY", "u:p%40@10.0.0.1"),
            ("NO_PROXY", "10.1.0.0/16, web.example,.below.example,at.example:81,[fd00::1]"),
        ]);
        for (url, place) in [
            ("http://a.example/", Some("proxy:3128")),
            ("https://a.example/", Some("10.0.0.1:80")),
            ("http://localhost/", None),
            ("http://127.0.0.1:8080/", None),
            ("http://10.1.2.3/", None),
            ("http://10.2.0.1/", Some("proxy:3128")),
            ("http://web.example/", None),
            ("http://a.web.example/", None),
            ("http://aweb.example/", Some("proxy:3128")),
            ("http://below.example/", Some("proxy:3128")),
            ("http://a.below.example/", None),
            ("http://at.example:81/", None),
            ("http://at.example/", Some("proxy:3128")),
            ("http://[fd00::1]/", None),
        ] {
            let target = Target::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            let found = proxies.of(&target).and_then(|proxy| proxy.place.as_deref().ok());
            assert_eq!(found, place, "{url}");
        }
        let shown = proxies.https.and_then(|proxy| proxy.authorization);
        assert_eq!(shown.as_deref(), Some("Basic dTpwQA=="));
    }

    #[test]
    fn what_a_web_server_says_is_not_believed() {
        let said = [("HTTP_PROXY", "http://evil:1"), ("REQUEST_METHOD", "GET")];
        assert!(proxies(&said).http.is_none());
        assert!(proxies(&[("NO_PROXY", "*")]).exceptions[0].is_for("a", None, 1));
    }
}
