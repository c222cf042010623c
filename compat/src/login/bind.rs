//! From an identity to what its token may do, by the binding rules of its method.

use std::collections::BTreeMap;

use proconsul_anchors::acl::{
    BindingRule, NodeIdentity, Policy, Role, ServiceIdentity, TemplatedPolicy,
};
use proconsul_anchors::index::Index;
use proconsul_anchors::interpolate::{self, FillError, Names};
use serde_json::Value;

use crate::acl::names::{check_policy, is_identity, is_role};
use crate::acl::templates;
use crate::filter::{Filter, Schema};
use crate::login::Identity;
use crate::login::fault::LoginFault;

/// What a rule binds to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BindType {
    Service,
    Node,
    Role,
    Policy,
    TemplatedPolicy,
}

/// What a login's token may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bindings {
    pub(crate) policies: Vec<Box<str>>,
    pub(crate) roles: Vec<Box<str>>,
    pub(crate) service_identities: Vec<ServiceIdentity>,
    pub(crate) node_identities: Vec<NodeIdentity>,
    pub(crate) templated_policies: Vec<TemplatedPolicy>,
}

/// The bindings of an identity. Roles and policies that do not exist bind nothing.
pub(crate) fn bind(
    index: &Index,
    method: &str,
    identity: &Identity,
    schema: &'static Schema,
    datacenter: &str,
) -> Result<Bindings, LoginFault> {
    let mut bindings = Bindings::default();
    let rules = index.records::<BindingRule>().map(|row| &row.record);
    let own = rules.filter(|rule| rule.method.eq_ignore_ascii_case(method));
    for rule in own.filter(|rule| selects(&rule.selector, &identity.fields, schema)) {
        bindings.add(index, rule, &identity.vars, datacenter)?;
    }
    Ok(bindings)
}

/// Whether a selector is true of the fields; an empty one is. One that cannot be asked selects nothing.
fn selects(selector: &str, fields: &Value, schema: &'static Schema) -> bool {
    selector.is_empty()
        || Filter::compile(selector, schema)
            .is_ok_and(|filter| filter.matches(fields).unwrap_or(false))
}

/// Whether a rule could bind with these variables.
pub(crate) fn try_out(
    bind_type: BindType,
    name: &str,
    vars: Option<&str>,
    known: &BTreeMap<String, String>,
) -> Result<(), LoginFault> {
    match bind_type {
        BindType::Service | BindType::Node => bound_name(name, known, is_identity).map(drop),
        BindType::Role => bound_name(name, known, is_role).map(drop),
        BindType::Policy => bound_name(name, known, |name| check_policy(name).is_ok()).map(drop),
        BindType::TemplatedPolicy => templated(name, vars, known).map(drop),
    }
}

fn bound_name(
    template: &str,
    vars: &BTreeMap<String, String>,
    fits: impl Fn(&str) -> bool,
) -> Result<Box<str>, LoginFault> {
    let name = filled(template, vars).map_err(LoginFault::Template)?;
    if fits(&name) { Ok(name.into()) } else { Err(LoginFault::BindName(name)) }
}

/// Names are in lower case, and so is what is put into them.
fn filled(template: &str, vars: &BTreeMap<String, String>) -> Result<String, FillError> {
    let value = |of: &str| vars.get(of).map(|value| value.to_lowercase());
    interpolate::fill(template, &Names { value: &value, matches: None })
}

fn templated(
    name: &str,
    variable: Option<&str>,
    vars: &BTreeMap<String, String>,
) -> Result<TemplatedPolicy, LoginFault> {
    let template =
        templates::find(name).ok_or_else(|| LoginFault::BindTemplate(name.to_owned()))?;
    let filled = variable.map(|variable| filled(variable, vars)).transpose();
    let filled = filled.map_err(LoginFault::Variables)?;
    templates::check(template, filled.as_deref()).map_err(LoginFault::BindVariables)?;
    Ok(TemplatedPolicy { template: name.into(), name: filled.map(Into::into), datacenters: None })
}

// === impl BindType ===

impl BindType {
    /// The type of this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "service" => Self::Service,
            "node" => Self::Node,
            "role" => Self::Role,
            "policy" => Self::Policy,
            "templated-policy" => Self::TemplatedPolicy,
            _ => return None,
        })
    }
}

// === impl Bindings ===

impl Bindings {
    /// Whether they give nothing.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn add(
        &mut self,
        index: &Index,
        rule: &BindingRule,
        vars: &BTreeMap<String, String>,
        datacenter: &str,
    ) -> Result<(), LoginFault> {
        let name = |fits: fn(&str) -> bool| bound_name(&rule.bind_name, vars, fits);
        match BindType::parse(&rule.bind_type) {
            Some(BindType::Service) => {
                let identity = ServiceIdentity { service: name(is_identity)?, datacenters: None };
                add_new(&mut self.service_identities, identity);
            }
            Some(BindType::Node) => {
                let node = name(is_identity)?;
                add_new(
                    &mut self.node_identities,
                    NodeIdentity { node, datacenter: datacenter.into() },
                );
            }
            Some(BindType::TemplatedPolicy) => {
                let policy = templated(&rule.bind_name, rule.bind_vars.as_deref(), vars)?;
                add_new(&mut self.templated_policies, policy);
            }
            Some(BindType::Policy) => {
                let name = name(is_role)?;
                let found = index.record_named::<Policy>(&name.to_lowercase());
                found
                    .into_iter()
                    .for_each(|row| add_new(&mut self.policies, row.record.id.clone()));
            }
            Some(BindType::Role) => {
                let name = name(is_role)?;
                let found = index.record_named::<Role>(&name.to_lowercase());
                found.into_iter().for_each(|row| add_new(&mut self.roles, row.record.id.clone()));
            }
            None => {}
        }
        Ok(())
    }
}

fn add_new<T: PartialEq>(items: &mut Vec<T>, item: T) {
    if !items.contains(&item) {
        items.push(item);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::acl::testing::{id, index, policy, role, rule};
    use crate::login::JWT_FIELDS;

    /// What one rule binds a web server of the admins to.
    fn check(selector: &str, bind: (&str, &str, Option<&str>), told: Result<Bindings, &str>) {
        let records = vec![policy(1, "Readers"), role(2, "Ops"), rule(3, selector, bind)];
        let vars = [("value.service", "Web"), ("value.odd", "a b"), ("value.gone", "")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let identity = Identity {
            fields: json!({"value": {"service": "Web", "odd": "a b"}, "list": {"groups": ["admins"]}}),
            vars: vars.into(),
        };
        let bound = bind_all(&index(records), &identity);
        assert_eq!(
            bound.map_err(|fault| fault.to_string()),
            told.map_err(str::to_owned),
            "{bind:?}"
        );
    }

    fn bind_all(index: &Index, identity: &Identity) -> Result<Bindings, LoginFault> {
        bind(index, "M", identity, &JWT_FIELDS, "dc1")
    }

    #[test]
    fn rules_bind_what_they_select() {
        let none = || Ok(Bindings::default());
        let service = |name: &str| {
            let identity = ServiceIdentity { service: name.into(), datacenters: None };
            Ok(Bindings { service_identities: vec![identity], ..Bindings::default() })
        };
        let to_web = ("service", "s-${value.service}", None);
        check("", to_web, service("s-web"));
        check("value.service == Web", to_web, service("s-web"));
        check("admins in list.groups and value.gone != x", to_web, service("s-web"));
        check("value.service == web", to_web, none());
        check("value.service ==", to_web, none());
        check("nothing == such", to_web, none());
        check("", ("service", "${value.odd}", None), Err("invalid bind name: \"a b\""));
        check(
            "",
            ("service", "${value.new}", None),
            Err("error interpreting template: 1:3: unknown variable accessed: value.new"),
        );
    }

    #[test]
    fn every_type_binds() {
        let node = NodeIdentity { node: "web".into(), datacenter: "dc1".into() };
        let service = TemplatedPolicy {
            template: "builtin/service".into(),
            name: Some("web".into()),
            datacenters: None,
        };
        let blank = Bindings::default;
        check(
            "",
            ("node", "${value.service}", None),
            Ok(Bindings { node_identities: vec![node], ..blank() }),
        );
        check("", ("role", "ops", None), Ok(Bindings { roles: vec![id(2).into()], ..blank() }));
        check("", ("role", "nobody", None), Ok(blank()));
        check(
            "",
            ("policy", "readers", None),
            Ok(Bindings { policies: vec![id(1).into()], ..blank() }),
        );
        check("", ("policy", "nothing", None), Ok(blank()));
        check(
            "",
            ("templated-policy", "builtin/service", Some("${value.service}")),
            Ok(Bindings { templated_policies: vec![service], ..blank() }),
        );
        check(
            "",
            ("templated-policy", "builtin/service", Some("${value.odd}")),
            Err(
                "templated policy failed validation: service identity \"a b\" has an invalid name. Only lowercase alphanumeric characters, '-' and '_' are allowed",
            ),
        );
    }
}
