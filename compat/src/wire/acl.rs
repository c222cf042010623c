//! What `/v1/acl` reads and prints.

pub(crate) mod auth_method;
pub(crate) mod authorize;
pub(crate) mod binding_rule;
pub(crate) mod links;
pub(crate) mod login;
pub(crate) mod policy;
pub(crate) mod role;
pub(crate) mod token;
