//! Binding rules: what may be created and what may be changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use proconsul_anchors::acl::{AuthMethod, BindingRule};
use proconsul_anchors::index::{Index, Row};

use crate::acl::uuid;
use crate::filter::Filter;
use crate::login::bind::{self, BindType};
use crate::login::settings::Settings;
use crate::reject::acl::AclReject;
use crate::wire::acl::binding_rule::BindingRuleForm;

/// What a rule is written for: the method, found, and its settings are given when they are needed.
pub(crate) type SettingsOf<'a> = &'a dyn Fn(&AuthMethod) -> Result<Settings, AclReject>;

/// The rule that a form writes; a new one gets the fresh id.
pub(crate) fn write(
    index: &Index,
    form: BindingRuleForm,
    settings: SettingsOf<'_>,
    fresh: impl FnOnce() -> String,
) -> Result<BindingRule, AclReject> {
    let (id, before) = if form.id.is_empty() {
        (fresh(), None)
    } else {
        uuid::check(&form.id).map_err(|_| AclReject::RuleId)?;
        let row = index.record::<BindingRule>(&form.id.to_ascii_lowercase());
        let row = row.ok_or_else(|| AclReject::UnknownRule(form.id.clone()))?;
        (row.record.id.to_string(), Some(row))
    };
    let method = method_of(index, &form, before)?;
    check(&form, &settings(&method.record)?)?;
    Ok(BindingRule {
        id: id.into(),
        description: form.description.into(),
        method: if form.method.is_empty() {
            method.record.name.clone()
        } else {
            form.method.into()
        },
        selector: form.selector.into(),
        bind_type: form.bind_type.into(),
        bind_name: form.bind_name.into(),
        bind_vars: form.bind_vars.map(|variables| variables.name.into()),
    })
}

/// The method that a rule belongs to, for ever.
fn method_of<'a>(
    index: &'a Index,
    form: &BindingRuleForm,
    before: Option<&Arc<Row<BindingRule>>>,
) -> Result<&'a Arc<Row<AuthMethod>>, AclReject> {
    let name = match before {
        Some(row) if form.method.is_empty() => row.record.method.to_string(),
        Some(row) if *row.record.method != *form.method => {
            return Err(AclReject::RuleMethodChanged);
        }
        _ => form.method.clone(),
    };
    if name.is_empty() {
        return Err(AclReject::RuleWithout("AuthMethod"));
    }
    let found = index.record::<AuthMethod>(&name.to_lowercase());
    found.ok_or(AclReject::RuleMethod(name))
}

/// Whether a rule could bind what the method vouches for.
fn check(form: &BindingRuleForm, settings: &Settings) -> Result<(), AclReject> {
    if !form.selector.is_empty() {
        Filter::compile(&form.selector, settings.schema()).map_err(AclReject::Selector)?;
    }
    if form.bind_type.is_empty() {
        return Err(AclReject::RuleWithout("BindType"));
    }
    if form.bind_name.is_empty() {
        return Err(AclReject::RuleWithout("BindName"));
    }
    let bind_type = BindType::parse(&form.bind_type);
    if bind_type != Some(BindType::TemplatedPolicy) && form.bind_vars.is_some() {
        return Err(AclReject::BindVars);
    }
    let Some(bind_type) = bind_type else {
        let unknown = crate::go::text::quote(&form.bind_type);
        return Err(AclReject::Binding(format!(
            "invalid Binding Rule: unknown BindType {unknown}"
        )));
    };
    let any: BTreeMap<String, String> =
        settings.variables().into_iter().map(|name| (name, "fake".to_owned())).collect();
    let vars = form.bind_vars.as_ref().map(|variables| variables.name.as_str());
    bind::try_out(bind_type, &form.bind_name, vars, &any).map_err(|fault| {
        let shown = crate::go::text::quote(&form.bind_type);
        AclReject::Binding(format!("failed to validate bindType {shown}: {fault}"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::acl::testing::{id, index, method, rule};
    use crate::wire::decode::{Hint, body};

    #[test]
    fn rules_are_refused_in_consuls_words() {
        let records = vec![method("m"), method("n"), rule(1, "", ("role", "ops", None))];
        let index = index(records);
        let settings = |_: &AuthMethod| {
            let config = json!({"JWKSURL": "http://they", "ClaimMappings": {"service": "s"}});
            Settings::read("jwt", &config).map_err(AclReject::MethodSettings)
        };
        let check = |fields: Value, told: &str| {
            let form = body(fields.to_string().as_bytes(), Hint::None).unwrap();
            let written = write(&index, form, &settings, || id(9));
            let told = if told.is_empty() { Ok(()) } else { Err(told.to_owned()) };
            assert_eq!(written.map(drop).map_err(|reject| reject.to_string()), told, "{fields}");
        };
        let invalid = "Invalid Binding Rule: invalid BindName or BindVars: ";
        check(json!({}), "Invalid Binding Rule: no AuthMethod is set");
        check(json!({"AuthMethod": "x"}), "cannot find auth method with name \"x\"");
        check(json!({"AuthMethod": "m"}), "Invalid Binding Rule: no BindType is set");
        check(
            json!({"AuthMethod": "m", "BindType": "role"}),
            "Invalid Binding Rule: no BindName is set",
        );
        check(
            json!({"AuthMethod": "m", "BindType": "x", "BindName": "y"}),
            &format!("{invalid}invalid Binding Rule: unknown BindType \"x\""),
        );
        check(
            json!({"AuthMethod": "m", "BindType": "service", "BindName": "A"}),
            &format!("{invalid}failed to validate bindType \"service\": invalid bind name: \"A\""),
        );
        check(json!({"AuthMethod": "m", "BindType": "service", "BindName": "${value.s}"}), "");
        check(
            json!({"AuthMethod": "m", "BindType": "service", "BindName": "a", "BindVars": {}}),
            "invalid Binding Rule: BindVars cannot be set when bind type is not templated-policy.",
        );
        check(
            json!({"AuthMethod": "m", "Selector": "foo == 1", "BindType": "service", "BindName": "a"}),
            "invalid Binding Rule: Selector is invalid: Selector \"foo\" is not valid",
        );
        check(
            json!({"ID": id(1), "AuthMethod": "n"}),
            "the AuthMethod field of an Binding Rule is immutable",
        );
        check(json!({"ID": id(1), "BindType": "role", "BindName": "other"}), "");
        check(json!({"ID": id(7)}), &format!("cannot find binding rule {}", id(7)));
    }
}
