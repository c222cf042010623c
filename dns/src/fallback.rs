//! Whom to ask about a name, as a value: the server performs it.
//!
//! Only names outside our zones, and names of which the index has nothing, may ever lead elsewhere. A refusal never does: a
//! fallback must not launder it.

use crate::answer::{self, Absence, Draft};
use crate::question::{Ask, Locality, Place};
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

/// Whom to ask instead when the index answered this; nobody when its answer stands.
pub fn instead(place: &Place, draft: &Draft, settings: &Settings) -> Option<Whom> {
    if draft.absence != Some(Absence::Unknown) {
        return None;
    }
    match place {
        Place::Reverse => settings.recursors.as_ref().map(|_| Whom::Recursors),
        Place::Ask { .. } | Place::Malformed | Place::Foreign => None,
    }
}

/// The datacenter that a name tells.
fn datacenter(ask: &Ask) -> Option<&str> {
    let locality: &Locality = match ask {
        Ask::Service { locality, .. }
        | Ask::Connect { locality, .. }
        | Ask::Ingress { locality, .. }
        | Ask::Node { locality, .. } => locality,
        Ask::Query { datacenter, .. } => return datacenter.as_deref(),
        Ask::Zone | Ask::Transfer | Ask::Virtual { .. } | Ask::Address { .. } => return None,
    };
    locality.datacenter.as_deref()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::name::Name;
    use crate::question::{Question, parse};
    use crate::settings::{Recursors, Strategy};

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
}
