//! Addresses: which one of several is told, and its record.

use std::net::IpAddr;
use std::time::Duration;

use crate::name::Name;
use crate::record::{Data, Kind, Record};
use crate::settings::seconds;

/// Which families a question takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// IPv4 first.
    V4,
    /// IPv6 first.
    V6,
    /// IPv6 first, then IPv4.
    Any,
}

/// From where addresses are seen: those of another datacenter may be told as their outside shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Inside,
    Outside,
}

// === impl Want ===

impl Want {
    pub(super) fn of(kind: Kind) -> Self {
        match kind {
            Kind::A => Self::V4,
            Kind::AAAA => Self::V6,
            _ => Self::Any,
        }
    }
}

/// Picks one: the tagged address of a family that is wanted, else the plain one, whatever its family.
pub(super) fn choose<'a>(
    plain: &'a str,
    tagged: impl Fn(&str) -> Option<&'a str>,
    want: Want,
    seen: Seen,
) -> &'a str {
    let by_tag = |inside: &str, outside: &str| match seen {
        Seen::Outside => tagged(outside).or_else(|| tagged(inside)),
        Seen::Inside => tagged(inside),
    };
    let told = |address: &&str| !address.is_empty();
    let v6 = (want != Want::V4).then(|| by_tag("lan_ipv6", "wan_ipv6")).flatten().filter(told);
    let v4 = || (want != Want::V6).then(|| by_tag("lan_ipv4", "wan_ipv4")).flatten().filter(told);
    let outside = || (seen == Seen::Outside).then(|| tagged("wan")).flatten();
    v6.or_else(v4).or_else(outside).unwrap_or(plain)
}

/// Reads an address; an IPv4 one that is written as IPv6 is IPv4.
pub(super) fn parse(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

/// Whether a question of this type takes the record of this address. TXT and NS take both, as in Consul.
pub(super) fn answers(kind: Kind, ip: IpAddr) -> bool {
    match kind {
        Kind::SRV | Kind::ANY | Kind::NS | Kind::TXT => true,
        Kind::A => ip.is_ipv4(),
        Kind::AAAA => ip.is_ipv6(),
        _ => false,
    }
}

pub(super) fn record(owner: Name, ip: IpAddr, ttl: Duration) -> Record {
    Record { owner, ttl: seconds(ttl), data: Data::address(ip) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tagged_addresses_win_by_family() {
        let tags = [
            ("lan_ipv4", "10.0.0.4"),
            ("lan_ipv6", "fd00::6"),
            ("wan", "192.0.2.1"),
            ("wan_ipv4", "192.0.2.4"),
        ];
        let tagged =
            |tag: &str| tags.iter().find(|(name, _)| *name == tag).map(|(_, address)| *address);
        for (want, seen, expected) in [
            (Want::V4, Seen::Inside, "10.0.0.4"),
            (Want::V6, Seen::Inside, "fd00::6"),
            (Want::Any, Seen::Inside, "fd00::6"),
            (Want::V4, Seen::Outside, "192.0.2.4"),
            (Want::V6, Seen::Outside, "fd00::6"),
        ] {
            assert_eq!(choose("10.0.0.1", tagged, want, seen), expected, "{want:?} {seen:?}");
        }
        let only = |tag: &str| (tag == "wan").then_some("192.0.2.1");
        assert_eq!(choose("10.0.0.1", only, Want::V4, Seen::Outside), "192.0.2.1");
        assert_eq!(choose("10.0.0.1", only, Want::V4, Seen::Inside), "10.0.0.1");
    }
}
