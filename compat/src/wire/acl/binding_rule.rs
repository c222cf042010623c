//! Binding rules.

use proconsul_anchors::acl::BindingRule;
use proconsul_anchors::index::Row;
use serde::Serialize;

use crate::wire::acl::links::{VariablesForm, VariablesOut};
use crate::wire::decode::form;

/// The body of a binding rule's write.
#[derive(Debug, Default)]
pub(crate) struct BindingRuleForm {
    pub(crate) id: String,
    pub(crate) description: String,
    pub(crate) method: String,
    pub(crate) selector: String,
    pub(crate) bind_type: String,
    pub(crate) bind_name: String,
    pub(crate) bind_vars: Option<VariablesForm>,
    index: u64,
}

form!(BindingRuleForm, "structs.ACLBindingRule", plain "ACLBindingRule", refuse, {
    "ID" => id, "Description" => description, "AuthMethod" => method, "Selector" => selector, "BindType" => bind_type,
    "BindName" => bind_name, "BindVars" => bind_vars, "CreateIndex" => index, "ModifyIndex" => index,
});

/// A binding rule.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct BindingRuleOut<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    description: &'a str,
    auth_method: &'a str,
    selector: &'a str,
    bind_type: &'a str,
    bind_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bind_vars: Option<VariablesOut<'a>>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> From<&'a Row<BindingRule>> for BindingRuleOut<'a> {
    fn from(row: &'a Row<BindingRule>) -> Self {
        let rule = &row.record;
        Self {
            id: &rule.id,
            description: &rule.description,
            auth_method: &rule.method,
            selector: &rule.selector,
            bind_type: &rule.bind_type,
            bind_name: &rule.bind_name,
            bind_vars: rule.bind_vars.as_deref().map(|name| VariablesOut { name }),
            create_index: row.created,
            modify_index: row.modified,
        }
    }
}
