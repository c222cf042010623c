//! What a name asks for. Consul's grammar of names, and nothing of what the index holds.
//!
//! ```text
//! [tag.]name.service[.locality]    _name._tag.service[.locality]    node.node[.locality]    hex.addr
//! name.{connect,ingress,virtual}[.locality]    name.query[.dc]      anything under arpa
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::name::{Name, label_text};
use crate::record::Kind;
use crate::settings::Settings;

/// What a client asked, as it wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name, its case kept.
    pub name: Name,
    /// The type.
    pub kind: Kind,
    /// The class, which Consul does not look at.
    pub class: u16,
}

/// Where a question leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Into the index.
    Ask {
        /// What is looked for.
        ask: Ask,
        /// The zone under which it was asked, as the client spelt it; answers name others under it.
        zone: Name,
    },
    /// To the zones of addresses: whose address is it?
    Reverse,
    /// Into a zone of ours, to nothing that can exist.
    Malformed,
    /// Elsewhere.
    Foreign,
}

/// What is looked for. All text is in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The zone itself (SOA, NS), whatever name was asked.
    Zone,
    /// The whole zone (AXFR), which is not given.
    Transfer,
    /// The instances of a service.
    Service {
        /// The service.
        name: String,
        /// Only instances with this tag.
        tag: Option<String>,
        /// Where.
        locality: Locality,
    },
    /// The mesh-capable instances of a service.
    Connect {
        /// The service.
        name: String,
        /// Where.
        locality: Locality,
    },
    /// The ingress gateways of a service.
    Ingress {
        /// The service.
        name: String,
        /// Where.
        locality: Locality,
    },
    /// The virtual address of a service.
    Virtual {
        /// The service.
        name: String,
        /// Of a peer's service.
        peer: Option<String>,
        /// The owner of its record: what stood before the zone, in lower case.
        owner: String,
    },
    /// A node, by name, id or the beginning of its id.
    Node {
        /// Name, id, or beginning of the id.
        name: String,
        /// Where.
        locality: Locality,
    },
    /// The results of a prepared query.
    Query {
        /// Name or id.
        name: String,
        /// Where it runs.
        datacenter: Option<String>,
    },
    /// The address that the name spells.
    Address {
        /// The address.
        ip: IpAddr,
        /// The owner of its record: what stood before the zone, in lower case.
        owner: String,
    },
}

/// Where something is looked for: what stands to the right of the keyword.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locality {
    /// Another datacenter, or the own one by name.
    pub datacenter: Option<String>,
    /// A peer.
    pub peer: Option<String>,
    /// One of a service's named ports.
    pub port: Option<String>,
}

// === impl Ask ===

impl Ask {
    /// Where it is looked for; nothing for what is in one place only, or says otherwise where.
    pub fn locality(&self) -> Option<&Locality> {
        match self {
            Self::Service { locality, .. }
            | Self::Connect { locality, .. }
            | Self::Ingress { locality, .. }
            | Self::Node { locality, .. } => Some(locality),
            Self::Zone
            | Self::Transfer
            | Self::Virtual { .. }
            | Self::Query { .. }
            | Self::Address { .. } => None,
        }
    }
}

/// Where a question leads.
pub fn parse(question: &Question, settings: &Settings) -> Place {
    let Some(zone) = own_zone(&question.name, settings) else {
        return if under_arpa(&question.name) { Place::Reverse } else { Place::Foreign };
    };
    let ask = match question.kind {
        Kind::SOA | Kind::NS => Some(Ask::Zone),
        Kind::AXFR => Some(Ask::Transfer),
        kind => parse_labels(&labels_before(&question.name, &zone), kind),
    };
    ask.map_or(Place::Malformed, |ask| Place::Ask { ask, zone })
}

/// The longer of our zones under which a name lies, as the name spells it.
fn own_zone(name: &Name, settings: &Settings) -> Option<Name> {
    let alt = settings.alt_domain.as_ref().and_then(|zone| name.suffix_like(zone.name()));
    let main = name.suffix_like(settings.domain.name());
    main.into_iter().chain(alt).max_by_key(|zone| zone.wire().len())
}

fn under_arpa(name: &Name) -> bool {
    name.labels().last().is_some_and(|label| label.eq_ignore_ascii_case(b"arpa"))
}

fn labels_before(name: &Name, zone: &Name) -> Vec<String> {
    let count = name.labels().count() - zone.labels().count();
    name.labels().take(count).map(|label| label_text(label).to_ascii_lowercase()).collect()
}

/// From the right, the first keyword says what the labels on its left mean.
fn parse_labels(labels: &[String], kind: Kind) -> Option<Ask> {
    for (at, label) in labels.iter().enumerate().rev() {
        let (parts, suffix) = (&labels[..at], &labels[at + 1..]);
        match label.as_str() {
            "service" => return service(parts, suffix),
            "connect" => {
                return plain(parts, suffix, |name, locality| Ask::Connect { name, locality });
            }
            "ingress" => {
                return plain(parts, suffix, |name, locality| Ask::Ingress { name, locality });
            }
            "virtual" => return virtual_address(parts, suffix, &labels.join(".")),
            "node" => return node(parts, suffix),
            "query" => return prepared_query(parts, suffix),
            "addr" => return address(parts, &labels.join(".")),
            // SRV may leave the keyword out: `_db._tcp.consul`.
            implied if kind == Kind::SRV && implied.starts_with('_') => {
                return service(&labels[..=at], suffix);
            }
            _ => {}
        }
    }
    None
}

fn service(parts: &[String], suffix: &[String]) -> Option<Ask> {
    let (last, before) = parts.split_last()?;
    let locality = parse_locality(suffix)?;
    if let ([name], Some(tag)) = (before, last.strip_prefix('_'))
        && let Some(name) = name.strip_prefix('_')
    {
        // RFC 2782; `_tcp` is what every client writes and so says nothing about tags.
        let tag = Some(tag).filter(|tag| !["", "tcp"].contains(tag)).map(str::to_owned);
        return Some(Ask::Service { name: name.to_owned(), tag, locality });
    }
    let tag = Some(before.join(".")).filter(|tag| !tag.is_empty());
    Some(Ask::Service { name: last.clone(), tag, locality })
}

/// Forms of which only the label next to the keyword counts, and of the locality only the datacenter.
fn plain(
    parts: &[String],
    suffix: &[String],
    make: impl Fn(String, Locality) -> Ask,
) -> Option<Ask> {
    let name = parts.last()?;
    let datacenter = parse_locality(suffix)?.datacenter;
    Some(make(name.clone(), Locality { datacenter, ..Locality::default() }))
}

/// Virtual addresses are a datacenter's own: a single label is a peer, never a datacenter.
fn virtual_address(parts: &[String], suffix: &[String], owner: &str) -> Option<Ask> {
    let peer = match suffix {
        [peer] => Some(peer.clone()),
        _ => parse_locality(suffix)?.peer,
    };
    Some(Ask::Virtual { name: parts.last()?.clone(), peer, owner: owner.to_owned() })
}

fn node(parts: &[String], suffix: &[String]) -> Option<Ask> {
    let name = Some(parts.join(".")).filter(|name| !name.is_empty())?;
    Some(Ask::Node { name, locality: parse_locality(suffix)? })
}

fn prepared_query(parts: &[String], suffix: &[String]) -> Option<Ask> {
    let datacenter = match suffix {
        [] => None,
        [datacenter] => Some(datacenter.clone()),
        _ => return None,
    };
    let name = match parts {
        [] => return None,
        // RFC 2782: what the last label says of the protocol does not matter.
        [first, middle @ .., last] if last.starts_with('_') && first.starts_with('_') => {
            let rest = middle.iter().flat_map(|part| [".", part.as_str()]);
            std::iter::once(&first[1..]).chain(rest).collect()
        }
        _ => parts.join("."),
    };
    Some(Ask::Query { name, datacenter })
}

fn address(parts: &[String], owner: &str) -> Option<Ask> {
    let [hex] = parts else { return None };
    let ip = match hex.len() {
        8 => IpAddr::V4(Ipv4Addr::from_bits(u32::from_str_radix(plain_hex(hex)?, 16).ok()?)),
        32 => IpAddr::V6(Ipv6Addr::from_bits(u128::from_str_radix(plain_hex(hex)?, 16).ok()?)),
        _ => return None,
    };
    Some(Ask::Address { ip, owner: owner.to_owned() })
}

/// Numbers may carry a sign for Rust; names may not.
fn plain_hex(text: &str) -> Option<&str> {
    text.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(text)
}

/// What stands to the right of a keyword: nothing, a datacenter, or pairs that say what they are.
fn parse_locality(suffix: &[String]) -> Option<Locality> {
    let mut locality = Locality::default();
    match suffix {
        [] => {}
        [datacenter] => locality.datacenter = Some(datacenter.clone()),
        pairs if pairs.len() % 2 == 0 && pairs.len() <= 6 => {
            for pair in pairs.chunks_exact(2) {
                let slot = match pair[1].as_str() {
                    "dc" => &mut locality.datacenter,
                    "peer" => &mut locality.peer,
                    "port" => &mut locality.port,
                    _ => return None,
                };
                *slot = Some(pair[0].clone());
            }
        }
        _ => return None,
    }
    let contradiction = locality.datacenter.is_some() && locality.peer.is_some();
    (!contradiction).then_some(locality)
}

#[cfg(test)]
mod tests;
