//! Whose address is it? The first node whose address it is, else the first service.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proconsul_anchors::index::NodeRow;

use super::{Absence, Draft, Manner, View, address, node, zone};
use crate::name::Name;
use crate::question::Question;
use crate::record::{Data, Kind, Rcode, Record};

/// Any type is taken for PTR. The answer always names the main zone and may not be kept.
pub(super) fn answer(view: View<'_>, question: &Question) -> Draft {
    let mut draft = Draft { manner: Manner::Reverse, ..Draft::default() };
    if question.kind == Kind::SOA {
        draft.authority.push(zone::soa(view, &question.name));
    }
    match parse(&question.name).and_then(|ip| holder(view, ip)) {
        Some(holder) => draft.answer.push(Record {
            owner: question.name.clone(),
            ttl: 0,
            data: Data::Ptr(holder),
        }),
        None => {
            draft.absence = Some(Absence::Unknown);
            draft.rcode = Rcode::NxDomain;
            draft.authority.push(zone::soa(view, &question.name));
        }
    }
    draft
}

/// The name of whoever has an address. All nodes are looked through, then all services, in the order of the catalog.
fn holder(view: View<'_>, ip: IpAddr) -> Option<Name> {
    let View { index, settings, .. } = view;
    let zone = settings.domain.name();
    let text = ip.to_canonical().to_string();
    // An IPv4 address of a node stands under `in-addr.arpa` alone, however it is written.
    let is_usual = ip == ip.to_canonical();
    // Nearly all are written in the usual way, and comparing costs less than reading.
    let has = |row: &NodeRow| {
        let told = row.node.address.as_ref();
        told == text || (told.contains(':') && address::parse(told) == Some(ip))
    };
    let node = index.nodes().filter(|_| is_usual).find(|row| has(row) && view.shows_node(row));
    if let Some(row) = node {
        return node::canonical_name(settings, row, zone).ok();
    }
    // Services are compared by text: one that is written in another way than usual is not found.
    let mut services =
        index.nodes().flat_map(|row| row.services.values().map(move |instance| (row, instance)));
    let (row, instance) = services.find(|(row, instance)| {
        instance.service.address.as_ref() == text && view.shows(row, instance)
    })?;
    let datacenter = node::datacenter(settings, row);
    Name::under(&format!("{}.service.{datacenter}", instance.service.name), zone).ok()
}

/// The address that a name under `arpa` spells (RFC 1035 §3.5, RFC 3596 §2.5).
fn parse(name: &Name) -> Option<IpAddr> {
    let mut labels: Vec<&str> =
        name.labels().map(std::str::from_utf8).collect::<Result<_, _>>().ok()?;
    labels.reverse();
    let [arpa, family, digits @ ..] = labels.as_slice() else { return None };
    if !arpa.eq_ignore_ascii_case("arpa") {
        return None;
    }
    match (family.to_ascii_lowercase().as_str(), digits.len()) {
        ("in-addr", 4) => digits.join(".").parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        ("ip6", 32) => nibbles(digits).map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
        _ => None,
    }
}

fn nibbles(digits: &[&str]) -> Option<u128> {
    digits.iter().try_fold(0, |bits: u128, digit| match digit.as_bytes() {
        [nibble] => Some(bits << 4 | u128::from(char::from(*nibble).to_digit(16)?)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_names_spell_addresses() {
        for (name, expected) in [
            ("4.3.2.1.in-addr.arpa", Some("1.2.3.4")),
            ("4.3.2.1.IN-ADDR.Arpa.", Some("1.2.3.4")),
            ("04.3.2.1.in-addr.arpa", None),
            ("3.2.1.in-addr.arpa", None),
            ("4.3.2.1.in-addr", None),
            (
                "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6.arpa",
                Some("2001:db8::1"),
            ),
            ("home.arpa", None),
        ] {
            let ip = parse(&Name::parse(name).unwrap());
            assert_eq!(ip, expected.map(|text| text.parse().unwrap()), "{name}");
        }
    }
}
