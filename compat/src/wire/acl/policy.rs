//! Policies, and templates of them.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proconsul_anchors::acl::Policy;
use proconsul_anchors::index::Row;
use serde::Serialize;

use crate::acl::hash;
use crate::wire::decode::form;

/// The body of a policy's write.
#[derive(Debug, Default)]
pub(crate) struct PolicyForm {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) rules: String,
    pub(crate) datacenters: Option<Vec<String>>,
    hash: String,
    index: u64,
}

form!(PolicyForm, "struct { Hash string; *structs.Alias }", custom, refuse, {
    "ID" => id, "Name" => name, "Description" => description, "Rules" => rules, "Datacenters" => datacenters,
    "CreateIndex" => index, "ModifyIndex" => index,
} own {
    "Hash" => hash,
});

/// A policy.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PolicyOut<'a> {
    #[serde(rename = "ID")]
    id: Cow<'a, str>,
    name: Cow<'a, str>,
    description: Cow<'a, str>,
    rules: Cow<'a, str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    datacenters: Cow<'a, [Box<str>]>,
    hash: String,
    create_index: u64,
    modify_index: u64,
}

/// A policy as lists have it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PolicyStubOut<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    description: &'a str,
    datacenters: Option<&'a [Box<str>]>,
    hash: String,
    create_index: u64,
    modify_index: u64,
}

/// A template.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TemplateOut {
    pub(crate) template_name: &'static str,
    pub(crate) schema: &'static str,
    pub(crate) template: &'static str,
    pub(crate) description: &'static str,
}

impl<'a> From<&'a Row<Policy>> for PolicyOut<'a> {
    fn from(row: &'a Row<Policy>) -> Self {
        let policy = &row.record;
        Self {
            id: Cow::Borrowed(&policy.id),
            name: Cow::Borrowed(&policy.name),
            description: Cow::Borrowed(&policy.description),
            rules: Cow::Borrowed(&policy.rules),
            datacenters: Cow::Borrowed(policy.datacenters.as_deref().unwrap_or_default()),
            hash: STANDARD.encode(hash::policy(policy)),
            create_index: row.created,
            modify_index: row.modified,
        }
    }
}

/// A policy that was made from a template and is kept nowhere.
impl From<Policy> for PolicyOut<'_> {
    fn from(policy: Policy) -> Self {
        let hash = STANDARD.encode(hash::policy(&policy));
        Self {
            id: Cow::Owned(policy.id.into()),
            name: Cow::Owned(policy.name.into()),
            description: Cow::Owned(policy.description.into()),
            rules: Cow::Owned(policy.rules.into()),
            datacenters: Cow::Owned(policy.datacenters.unwrap_or_default()),
            hash,
            create_index: 0,
            modify_index: 0,
        }
    }
}

impl<'a> From<&'a Row<Policy>> for PolicyStubOut<'a> {
    fn from(row: &'a Row<Policy>) -> Self {
        let policy = &row.record;
        Self {
            id: &policy.id,
            name: &policy.name,
            description: &policy.description,
            datacenters: policy.datacenters.as_deref(),
            hash: STANDARD.encode(hash::policy(policy)),
            create_index: row.created,
            modify_index: row.modified,
        }
    }
}
