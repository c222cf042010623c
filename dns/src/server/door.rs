//! The door of a scope, as DNS goes through it.

use std::net::IpAddr;
use std::sync::Arc;

use proconsul_anchors::acl::Authority;
use proconsul_anchors::caller::Caller;
use proconsul_anchors::clock::Time;
use proconsul_anchors::handle::Handle;
use proconsul_anchors::index::Index;
use proconsul_anchors::outcome::Outcome;
use proconsul_anchors::query::Query;
use proconsul_anchors::sealed::SealedSecret;

use super::{Door, Look};

impl Door for Handle {
    fn look(&self, from: Option<IpAddr>, query: &Query) -> Look {
        let caller =
            Caller { token: self.acl().tokens.for_dns(), address: from, ..Caller::default() };
        // Whoever is unknown sees nothing.
        let Ok(answer) = self.lookup(&caller, query) else {
            return Look::Seen(Self::snapshot(self), Authority::nothing());
        };
        match answer.outcome {
            Outcome::Resolve | Outcome::Attest if answer.known_leader => {
                Look::Seen(answer.at, answer.authority)
            }
            Outcome::Resolve | Outcome::Attest => {
                Look::Leaderless(answer.at, answer.authority, answer.age)
            }
            Outcome::Defer => Look::Stale(answer.at, answer.authority, "the scope defers".into()),
            Outcome::Refuse => Look::Refused("the scope refuses".into()),
        }
    }

    fn bearer(&self, from: Option<IpAddr>, token: &SealedSecret) -> Authority {
        let Some(token) = self.unseal(token) else { return Authority::nothing() };
        let caller = Caller { token: Some(token), address: from, ..Caller::default() };
        self.authority(&caller).unwrap_or_else(|_| Authority::nothing())
    }

    fn snapshot(&self) -> Arc<Index> {
        Self::snapshot(self)
    }

    fn now(&self) -> Time {
        Self::now(self)
    }
}
