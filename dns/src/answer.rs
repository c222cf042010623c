//! What the index says to a question, as a draft that does not know yet who asks.
//!
//! All of an answer comes from one snapshot, so that records and what is told beside them never disagree. Time and
//! chance are handed in.

mod address;
mod node;
mod query;
mod reverse;
mod service;
mod zone;

use std::net::IpAddr;

use proconsul_anchors::acl::{Act, Authority};
use proconsul_anchors::clock::Time;
use proconsul_anchors::index::{Index, Instance, NodeRow};
use rand::RngCore;

pub(crate) use self::zone::SERVERS;
use crate::limits::CHASES_MAX;
use crate::name::Name;
use crate::question::{self, Ask, Locality, Place, Question};
use crate::record::{Kind, Rcode, Record};
use crate::settings::Settings;

/// What an answer is made from.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// What the scope knew when the question came.
    pub index: &'a Index,
    /// What of it may be told.
    pub authority: &'a Authority,
    /// How names are answered.
    pub settings: &'a Settings,
    /// Now.
    pub now: Time,
    /// Whether the client speaks EDNS: one that does not is told fewer records of a host name.
    pub edns: bool,
    /// Where the client is, as far as it is known: its own word comes before the packet's.
    pub source: Option<IpAddr>,
}

/// An answer before it is known what its asker can carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// Which of the three ways of replying it takes.
    pub manner: Manner,
    /// How it ended.
    pub rcode: Rcode,
    /// Answers.
    pub answer: Vec<Record>,
    /// Authority records.
    pub authority: Vec<Record>,
    /// Additional records.
    pub additional: Vec<Record>,
    /// Whether the client's subnet had a say in it.
    pub subnet_matters: bool,
}

/// Consul replies in three manners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// For a zone of ours: cut to what the asker can carry.
    #[default]
    Zone,
    /// For an address: whole.
    Reverse,
    /// No: without authority and without EDNS.
    Refusal,
}

/// Records for the three sections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sections {
    answer: Vec<Record>,
    authority: Vec<Record>,
    additional: Vec<Record>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Miss {
    /// No such name. Told with the zone's SOA.
    NoName,
    /// The name has nothing of this type. Told with the zone's SOA.
    NoData,
    /// The question names nothing (`_._tcp.service.consul`). Consul fails there, without SOA.
    Nameless,
    /// Who asks is not known, or may not ask for this at all. Consul fails there, too.
    NotAllowed,
}

/// A search under way: a question, the zone in which it was asked, and how far host names may still be followed.
#[derive(Clone, Copy)]
struct Search<'a> {
    view: View<'a>,
    question: &'a Question,
    zone: &'a Name,
    edns: bool,
    chases_left: usize,
}

/// Answers from the index.
pub fn answer(
    view: View<'_>,
    question: &Question,
    place: &Place,
    chance: &mut dyn RngCore,
) -> Draft {
    match place {
        Place::Foreign => refusal(),
        Place::Reverse => reverse::answer(view, question),
        Place::Malformed => zone::miss(view, question, Miss::NoName),
        Place::Ask { ask: Ask::Transfer, .. } => Draft { rcode: Rcode::NotImp, ..Draft::default() },
        Place::Ask { ask, zone } => {
            let search = Search { view, question, zone, edns: view.edns, chases_left: CHASES_MAX };
            let subnet_matters = matches!(ask, Ask::Query { .. });
            match search.run(ask, chance) {
                Ok(Sections { answer, authority, additional }) => {
                    Draft { answer, authority, additional, subnet_matters, ..Draft::default() }
                }
                Err(miss) => Draft { subnet_matters, ..zone::miss(view, question, miss) },
            }
        }
    }
}

/// The reply about a name that is nobody's business here.
pub fn refusal() -> Draft {
    Draft { manner: Manner::Refusal, rcode: Rcode::Refused, ..Draft::default() }
}

// === impl View ===

impl View<'_> {
    /// Whether a node may be told.
    fn shows_node(&self, row: &NodeRow) -> bool {
        self.authority.allows(Act::node_read(row.node.name.as_str()))
    }

    /// Whether an instance may be told.
    fn shows(&self, node: &NodeRow, instance: &Instance) -> bool {
        self.shows_node(node)
            && self.authority.allows(Act::service_read(instance.service.name.as_str()))
    }
}

// === impl Search ===

impl<'a> Search<'a> {
    fn run(&self, ask: &Ask, chance: &mut dyn RngCore) -> Result<Sections, Miss> {
        self.admit(ask)?;
        match ask {
            Ask::Zone => Ok(zone::authority(self, chance)),
            Ask::Service { name, tag, locality } => {
                let wanted = service::Wanted { name, tag: tag.as_deref(), locality };
                service::answer(self, &wanted, chance)
            }
            Ask::Node { name, locality } => node::answer(self, name, locality, chance),
            Ask::Address { ip, owner } => Ok(self.spelt_address(*ip, owner)),
            // Virtual addresses, mesh proxies and gateways are not built: as if there were none.
            Ask::Virtual { .. } => Ok(Sections::default()),
            Ask::Query { name, .. } if name.is_empty() => Err(Miss::Nameless),
            Ask::Query { name, datacenter } => {
                query::answer(self, name, datacenter.as_deref(), chance)
            }
            Ask::Connect { .. } | Ask::Ingress { .. } | Ask::Transfer => Err(Miss::NoName),
        }
    }

    /// What is kept from a caller is as if it were not there; but nobody asks for what stands before a service that it may not
    /// read.
    fn admit(&self, ask: &Ask) -> Result<(), Miss> {
        let authority = self.view.authority;
        let allowed = match ask {
            Ask::Zone | Ask::Address { .. } | Ask::Transfer | Ask::Query { .. } => true,
            Ask::Service { .. } | Ask::Node { .. } => authority.is_known(),
            Ask::Connect { name, .. } | Ask::Ingress { name, .. } | Ask::Virtual { name, .. } => {
                authority.allows(Act::service_read(name))
            }
        };
        if allowed { Ok(()) } else { Err(Miss::NotAllowed) }
    }

    /// Whether the own scope is meant: other datacenters and peers are not known.
    fn is_local(&self, locality: &Locality) -> bool {
        let here = self.view.settings.datacenter.as_ref();
        locality.peer.is_none()
            && locality.datacenter.as_deref().is_none_or(|datacenter| datacenter == here)
    }

    /// The record of an address stands in the answer when its type was asked, else beside it.
    fn spelt_address(&self, ip: IpAddr, owner: &str) -> Sections {
        let mut sections = Sections::default();
        let Ok(owner) = Name::under(owner, self.zone) else { return sections };
        let record = address::record(owner, ip, self.view.settings.node_ttl);
        let asked = self.question.kind == Kind::ANY || self.question.kind == record.data.kind();
        let section = if asked { &mut sections.answer } else { &mut sections.additional };
        section.push(record);
        sections
    }

    /// What our own zones say about a host name: nothing when it lies elsewhere, or too deep.
    fn chase(&self, host: &Name, chance: &mut dyn RngCore) -> Vec<Record> {
        let question = Question { name: host.clone(), kind: Kind::ANY, class: self.question.class };
        let Place::Ask { ask, zone } = question::parse(&question, self.view.settings) else {
            return Vec::new();
        };
        let Some(chases_left) = self.chases_left.checked_sub(1) else {
            tracing::debug!(name = %host, "a host name leads back into the zone too often");
            return Vec::new();
        };
        let search =
            Search { view: self.view, question: &question, zone: &zone, edns: false, chases_left };
        search.run(&ask, chance).map(|sections| sections.answer).unwrap_or_default()
    }
}

#[cfg(test)]
pub(crate) mod tests;
