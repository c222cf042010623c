//! `sameness-group`: clusters that stand for each other. Only the enterprise edition has them; the form is known to be refused.

use crate::entries::Outside;
use crate::entries::shared::Meta;
use crate::text::{Verdict, refuse};
use crate::wire::{Indexes, List, record};

record! {
    /// A group of clusters.
    SamenessGroup = "SamenessGroupConfigEntry" tenant {
        name: String = "Name" always,
        default_for_failover: bool = "DefaultForFailover" | "default_for_failover" omit,
        include_local: bool = "IncludeLocal" | "include_local" omit,
        members: List<Member> = "Members" always,
        meta: Meta = "Meta" omit,
        hash: u64 = "Hash" hash,
        rows: Indexes = "RaftIndex" rows,
    }
}

record! {
    /// A cluster of it.
    Member = "SamenessGroupMember" {
        partition: String = "Partition" omit,
        peer: String = "Peer" omit,
    }
}

// === impl SamenessGroup ===

impl SamenessGroup {
    pub(crate) fn validate(&self, _: &dyn Outside) -> Verdict {
        refuse!("sameness-groups are an enterprise-only feature")
    }
}
