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

/// What a caller may read for a query.
fn look(handle: &Handle, caller: &Caller, query: &Query) -> Look {
    // Whoever is unknown sees nothing.
    let Ok(answer) = handle.lookup(caller, query) else {
        return Look::Seen(handle.snapshot(), Authority::nothing());
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

impl Door for Handle {
    fn look(&self, from: Option<IpAddr>, query: &Query) -> Look {
        let token = self.acl().tokens.for_dns();
        look(self, &Caller { token, address: from, ..Caller::default() }, query)
    }

    fn look_as(&self, caller: &Caller, query: &Query) -> Look {
        look(self, caller, query)
    }

    fn bearer(&self, from: Option<IpAddr>, token: &SealedSecret) -> Authority {
        let Some(token) = self.unseal(token) else { return Authority::nothing() };
        let caller = Caller { token: Some(token), address: from, ..Caller::default() };
        self.authority(&caller).unwrap_or_else(|_| Authority::nothing())
    }

    fn is_led(&self) -> bool {
        self.has_leader()
    }

    fn snapshot(&self) -> Arc<Index> {
        Self::snapshot(self)
    }

    fn now(&self) -> Time {
        Self::now(self)
    }
}
