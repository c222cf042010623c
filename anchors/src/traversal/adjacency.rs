//! Edges between anchors: each side states what the other may ask of it, and signs that.
//!
//! ```text
//!   A: request(B) ──statement of A──▶ B: accept ──statement of B, which names A's──▶ A: accept
//! ```

use std::time::Duration;

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};

use super::chain::public_key;
use super::{Me, Peer, sha256_hex};
use crate::clock::Time;
use crate::credential::Adjacency;
use crate::credential::dsse::{self, DsseFault, Envelope};
use crate::scope::ScopePath;

/// What kind of statement it is.
const ADJACENCY_TYPE: &str = "application/vnd.proconsul.adjacency+json";
/// Bytes of a statement's envelope at most.
pub const STATEMENT_BYTES_MAX: usize = 32 << 10;
/// Addresses of a peer at most.
const ADDRESSES_MAX: usize = 16;
/// For how long an adjacency holds where nothing is said.
pub const TERM: Duration = Duration::from_secs(365 * 24 * 3600);
/// The action that lets a peer's questions pass to further scopes, and what further scopes say pass back.
pub const TRANSIT: &str = "transit";
/// The action that stands for all.
pub const EVERYTHING: &str = "*";

/// What one anchor states about another: what it may ask of it, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The scope that states it.
    pub from: ScopePath,
    /// The key of its anchor, in hex.
    pub key: Box<str>,
    /// Where it is reached.
    pub addresses: Vec<Box<str>>,
    /// The scope that it speaks to.
    pub to: ScopePath,
    /// The key that it speaks to; nothing in a request, which does not know it yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_key: Option<Box<str>>,
    /// What the other may ask here.
    pub actions: Vec<Box<str>>,
    /// SHA-256 of the request that it accepts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepts: Option<Box<str>>,
    /// When.
    pub at: Time,
    /// Until when it holds.
    pub until: Time,
}

/// What one side offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Where the own anchor is reached.
    pub addresses: Vec<Box<str>>,
    /// What the other may ask here.
    pub actions: Vec<Box<str>>,
    /// The policies of access control that bind its callers.
    pub policies: Vec<Box<str>>,
    /// For how long.
    pub term: Duration,
}

/// How an adjacency stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The other side has not accepted yet.
    Pending,
    /// Both sides signed.
    Live,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
}

/// Why a statement is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdjacencyFault {
    /// It is not signed by the key that it names.
    #[error("the statement is not believed: {0}")]
    Envelope(#[from] DsseFault),
    /// It is no statement about an adjacency.
    #[error("the statement cannot be read: {0}")]
    Malformed(Box<str>),
    /// It speaks to another scope or key.
    #[error("the statement speaks to {0}, not to this anchor; have it made for this one")]
    Stranger(Box<str>),
    /// It comes from this scope itself.
    #[error("scope {0} cannot be its own neighbour: give each process a datacenter of its own")]
    Itself(ScopePath),
    /// Its time is over.
    #[error("the statement holds no longer; have it made again")]
    Expired,
    /// It accepts a request that is not known here.
    #[error(
        "the statement accepts a request that was not made here, or one that was replaced since"
    )]
    Unasked,
    /// The scope is joined under another key.
    #[error("scope {0} is joined under another key; revoke that adjacency first")]
    OtherKey(ScopePath),
    /// An address cannot be dialled.
    #[error("Addresses: {0:?} is not host:port")]
    Address(Box<str>),
    /// There are none, or too many.
    #[error("Addresses: {0} are given; 1 to {ADDRESSES_MAX} are taken")]
    Addresses(usize),
    /// What it names is not the first label of a path.
    #[error(
        "Peer: {0} lies inside of a datacenter; adjacencies join datacenters: leave out what follows the first slash"
    )]
    Inside(ScopePath),
}

// === impl Statement ===

impl Statement {
    /// Reads and verifies a statement. Who made it is what it says: whether to trust that key is decided by whoever accepts.
    ///
    /// # Errors
    /// [`AdjacencyFault`].
    pub fn read(envelope: &str) -> Result<Self, AdjacencyFault> {
        let envelope = Envelope::parse_within(envelope.as_bytes(), STATEMENT_BYTES_MAX)?;
        let malformed = |why: &str| AdjacencyFault::Malformed(why.into());
        let statement: Self = serde_json::from_slice(&envelope.payload)
            .map_err(|error| malformed(&error.to_string()))?;
        let key = public_key(&statement.key).ok_or_else(|| malformed("its key is none"))?;
        dsse::verify(&envelope, ADJACENCY_TYPE, &key)?;
        check_addresses(&statement.addresses)?;
        Ok(statement)
    }

    fn sign(&self, key: &SigningKey) -> Box<str> {
        let payload = serde_json::to_vec(self).expect("a statement has text keys only");
        dsse::sign(ADJACENCY_TYPE, payload, key).to_json().into()
    }
}

fn check_addresses(addresses: &[Box<str>]) -> Result<(), AdjacencyFault> {
    if !(1..=ADDRESSES_MAX).contains(&addresses.len()) {
        return Err(AdjacencyFault::Addresses(addresses.len()));
    }
    let dialled = |address: &str| {
        let (host, port) = address.rsplit_once(':')?;
        (!host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)).then_some(())
    };
    match addresses.iter().find(|address| dialled(address).is_none()) {
        Some(address) => Err(AdjacencyFault::Address(address.clone())),
        None => Ok(()),
    }
}

/// SHA-256 of what an envelope states, in hex.
fn digest_of(envelope: &str) -> Option<Box<str>> {
    Some(sha256_hex(&Envelope::parse(envelope.as_bytes()).ok()?.payload))
}

/// Asks another scope for an adjacency: the record that waits for its acceptance, whose own statement is to be brought there.
///
/// # Errors
/// [`AdjacencyFault`] about what is offered.
pub fn request(
    me: Me<'_>,
    peer: &ScopePath,
    offer: &Offer,
    now: Time,
) -> Result<Adjacency, AdjacencyFault> {
    if peer.parent().is_some() {
        return Err(AdjacencyFault::Inside(peer.clone()));
    }
    let statement = stated(me, peer, offer, now)?;
    Ok(record(peer.clone(), "", &[], offer, statement.until, statement.sign(me.key), None))
}

/// Accepts what another anchor states: a request, which is answered, or the acceptance of a request of ours.
///
/// # Errors
/// [`AdjacencyFault`].
pub fn accept(
    me: Me<'_>,
    theirs: &str,
    there: Option<&Adjacency>,
    offer: &Offer,
    now: Time,
) -> Result<Adjacency, AdjacencyFault> {
    let statement = Statement::read(theirs)?;
    if statement.to != *me.scope {
        return Err(AdjacencyFault::Stranger(statement.to.as_str().into()));
    }
    if statement.to_key.as_deref().is_some_and(|key| *key != *me.key_hex()) {
        return Err(AdjacencyFault::Stranger("another key of this scope".into()));
    }
    if statement.from == *me.scope {
        return Err(AdjacencyFault::Itself(statement.from));
    }
    if statement.from.parent().is_some() {
        return Err(AdjacencyFault::Inside(statement.from));
    }
    if statement.until <= now {
        return Err(AdjacencyFault::Expired);
    }
    let live = there.filter(|there| standing(there, now) == Standing::Live);
    if live.is_some_and(|live| live.key != statement.key) {
        return Err(AdjacencyFault::OtherKey(statement.from));
    }
    match &statement.accepts {
        None => answered(me, &statement, theirs, offer, now),
        Some(request) => completed(&statement, request, theirs, there),
    }
}

/// The record of a request that is accepted.
fn answered(
    me: Me<'_>,
    theirs: &Statement,
    envelope: &str,
    offer: &Offer,
    now: Time,
) -> Result<Adjacency, AdjacencyFault> {
    let mut ours = stated(me, &theirs.from, offer, now)?;
    ours.to_key = Some(theirs.key.clone());
    ours.accepts = digest_of(envelope);
    let until = ours.until.min(theirs.until);
    let (peer, addresses) = (theirs.from.clone(), &theirs.addresses);
    Ok(record(peer, &theirs.key, addresses, offer, until, ours.sign(me.key), Some(envelope.into())))
}

/// The record of an own request that was accepted.
fn completed(
    theirs: &Statement,
    request: &str,
    envelope: &str,
    there: Option<&Adjacency>,
) -> Result<Adjacency, AdjacencyFault> {
    let pending = there.ok_or(AdjacencyFault::Unasked)?;
    let asked = pending.ours.as_deref().and_then(digest_of);
    if asked.as_deref() != Some(request) || pending.revoked.is_some() {
        return Err(AdjacencyFault::Unasked);
    }
    Ok(Adjacency {
        key: theirs.key.clone(),
        addresses: theirs.addresses.clone(),
        until: pending.until.min(theirs.until),
        theirs: Some(envelope.into()),
        ..pending.clone()
    })
}

fn stated(
    me: Me<'_>,
    to: &ScopePath,
    offer: &Offer,
    now: Time,
) -> Result<Statement, AdjacencyFault> {
    if to == me.scope {
        return Err(AdjacencyFault::Itself(to.clone()));
    }
    check_addresses(&offer.addresses)?;
    Ok(Statement {
        from: me.scope.clone(),
        key: me.key_hex(),
        addresses: offer.addresses.clone(),
        to: to.clone(),
        to_key: None,
        actions: offer.actions.clone(),
        accepts: None,
        at: now,
        until: now + offer.term,
    })
}

fn record(
    peer: ScopePath,
    key: &str,
    addresses: &[Box<str>],
    offer: &Offer,
    until: Time,
    ours: Box<str>,
    theirs: Option<Box<str>>,
) -> Adjacency {
    Adjacency {
        peer,
        key: key.into(),
        addresses: addresses.to_vec(),
        actions: offer.actions.clone(),
        policies: offer.policies.clone(),
        until,
        ours: Some(ours),
        theirs,
        revoked: None,
    }
}

/// How an adjacency stands now.
pub fn standing(adjacency: &Adjacency, now: Time) -> Standing {
    match adjacency {
        Adjacency { revoked: Some(_), .. } => Standing::Revoked,
        Adjacency { ours: Some(_), theirs: Some(_), until, .. } if *until <= now => {
            Standing::Expired
        }
        Adjacency { ours: Some(_), theirs: Some(_), .. } => Standing::Live,
        _ => Standing::Pending,
    }
}

/// Whether something may be asked here over an adjacency.
pub fn allows(adjacency: &Adjacency, action: &str) -> bool {
    adjacency.actions.iter().any(|allowed| **allowed == *EVERYTHING || **allowed == *action)
}

/// The anchor on the other side.
pub fn peer(adjacency: &Adjacency) -> Peer {
    Peer {
        scope: adjacency.peer.clone(),
        key: adjacency.key.clone(),
        addresses: adjacency.addresses.clone(),
    }
}

// === impl Standing ===

impl Standing {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Live => "live",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ScopePath {
        ScopePath::parse(text).unwrap()
    }

    fn offer() -> Offer {
        Offer {
            addresses: vec!["127.0.0.1:8300".into()],
            actions: vec![EVERYTHING.into()],
            policies: Vec::new(),
            term: TERM,
        }
    }

    #[test]
    fn both_sides_sign() {
        let (a, b) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
        let (eu, pay) = (path("eu"), path("payments"));
        let (me_a, me_b) = (Me { scope: &eu, key: &a }, Me { scope: &pay, key: &b });
        let now = Time(1_000);
        let ours = request(me_a, &pay, &offer(), now).unwrap();
        assert_eq!(standing(&ours, now), Standing::Pending);
        let theirs = accept(me_b, ours.ours.as_deref().unwrap(), None, &offer(), now).unwrap();
        assert_eq!(standing(&theirs, now), Standing::Live);
        let answer = theirs.ours.clone().unwrap();
        let done = accept(me_a, &answer, Some(&ours), &offer(), now).unwrap();
        assert_eq!((standing(&done, now), done.key.clone()), (Standing::Live, me_b.key_hex()));
        assert_eq!(standing(&done, now + TERM), Standing::Expired);
        let revoked = Adjacency { revoked: Some(now), ..done.clone() };
        assert_eq!(standing(&revoked, now), Standing::Revoked);
        let fault = |me, text: &str, there| accept(me, text, there, &offer(), now).unwrap_err();
        assert_eq!(fault(me_a, &answer, None), AdjacencyFault::Unasked);
        assert_eq!(fault(me_a, &answer, Some(&revoked)), AdjacencyFault::Unasked);
        assert!(matches!(fault(me_b, &answer, None), AdjacencyFault::Stranger(_)));
        let late = accept(me_b, ours.ours.as_deref().unwrap(), None, &offer(), now + TERM);
        assert_eq!(late.unwrap_err(), AdjacencyFault::Expired);
        let thief = SigningKey::from_bytes(&[3; 32]);
        let stolen = request(Me { scope: &eu, key: &thief }, &pay, &offer(), now).unwrap();
        let taken = fault(me_b, stolen.ours.as_deref().unwrap(), Some(&theirs));
        assert_eq!(taken, AdjacencyFault::OtherKey(eu.clone()));
        let flipped = answer.replace("\"payload\":\"e", "\"payload\":\"f");
        assert!(matches!(
            fault(me_a, &flipped, Some(&ours)),
            AdjacencyFault::Envelope(_) | AdjacencyFault::Malformed(_)
        ));
    }

    #[test]
    fn what_is_offered_is_checked() {
        let (key, eu) = (SigningKey::from_bytes(&[1; 32]), path("eu"));
        let me = Me { scope: &eu, key: &key };
        for (peer, address, fine) in [
            ("payments", "10.0.0.1:8300", true),
            ("payments", "10.0.0.1", false),
            ("payments", ":8300", false),
            ("payments", "host:0", false),
            ("eu", "host:1", false),
            ("payments/ledger", "host:1", false),
        ] {
            let offer = Offer { addresses: vec![address.into()], ..offer() };
            let made = request(me, &path(peer), &offer, Time(0));
            assert_eq!(made.is_ok(), fine, "{peer} {address}: {made:?}");
        }
    }
}
