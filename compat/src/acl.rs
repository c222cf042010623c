//! What may be written to the access control: from a form and the index to the record, or to Consul's words of refusal.
//! Nothing here asks the clock, chance or a network; who does hands it in.

pub(crate) mod auth_method;
pub(crate) mod binding_rule;
pub(crate) mod hash;
pub(crate) mod links;
pub(crate) mod names;
pub(crate) mod policy;
pub(crate) mod role;
pub(crate) mod templates;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod token;
pub(crate) mod uuid;

pub(crate) use self::templates::template_id;
