//! `/v1/anchor/…`: what Consul does not have. Of Consul's answers nothing is changed by them.

pub(crate) mod adjacencies;
pub(crate) mod credentials;
pub(crate) mod lineage;
pub(crate) mod policies;
pub(crate) mod record;
pub(crate) mod resolve;
pub(crate) mod scopes;
pub(crate) mod taxonomy;
