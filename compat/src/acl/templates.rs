//! Consul's templates of policies: which variables they take, and the policy that they make.

use proconsul_anchors::acl::identity::Template;
use proconsul_anchors::acl::{NodeIdentity, Policy, ServiceIdentity, TemplatedPolicy};
use proconsul_anchors::encoding::hex;

use crate::acl::names::is_identity;
use crate::go::text::quote;

/// What Consul's 128-bit FNV-1a gives for nothing: it ends the id of every made policy.
const NOTHING_HASHED: &str = "6c62272e07bb014262b821756295c58d";

/// The template of service identities.
pub(crate) const SERVICE: &str = "builtin/service";
const NODE: &str = "builtin/node";

/// Why a template cannot take its variables.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateFault {
    #[error(
        "service identity {} has an invalid name. Only lowercase alphanumeric characters, '-' and '_' are allowed",
        quote(.0)
    )]
    Service(String),
    #[error(
        "node identity {}  has an invalid name. Only lowercase alphanumeric characters, '-' and '_' are allowed",
        quote(.0)
    )]
    Node(String),
    #[error("1 error occurred:\n\t* Invalid type. Expected: object, given: null\n\n")]
    NoVariables,
    #[error("1 error occurred:\n\t* name is required\n\n")]
    NoName,
}

/// The template of this name.
pub(crate) fn find(name: &str) -> Option<&'static Template> {
    Template::named(name)
}

/// The id of a template; empty where there is none.
pub(crate) fn template_id(name: &str) -> &'static str {
    find(name).map_or("", |template| template.id)
}

/// Whether a template takes the variable `name` with this value; nothing for no variables at all.
pub(crate) fn check(template: &Template, name: Option<&str>) -> Result<(), TemplateFault> {
    if !template.takes_name() {
        return Ok(());
    }
    match (name, template.name) {
        (Some(name), SERVICE) if !is_identity(name) => Err(TemplateFault::Service(name.to_owned())),
        (Some(name), NODE) if !is_identity(name) => Err(TemplateFault::Node(name.to_owned())),
        (None, _) => Err(TemplateFault::NoVariables),
        (Some(""), _) => Err(TemplateFault::NoName),
        (Some(_), _) => Ok(()),
    }
}

/// The policy that a template makes.
pub(crate) fn make(template: &Template, name: &str, datacenters: Option<Vec<Box<str>>>) -> Policy {
    let rules = template.render(name);
    let id = hex::encode(rules.as_bytes()) + NOTHING_HASHED;
    Policy {
        name: format!("synthetic-policy-{id}").into(),
        id: id.into(),
        description: format!("synthetic policy generated from templated policy: {}", template.name)
            .into(),
        rules: rules.into(),
        datacenters,
    }
}

/// The policy of a service identity.
pub(crate) fn of_service(identity: &ServiceIdentity) -> Option<Policy> {
    Some(make(find(SERVICE)?, &identity.service, identity.datacenters.clone()))
}

/// The policy of a node identity.
pub(crate) fn of_node(identity: &NodeIdentity) -> Option<Policy> {
    Some(make(find(NODE)?, &identity.node, Some(vec![identity.datacenter.clone()])))
}

/// The policy of a templated one.
pub(crate) fn of_templated(policy: &TemplatedPolicy) -> Option<Policy> {
    let template = find(&policy.template)?;
    Some(make(template, policy.name.as_deref().unwrap_or(""), policy.datacenters.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_take_what_their_schema_says() {
        let cases = [
            ("builtin/service", Some("web"), Ok(())),
            ("builtin/service", None, Err(TemplateFault::NoVariables)),
            ("builtin/service", Some(""), Err(TemplateFault::Service(String::new()))),
            ("builtin/node", Some("A B"), Err(TemplateFault::Node("A B".into()))),
            ("builtin/api-gateway", Some(""), Err(TemplateFault::NoName)),
            ("builtin/api-gateway", Some("A B"), Ok(())),
            ("builtin/dns", None, Ok(())),
            ("builtin/dns", Some("x"), Ok(())),
        ];
        for (template, name, taken) in cases {
            assert_eq!(check(find(template).unwrap(), name), taken, "{template} {name:?}");
        }
    }

    #[test]
    fn a_made_policy_is_named_by_its_rules() {
        let policy = make(find("builtin/dns").unwrap(), "", None);
        let digits: String = policy.rules.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(*policy.id, format!("{digits}{NOTHING_HASHED}"));
        assert_eq!(*policy.name, format!("synthetic-policy-{}", policy.id));
    }
}
