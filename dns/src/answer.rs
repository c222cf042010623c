//! What the index says to a question, as a draft that does not know yet who asks.
//!
//! All of an answer comes from one snapshot, so that records and what is told beside them never disagree. Time and
//! chance are handed in.

mod address;
mod node;
mod public;
mod query;
mod reverse;
mod rows;
mod service;
mod zone;

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;

use proconsul_anchors::acl::{Act, Authority};
use proconsul_anchors::clock::Time;
use proconsul_anchors::index::{Index, Instance, NodeRow};
use proconsul_anchors::name::Caseless;
use rand::RngCore;

pub(crate) use self::node::tells_of_nodes;
pub use self::public::{Whereabouts, whereabouts};
pub(crate) use self::rows::rows;
use self::service::{By, Wanted};
pub(crate) use self::zone::SERVERS;
use crate::extended::ExtendedError;
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
    /// The datacenter whose index it is.
    pub datacenter: &'a str,
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
    /// What others said about host names outside of our zones, once they were asked.
    pub beyond: Option<&'a Beyond>,
}

/// What others said about host names, in lower case.
pub type Beyond = HashMap<Name, Vec<Record>>;

/// An answer before it is known what its asker can carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// Which of the four ways of replying it takes.
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
    /// Why it is not what it could be.
    pub error: Option<ExtendedError>,
    /// Why the index has nothing of the name.
    pub absence: Option<Absence>,
    /// Host names outside of our zones to which it leads, and of which nothing is known yet.
    pub wants: Vec<Name>,
}

/// Why nothing is told of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// It cannot be the name of anything.
    Malformed,
    /// The index has nothing of that name. This alone may lead elsewhere.
    Unknown,
    /// The index has it, and the asker may not know.
    Hidden,
    /// The index has it, and nothing of it is fit: its health, its tag or its port.
    Unfit,
    /// It is in a datacenter or at a peer of which nothing is known.
    Far,
}

/// Consul replies in four manners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// For a zone of ours: cut to what the asker can carry.
    #[default]
    Zone,
    /// For an address: whole.
    Reverse,
    /// No: without authority and without EDNS.
    Refusal,
    /// Whoever was asked instead did not answer: without authority, whole.
    Failure,
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
    NoName(Absence),
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
    /// Host names of which nothing is known yet.
    wants: &'a RefCell<Vec<Name>>,
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
        Place::Malformed => zone::miss(view, question, Miss::NoName(Absence::Malformed)),
        Place::Ask { ask: Ask::Transfer, .. } => Draft { rcode: Rcode::NotImp, ..Draft::default() },
        Place::Ask { ask, zone } => {
            let (wants, edns) = (RefCell::default(), view.edns);
            let search =
                Search { view, question, zone, edns, chases_left: CHASES_MAX, wants: &wants };
            let draft = match search.run(ask, chance) {
                Ok(Sections { answer, authority, additional }) => {
                    Draft { answer, authority, additional, ..Draft::default() }
                }
                Err(miss) => zone::miss(view, question, miss),
            };
            let subnet_matters = matches!(ask, Ask::Query { .. });
            Draft { subnet_matters, wants: wants.into_inner(), ..draft }
        }
    }
}

/// The reply when nobody could tell, in the manner of those who were to be asked.
pub fn failure(manner: Manner, error: ExtendedError) -> Draft {
    Draft { manner, rcode: Rcode::ServFail, error: Some(error), ..Draft::default() }
}

/// The reply about a name of a zone of ours that a rule keeps from the asker: as if there were none.
pub fn prohibition(view: View<'_>, question: &Question, error: ExtendedError) -> Draft {
    let error = Some(error);
    Draft { error, ..zone::miss(view, question, Miss::NoName(Absence::Hidden)) }
}

/// The reply about a name that is nobody's business here.
pub fn refusal() -> Draft {
    Draft { manner: Manner::Refusal, rcode: Rcode::Refused, ..Draft::default() }
}

// === impl Draft ===

impl Draft {
    /// The same, told as what was known before: nobody may keep it.
    #[must_use]
    pub(crate) fn stale(mut self, error: ExtendedError) -> Self {
        let sections = [&mut self.answer, &mut self.authority, &mut self.additional];
        sections.into_iter().flatten().for_each(|record| record.ttl = 0);
        self.error = Some(error);
        self
    }
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
        let locality = ask.locality().filter(|_| self.is_told_of(ask));
        if locality.is_some_and(|locality| !self.is_within(locality)) {
            // Whether there is such a datacenter is no secret, and comes first.
            return Err(Miss::NoName(Absence::Far));
        }
        self.admit(ask)?;
        match ask {
            Ask::Zone => Ok(zone::authority(self, chance)),
            Ask::Service { name, tag, locality } => {
                let by = By::Itself(tag.as_deref());
                service::answer(self, &Wanted { name, by, locality }, chance)
            }
            Ask::Connect { name, locality } => {
                service::answer(self, &Wanted { name, by: By::Mesh, locality }, chance)
            }
            Ask::Ingress { name, locality } => {
                service::answer(self, &Wanted { name, by: By::Ingress, locality }, chance)
            }
            Ask::Node { name, locality } => node::answer(self, name, locality, chance),
            Ask::Address { ip, owner } => Ok(self.spelt_address(*ip, owner)),
            Ask::Virtual { name, peer, owner } => Ok(match peer {
                None => self.virtual_address(name, owner),
                // Of what peers export nothing is known.
                Some(_) => Sections::default(),
            }),
            Ask::Query { name, datacenter } => {
                query::answer(self, name, datacenter.as_deref(), chance)
            }
            Ask::Transfer => Err(Miss::NoName(Absence::Malformed)),
        }
    }

    /// What is kept from a caller is as if it were not there; but nobody asks for what stands before a service that it may not
    /// read.
    fn admit(&self, ask: &Ask) -> Result<(), Miss> {
        let authority = self.view.authority;
        let allowed = match ask {
            Ask::Zone | Ask::Address { .. } | Ask::Transfer | Ask::Query { .. } => true,
            Ask::Service { .. } | Ask::Node { .. } => authority.is_known() || !self.is_told_of(ask),
            // What a peer exports is for those who may read everything, or offer something themselves.
            Ask::Virtual { peer: Some(_), .. } => {
                authority.allows(Act::service_read_all())
                    || authority.allows(Act::service_write_any())
            }
            Ask::Connect { name, .. } | Ask::Ingress { name, .. } | Ask::Virtual { name, .. } => {
                authority.allows(Act::service_read(name))
            }
        };
        if allowed { Ok(()) } else { Err(Miss::NotAllowed) }
    }

    /// Whether the question has an answer at all: of nodes, some types are not even looked for.
    fn is_told_of(&self, ask: &Ask) -> bool {
        !matches!(ask, Ask::Node { .. }) || tells_of_nodes(self.question.kind)
    }

    /// Whether the datacenter is meant whose index this is.
    fn is_within(&self, locality: &Locality) -> bool {
        let meant = locality.datacenter.as_deref().unwrap_or(&self.view.settings.datacenter);
        locality.peer.is_some() || meant == self.view.datacenter
    }

    /// The same, and nothing of a peer: none is known.
    fn is_here(&self, locality: &Locality) -> bool {
        locality.peer.is_none() && self.is_within(locality)
    }

    /// The virtual address of a service in the mesh; nothing when it has none.
    fn virtual_address(&self, name: &str, owner: &str) -> Sections {
        let row = self.view.index.virtual_ip(&Caseless::from(name));
        row.map(|row| self.spelt_address(row.record.address().into(), owner)).unwrap_or_default()
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

    /// What is known about a host name: by our own zones unless it lies too deep, else by those who were asked.
    fn chase(&self, host: &Name, chance: &mut dyn RngCore) -> Vec<Record> {
        let question = Question { name: host.clone(), kind: Kind::ANY, class: self.question.class };
        let (ask, zone) = match question::parse(&question, self.view.settings) {
            Place::Ask { ask, zone } => (ask, zone),
            Place::Malformed if !self.view.settings.is_zone(host) => return Vec::new(),
            // Consul takes the zone's own name for one outside of it.
            Place::Malformed | Place::Reverse | Place::Foreign => return self.beyond(host),
        };
        let Some(chases_left) = self.chases_left.checked_sub(1) else {
            tracing::debug!(name = %host, "a host name leads back into the zone too often");
            return Vec::new();
        };
        let (view, wants) = (self.view, self.wants);
        let search =
            Search { view, question: &question, zone: &zone, edns: false, chases_left, wants };
        search.run(&ask, chance).map(|sections| sections.answer).unwrap_or_default()
    }

    /// What others said about a host name. Where somebody can be asked and was not, that is noted.
    fn beyond(&self, host: &Name) -> Vec<Record> {
        let key = host.to_lower();
        match self.view.beyond {
            Some(beyond) => beyond.get(&key).cloned().unwrap_or_default(),
            None => {
                if self.view.settings.recursors.is_some() {
                    self.wants.borrow_mut().push(key);
                }
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
