//! Forms of `/v1/anchor/…`: ours, in Consul's style.

pub(crate) mod adjacencies;
pub(crate) mod credentials;
pub(crate) mod lineage;
pub(crate) mod policies;
pub(crate) mod record;
pub(crate) mod resolve;
pub(crate) mod scopes;
