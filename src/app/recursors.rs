//! Where the recursors are that a configuration names.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};

/// The port that DNS servers listen on when none is told.
const PORT: u16 = 53;

/// The address of a server: an address or a host name, with or without a port. A host name is looked up once, here.
///
/// # Errors
/// What is wrong with it.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, PORT));
    }
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let bad = |fault: &str| format!("Invalid recursor address: address {text}: {fault}");
    let (host, port) = match text.split_once(':') {
        Some((_, port)) if port.contains(':') => return Err(bad("too many colons in address")),
        Some((host, port)) => (host, port.parse().map_err(|_| bad("invalid port"))?),
        None => (text, PORT),
    };
    let found = (host, port).to_socket_addrs().map_err(|error| bad(&error.to_string()))?;
    let found: Vec<SocketAddr> = found.collect();
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| bad("no such host"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_get_the_port_that_they_lack() {
        for (text, expected) in [
            ("8.8.8.8", Ok("8.8.8.8:53")),
            ("8.8.8.8:5353", Ok("8.8.8.8:5353")),
            ("2001:4860:4860::8888", Ok("[2001:4860:4860::8888]:53")),
            ("[2001:4860:4860::8888]", Ok("[2001:4860:4860::8888]:53")),
            ("[::1]:5353", Ok("[::1]:5353")),
            ("localhost:54", Ok("127.0.0.1:54")),
            ("1.2.3.4::", Err("address 1.2.3.4::: too many colons in address")),
            ("1.2.3.4:x", Err("address 1.2.3.4:x: invalid port")),
        ] {
            let expected = expected
                .map(|address| address.parse().unwrap())
                .map_err(|fault: &str| format!("Invalid recursor address: {fault}"));
            assert_eq!(address(text), expected, "{text}");
        }
    }
}
