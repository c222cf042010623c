//! Consul's JSON forms: the only place that knows them. A form is what goes over the wire, not what is kept.

pub(crate) mod acl;
pub(crate) mod agent;
pub(crate) mod anchor;
pub(crate) mod ca;
pub(crate) mod catalog;
pub(crate) mod check;
pub(crate) mod coordinate;
pub(crate) mod decode;
pub(crate) mod elsewhere;
pub(crate) mod entries;
pub(crate) mod event;
pub(crate) mod gateway;
pub(crate) mod intention;
pub(crate) mod kv;
pub(crate) mod mesh;
pub(crate) mod operator;
pub(crate) mod process;
pub(crate) mod query;
pub(crate) mod register;
pub(crate) mod session;
pub(crate) mod txn;
pub(crate) mod ui;
