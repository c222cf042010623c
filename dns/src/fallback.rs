//! Whom to ask about a name, as a value: the server performs it.
//!
//! Only names outside our zones, and names of which the index has nothing, may ever lead elsewhere. A refusal never does: a
//! fallback must not launder it.

use crate::answer::{self, Absence, Draft};
use std::net::SocketAddr;
use std::time::Duration;

use crate::name::Name;
use crate::question::{Ask, Locality, Place, Question};
use crate::record::Kind;
use crate::settings::Settings;

/// Who can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// The index of the scope.
    Index,
    /// The index of another datacenter.
    Far(String),
    /// The servers for the names that are not ours.
    Recursors,
    /// Whoever is configured for names that are unknown here: which of them.
    Fallback(usize),
    /// Nobody that we know: the question is refused.
    Nobody,
}

/// Whom to ask about what a question leads to.
pub fn whom(place: &Place, kind: Kind, settings: &Settings) -> Whom {
    // Whether a zone is signed stands in the zone above it: Consul hands that on, too.
    let above = kind == Kind::DS || *place == Place::Foreign;
    match place {
        _ if above && settings.recursors.is_some() => Whom::Recursors,
        Place::Foreign => Whom::Nobody,
        // Consul does not even look whether such a node is there.
        Place::Ask { ask: Ask::Node { .. }, .. } if !answer::tells_of_nodes(kind) => Whom::Index,
        Place::Ask { ask, .. } => match datacenter(ask) {
            Some(datacenter) if *datacenter != *settings.datacenter => {
                Whom::Far(datacenter.to_owned())
            }
            _ => Whom::Index,
        },
        Place::Reverse | Place::Malformed => Whom::Index,
    }
}

/// Whom to ask instead when the index answered this; nobody when its answer stands. The query came through `hops` servers
/// that asked somebody else.
pub fn instead(
    place: &Place,
    question: &Question,
    draft: &Draft,
    settings: &Settings,
    hops: impl FnOnce() -> u8,
) -> Option<Whom> {
    if draft.absence != Some(Absence::Unknown) {
        return None;
    }
    match place {
        Place::Reverse => settings.recursors.as_ref().map(|_| Whom::Recursors),
        Place::Ask { .. } => {
            let mut rules = settings.fallbacks.iter().map(|fallback| fallback.rule());
            let at = rules.position(|rule| rule.asks(place, question).is_some())?;
            let depth = settings.fallbacks[at].rule().depth;
            (hops() < depth).then_some(Whom::Fallback(at))
        }
        Place::Malformed | Place::Foreign => None,
    }
}

/// Whom to ask about names of our zones that are unknown here, and what is asked of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Only names at or under it; nothing for all of our zones.
    pub zone: Option<Name>,
    /// What is asked there.
    pub target: Target,
    /// Where, in turn.
    pub servers: Box<[SocketAddr]>,
    /// How many servers may hand on a query one after another, this one included.
    pub depth: u8,
    /// No answer is kept for longer, in seconds.
    pub ttl_max: u32,
    /// How long all of the servers together may take.
    pub timeout: Duration,
}

/// What is asked of somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The same name; in this domain when it has another.
    Consul(Option<Name>),
    /// The same name.
    Recursor,
    /// What stands before the keyword, in this zone.
    Zone(Name),
}

/// A question for somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handed {
    /// The question.
    pub question: Question,
    /// Names in the first zone that are told stand for the same in the second.
    pub zones: Option<(Name, Name)>,
}

impl Rule {
    /// What is asked there about a name; nothing when it is not.
    pub fn asks(&self, place: &Place, question: &Question) -> Option<Handed> {
        let Place::Ask { ask, zone } = place else { return None };
        let inside = |under: &Name| question.name.suffix_like(under).is_some();
        let plain = match ask {
            Ask::Service { locality, .. } | Ask::Node { locality, .. } => locality.peer.is_none(),
            Ask::Query { .. } => self.is_consul(),
            _ => false,
        };
        if self.servers.is_empty() || !plain || !self.zone.as_ref().is_none_or(inside) {
            return None;
        }
        let (name, zones) = match &self.target {
            Target::Consul(Some(domain)) if !domain.is(zone) => {
                let name = moved(&question.name, zone, domain)?;
                (name, Some((domain.clone(), zone.clone())))
            }
            Target::Consul(_) | Target::Recursor => (question.name.clone(), None),
            Target::Zone(legacy) => (in_zone(ask, question.kind, legacy)?, None),
        };
        Some(Handed { question: Question { name, ..question.clone() }, zones })
    }

    fn is_consul(&self) -> bool {
        matches!(self.target, Target::Consul(_))
    }
}

/// The name of a service or node in a zone that knows no keywords. Tags and named ports have no place there.
fn in_zone(ask: &Ask, kind: Kind, zone: &Name) -> Option<Name> {
    let labels = match ask {
        Ask::Service { tag: Some(_), .. }
        | Ask::Service { locality: Locality { port: Some(_), .. }, .. } => return None,
        Ask::Service { name, .. } if kind == Kind::SRV => format!("_{name}._tcp"),
        Ask::Service { name, .. } | Ask::Node { name, .. } => name.clone(),
        _ => return None,
    };
    Name::under(&labels, zone).ok()
}

/// A name of one zone in another; nothing for one that lies elsewhere.
pub fn moved(name: &Name, from: &Name, to: &Name) -> Option<Name> {
    let inside = name.suffix_like(from)?;
    let before = name.wire().len() - inside.wire().len();
    Name::from_wire(&[&name.wire()[..before], to.wire()].concat()).ok()
}

/// The datacenter that a name tells.
fn datacenter(ask: &Ask) -> Option<&str> {
    if let Ask::Query { datacenter, .. } = ask {
        return datacenter.as_deref();
    }
    ask.locality()?.datacenter.as_deref()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::question::parse;
    use crate::settings::{Recursors, Strategy};
    use crate::upstream::Fallback;

    #[test]
    fn only_what_is_not_ours_goes_elsewhere() {
        let recursors = Arc::new(Recursors {
            servers: [([192, 0, 2, 1], 53).into()].into(),
            strategy: Strategy::Sequential,
            timeout: Duration::from_secs(2),
        });
        let far = || Whom::Far("dc2".to_owned());
        for (name, kind, without, with) in [
            ("www.example.com", "A", Whom::Nobody, Whom::Recursors),
            ("consul", "A", Whom::Index, Whom::Index),
            ("web.service.consul", "A", Whom::Index, Whom::Index),
            ("web.service.dc1.consul", "A", Whom::Index, Whom::Index),
            ("web.service.dc2.consul", "A", far(), far()),
            ("n1.node.dc2.consul", "TXT", far(), far()),
            ("n1.node.dc2.consul", "SRV", Whom::Index, Whom::Index),
            ("q.query.dc2.consul", "A", far(), far()),
            ("web.virtual.dc2.consul", "A", Whom::Index, Whom::Index),
            ("web.service.consul", "DS", Whom::Index, Whom::Recursors),
            ("consul", "DS", Whom::Index, Whom::Recursors),
            ("1.0.0.10.in-addr.arpa", "PTR", Whom::Index, Whom::Index),
            ("1.0.0.10.in-addr.arpa", "DS", Whom::Index, Whom::Recursors),
        ] {
            let kind = Kind::parse(kind).unwrap();
            let question = Question { name: Name::parse(name).unwrap(), kind, class: 1 };
            let alone = Settings::default();
            let recursors = Some(Arc::clone(&recursors));
            let helped = Settings { recursors, ..Settings::default() };
            let place = parse(&question, &alone);
            assert_eq!(whom(&place, kind, &alone), without, "{name} {kind}");
            assert_eq!(whom(&place, kind, &helped), with, "{name} {kind}");
        }
    }

    #[test]
    fn questions_are_handed_on_in_the_words_of_who_is_asked() {
        let name = |text: &str| Name::parse(text).unwrap();
        let rule = |target: Target, zone: Option<&str>| Rule {
            zone: zone.map(name),
            target,
            servers: [([192, 0, 2, 1], 53).into()].into(),
            depth: 1,
            ttl_max: 30,
            timeout: Duration::from_secs(2),
        };
        let same = || rule(Target::Consul(None), None);
        let other = || rule(Target::Consul(Some(name("old"))), None);
        let legacy = || rule(Target::Zone(name("svc.old.example")), None);
        for (rule, asked, kind, expected) in [
            (same(), "Web.service.consul", "A", "Web.service.consul."),
            (same(), "q.query.consul", "A", "q.query.consul."),
            (same(), "web.service.p.peer.consul", "A", "-"),
            (same(), "web.connect.consul", "A", "-"),
            (same(), "www.example.com", "A", "-"),
            (other(), "x.web.service.consul", "SRV", "x.web.service.old."),
            (legacy(), "web.service.consul", "A", "web.svc.old.example."),
            (legacy(), "web.service.consul", "SRV", "_web._tcp.svc.old.example."),
            (legacy(), "_web._tcp.service.consul", "SRV", "_web._tcp.svc.old.example."),
            (legacy(), "x.web.service.consul", "A", "-"),
            (legacy(), "n1.node.consul", "AAAA", "n1.svc.old.example."),
            (legacy(), "q.query.consul", "A", "-"),
            (rule(Target::Recursor, Some("node.consul")), "web.service.consul", "A", "-"),
            (rule(Target::Recursor, Some("node.consul")), "n1.NODE.consul", "A", "n1.NODE.consul."),
        ] {
            let kind = Kind::parse(kind).unwrap();
            let question = Question { name: name(asked), kind, class: 1 };
            let place = parse(&question, &Settings::default());
            let handed = rule.asks(&place, &question);
            let shown = handed.map_or("-".to_owned(), |handed| handed.question.name.to_string());
            assert_eq!(shown, expected, "{asked} {kind}");
        }
    }

    #[test]
    fn only_what_is_unknown_is_asked_elsewhere() {
        let name = |text: &str| Name::parse(text).unwrap();
        let fallback = |zone: Option<&str>, depth: u8| {
            let servers = [([192, 0, 2, 1], 53).into()].into();
            let (zone, target) = (zone.map(name), Target::Recursor);
            let timeout = Duration::from_secs(2);
            let rule = Rule { zone, target, servers, depth, ttl_max: 30, timeout };
            Arc::new(Fallback::new(rule, None))
        };
        let fallbacks = [fallback(Some("node.consul"), 2), fallback(None, 1)].into();
        let settings = Settings { fallbacks, ..Settings::default() };
        let unknown = Some(Absence::Unknown);
        for (asked, absence, hops, expected) in [
            ("web.service.consul", unknown, 0, Some(Whom::Fallback(1))),
            ("n1.node.consul", unknown, 0, Some(Whom::Fallback(0))),
            ("n1.node.consul", unknown, 1, Some(Whom::Fallback(0))),
            // It has come far enough: the first that takes a name decides.
            ("n1.node.consul", unknown, 2, None),
            ("web.service.consul", unknown, 1, None),
            ("web.service.consul", None, 0, None),
            ("web.service.consul", Some(Absence::Hidden), 0, None),
            ("web.service.consul", Some(Absence::Unfit), 0, None),
            ("web.service.consul", Some(Absence::Far), 0, None),
            ("web.consul", Some(Absence::Malformed), 0, None),
            ("www.example.com", unknown, 0, None),
        ] {
            let question = Question { name: name(asked), kind: Kind::A, class: 1 };
            let (place, draft) =
                (parse(&question, &settings), Draft { absence, ..Draft::default() });
            let whom = instead(&place, &question, &draft, &settings, || hops);
            assert_eq!(whom, expected, "{asked} {absence:?} {hops}");
        }
    }
}
