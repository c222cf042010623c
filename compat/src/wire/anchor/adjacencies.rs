//! Forms of `/v1/anchor/adjacencies`.

use std::time::Duration;

use proconsul_anchors::credential::Adjacency;
use proconsul_anchors::duration;
use proconsul_anchors::scope::ScopePath;
use proconsul_anchors::traversal::adjacency::{EVERYTHING, Offer, Standing, TERM};
use serde::Serialize;
use serde_json::value::RawValue;

use super::credentials::EnvelopeForm;
use crate::go::time::show_time;
use crate::reject::AnchorFault;
use crate::wire::decode::form;

/// An adjacency that is asked for, or the statement of another anchor that is accepted.
#[derive(Debug, Default)]
pub(crate) struct AdjacencyForm {
    peer: String,
    addresses: Vec<String>,
    actions: Vec<String>,
    policies: Vec<String>,
    ttl: String,
    statement: Option<EnvelopeForm>,
}

form!(AdjacencyForm, "anchor.Adjacency", plain "Adjacency", refuse, {
    "Peer" => peer, "Addresses" => addresses, "Actions" => actions, "Policies" => policies,
    "TTL" => ttl, "Statement" => statement,
});

/// An adjacency, and how it stands.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AdjacencyOut<'a> {
    peer: &'a ScopePath,
    key: &'a str,
    addresses: &'a [Box<str>],
    actions: &'a [Box<str>],
    policies: &'a [Box<str>],
    state: &'static str,
    until: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<String>,
    /// Milliseconds since the other side was heard of.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_contact: Option<u64>,
    /// What this side states: to be brought to the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<&'a RawValue>,
}

// === impl AdjacencyForm ===

fn fault(field: &'static str, why: impl ToString) -> AnchorFault {
    AnchorFault::Field { what: "adjacency", field, why: why.to_string() }
}

fn boxed(texts: &[String]) -> Vec<Box<str>> {
    texts.iter().map(|text| text.as_str().into()).collect()
}

impl AdjacencyForm {
    /// The scope that is asked.
    ///
    /// # Errors
    /// [`AnchorFault::Field`].
    pub(crate) fn peer(&self) -> Result<ScopePath, AnchorFault> {
        ScopePath::parse(&self.peer).map_err(|error| fault("Peer", error))
    }

    /// The other anchor's statement, as JSON.
    ///
    /// # Errors
    /// [`AnchorFault::Field`].
    pub(crate) fn statement(&self) -> Result<String, AnchorFault> {
        let missing = || fault("Statement", "is missing: give what the other anchor stated");
        let statement = self.statement.as_ref().ok_or_else(missing)?;
        Ok(serde_json::to_string(statement).expect("it has text keys only"))
    }

    /// What this side offers; `own` is where it is reached when nothing is said.
    ///
    /// # Errors
    /// [`AnchorFault::Field`].
    pub(crate) fn offer(&self, own: String) -> Result<Offer, AnchorFault> {
        let addresses =
            if self.addresses.is_empty() { vec![own.into()] } else { boxed(&self.addresses) };
        let actions =
            if self.actions.is_empty() { vec![EVERYTHING.into()] } else { boxed(&self.actions) };
        let term = match self.ttl.as_str() {
            "" => TERM,
            text => {
                let nanos = duration::parse(text).ok().and_then(|nanos| u64::try_from(nanos).ok());
                let nanos =
                    nanos.ok_or_else(|| fault("TTL", "is no duration above 0: write 72h"))?;
                Duration::from_nanos(nanos)
            }
        };
        if term.is_zero() || term > Duration::from_secs(100 * 365 * 24 * 3600) {
            return Err(fault("TTL", "must be above 0 and at most a hundred years"));
        }
        Ok(Offer { addresses, actions, policies: boxed(&self.policies), term })
    }
}

// === impl AdjacencyOut ===

impl<'a> AdjacencyOut<'a> {
    pub(crate) fn new(of: &'a Adjacency, standing: Standing, last_contact: Option<u64>) -> Self {
        let live = standing == Standing::Live;
        Self {
            peer: &of.peer,
            key: &of.key,
            addresses: &of.addresses,
            actions: &of.actions,
            policies: &of.policies,
            state: standing.as_str(),
            until: show_time(of.until),
            revoked: of.revoked.map(show_time),
            last_contact: last_contact.filter(|_| live),
            statement: of.ours.as_deref().and_then(|text| serde_json::from_str(text).ok()),
        }
    }
}
