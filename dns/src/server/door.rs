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

use super::Door;

impl Door for Handle {
    fn look(&self, from: Option<IpAddr>, query: &Query) -> Option<(Arc<Index>, Authority)> {
        let caller =
            Caller { token: self.acl().tokens.for_dns(), address: from, ..Caller::default() };
        // Whoever is unknown sees nothing.
        let Ok(answer) = self.lookup(&caller, query) else {
            return Some((Self::snapshot(self), Authority::nothing()));
        };
        (answer.outcome != Outcome::Refuse).then_some((answer.at, answer.authority))
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
