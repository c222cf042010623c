//! Receipts: how a registration was admitted where a policy decided otherwise than to let it through, and by what somebody
//! else can verify that it was.

use http::HeaderValue;
use proconsul_anchors::name::Caseless;
use proconsul_anchors::outcome::Outcome;

use crate::Site;
use crate::reply::{ATTESTATION, OUTCOME, Reply};

impl Reply {
    /// Tells how a service was admitted on a node, or the node itself: with the proof of its record where a policy wants it
    /// attested. Consul's clients are told nothing unless a policy decided.
    pub(crate) fn receipt(
        self,
        site: &Site,
        outcome: Outcome,
        (node, service): (&str, Option<&Caseless>),
    ) -> Self {
        if outcome == Outcome::Resolve {
            return self;
        }
        let reply = self.header(OUTCOME, HeaderValue::from_static(outcome.as_str()));
        if outcome != Outcome::Attest {
            return reply;
        }
        let index = site.handle.snapshot();
        let uid = index.node(node).and_then(|row| match service {
            Some(id) => row.services.get(id.key()).map(|instance| instance.uid),
            None => Some(row.uid),
        });
        let path = uid.map(|uid| format!("/v1/anchor/record/{uid}/proof"));
        match path.and_then(|path| HeaderValue::from_str(&path).ok()) {
            Some(path) => reply.header(ATTESTATION, path),
            // It is gone again already.
            None => reply,
        }
    }
}
