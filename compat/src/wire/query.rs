//! What `/v1/query` reads and prints.

use std::borrow::Cow;
use std::collections::BTreeMap;

use proconsul_anchors::index::Row;
use proconsul_anchors::pairs::Pairs;
use proconsul_anchors::prepared::{Failover, PreparedQuery, ServiceQuery, Target, Template};
use serde::Serialize;

use crate::wire::catalog::CheckServiceNodeOut;
use crate::wire::decode::{CheckId, Ignored, form};
use crate::wire::register::{text_pairs, texts};
use crate::wire::txn::QueryMetaOut;

/// A query as it is written.
#[derive(Debug, Default)]
pub(crate) struct QueryForm {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) session: String,
    pub(crate) token: String,
    pub(crate) template: TemplateForm,
    pub(crate) service: ServiceForm,
    pub(crate) dns: DnsForm,
    ignored: Ignored,
}

form!(QueryForm, "structs.PreparedQuery", plain "PreparedQuery", refuse, {
    "ID" => id, "Name" => name, "Session" => session, "Token" => token, "Template" => template, "Service" => service,
    "DNS" => dns, "CreateIndex" => ignored, "ModifyIndex" => ignored,
});

/// Whether and how its name is a beginning of names.
#[derive(Debug, Default)]
pub(crate) struct TemplateForm {
    pub(crate) kind: String,
    regexp: String,
    remove_empty_tags: bool,
}

form!(TemplateForm, "structs.QueryTemplateOptions", plain "QueryTemplateOptions", refuse, {
    "Type" => kind, "Regexp" => regexp, "RemoveEmptyTags" => remove_empty_tags,
});

/// Which instances are wanted.
#[derive(Debug, Default)]
pub(crate) struct ServiceForm {
    pub(crate) service: String,
    pub(crate) sameness_group: String,
    pub(crate) failover: FailoverForm,
    only_passing: bool,
    ignore_check_ids: Option<Vec<CheckId>>,
    near: String,
    tags: Option<Vec<String>>,
    node_meta: Option<BTreeMap<String, String>>,
    service_meta: Option<BTreeMap<String, String>>,
    connect: bool,
    peer: String,
}

form!(ServiceForm, "structs.ServiceQuery", plain "ServiceQuery", refuse, {
    "Service" => service, "SamenessGroup" => sameness_group, "Failover" => failover, "OnlyPassing" => only_passing,
    "IgnoreCheckIDs" => ignore_check_ids, "Near" => near, "Tags" => tags, "NodeMeta" => node_meta,
    "ServiceMeta" => service_meta, "Connect" => connect, "Peer" => peer,
});

/// What is tried when there is none.
#[derive(Debug, Default)]
pub(crate) struct FailoverForm {
    pub(crate) nearest_n: i64,
    pub(crate) datacenters: Option<Vec<String>>,
    pub(crate) targets: Option<Vec<TargetForm>>,
}

form!(FailoverForm, "structs.QueryFailoverOptions", plain "QueryFailoverOptions", refuse, {
    "NearestN" => nearest_n, "Datacenters" => datacenters, "Targets" => targets,
});

/// A place where a service may be found.
#[derive(Debug, Default)]
pub(crate) struct TargetForm {
    peer: String,
    datacenter: String,
}

form!(TargetForm, "structs.QueryFailoverTarget", plain "QueryFailoverTarget", refuse, {
    "Peer" => peer, "Datacenter" => datacenter,
});

/// How it is told on DNS.
#[derive(Debug, Default)]
pub(crate) struct DnsForm {
    pub(crate) ttl: String,
}

form!(DnsForm, "structs.QueryDNSOptions", plain "QueryDNSOptions", refuse, { "TTL" => ttl });

// === forms to records ===

impl From<QueryForm> for PreparedQuery {
    /// Without its id, which is told elsewhere, and its token, which is not kept as it is.
    fn from(form: QueryForm) -> Self {
        let template = Template {
            kind: form.template.kind.into(),
            regexp: form.template.regexp.into(),
            remove_empty_tags: form.template.remove_empty_tags,
        };
        Self {
            id: "".into(),
            name: form.name.into(),
            session: form.session.into(),
            token: None,
            template,
            service: form.service.into(),
            dns_ttl: form.dns.ttl.into(),
        }
    }
}

impl From<ServiceForm> for ServiceQuery {
    fn from(form: ServiceForm) -> Self {
        let check_ids = |ids: Vec<CheckId>| ids.into_iter().map(|id| id.0.into()).collect();
        Self {
            service: form.service.into(),
            failover: form.failover.into(),
            only_passing: form.only_passing,
            ignore_check_ids: form.ignore_check_ids.map(check_ids),
            near: form.near.into(),
            tags: form.tags.map(texts),
            node_meta: form.node_meta.map(text_pairs),
            service_meta: form.service_meta.map(text_pairs),
            connect: form.connect,
            peer: form.peer.into(),
        }
    }
}

impl From<FailoverForm> for Failover {
    fn from(form: FailoverForm) -> Self {
        let target = |form: TargetForm| Target {
            peer: form.peer.into(),
            datacenter: form.datacenter.into(),
        };
        Self {
            nearest_n: form.nearest_n,
            datacenters: form.datacenters.map(texts),
            targets: form.targets.map(|targets| targets.into_iter().map(target).collect()),
        }
    }
}

// === what is printed ===

/// A query.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct QueryOut<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    session: &'a str,
    token: Cow<'a, str>,
    template: TemplateOut<'a>,
    service: ServiceOut<'a>,
    #[serde(rename = "DNS")]
    dns: DnsOut<'a>,
    create_index: u64,
    modify_index: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TemplateOut<'a> {
    #[serde(rename = "Type")]
    kind: &'a str,
    regexp: &'a str,
    remove_empty_tags: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceOut<'a> {
    service: &'a str,
    sameness_group: &'static str,
    failover: FailoverOut<'a>,
    only_passing: bool,
    #[serde(rename = "IgnoreCheckIDs")]
    ignore_check_ids: Option<&'a [Box<str>]>,
    near: &'a str,
    tags: Option<&'a [Box<str>]>,
    node_meta: Option<&'a Pairs>,
    service_meta: Option<&'a Pairs>,
    connect: bool,
    peer: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FailoverOut<'a> {
    nearest_n: i64,
    datacenters: Option<&'a [Box<str>]>,
    targets: Option<Vec<TargetOut<'a>>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TargetOut<'a> {
    peer: &'a str,
    datacenter: &'a str,
}

#[derive(Serialize)]
struct DnsOut<'a> {
    #[serde(rename = "TTL")]
    ttl: &'a str,
}

impl<'a> QueryOut<'a> {
    /// A query, as it is kept or filled in, with the indexes of its row.
    pub(crate) fn new(
        row: &Row<PreparedQuery>,
        query: &'a PreparedQuery,
        token: Cow<'a, str>,
    ) -> Self {
        let Template { kind, regexp, remove_empty_tags } = &query.template;
        Self {
            id: &query.id,
            name: &query.name,
            session: &query.session,
            token,
            template: TemplateOut { kind, regexp, remove_empty_tags: *remove_empty_tags },
            service: (&query.service).into(),
            dns: DnsOut { ttl: &query.dns_ttl },
            create_index: row.created,
            modify_index: row.modified,
        }
    }
}

impl<'a> From<&'a ServiceQuery> for ServiceOut<'a> {
    fn from(query: &'a ServiceQuery) -> Self {
        let target =
            |target: &'a Target| TargetOut { peer: &target.peer, datacenter: &target.datacenter };
        let Failover { nearest_n, datacenters, targets } = &query.failover;
        Self {
            service: &query.service,
            sameness_group: "",
            failover: FailoverOut {
                nearest_n: *nearest_n,
                datacenters: datacenters.as_deref(),
                targets: targets.as_ref().map(|targets| targets.iter().map(target).collect()),
            },
            only_passing: query.only_passing,
            ignore_check_ids: query.ignore_check_ids.as_deref(),
            near: &query.near,
            tags: query.tags.as_deref(),
            node_meta: query.node_meta.as_ref(),
            service_meta: query.service_meta.as_ref(),
            connect: query.connect,
            peer: &query.peer,
        }
    }
}

/// What an execution found.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ExecutedOut<'a> {
    pub(crate) service: &'a str,
    pub(crate) nodes: Vec<CheckServiceNodeOut<'a>>,
    #[serde(rename = "DNS")]
    dns: DnsOut<'a>,
    pub(crate) datacenter: &'a str,
    pub(crate) peer_name: &'a str,
    pub(crate) failovers: usize,
    #[serde(flatten)]
    pub(crate) meta: QueryMetaOut,
}

impl<'a> ExecutedOut<'a> {
    /// What a query found.
    pub(crate) fn new(
        query: &'a PreparedQuery,
        found: &'a proconsul_anchors::prepared::execute::Found,
        meta: QueryMetaOut,
    ) -> Self {
        Self {
            service: &query.service.service,
            nodes: found
                .instances
                .iter()
                .map(|(node, row)| CheckServiceNodeOut::as_given(node, row))
                .collect(),
            dns: DnsOut { ttl: &query.dns_ttl },
            datacenter: &found.datacenter,
            peer_name: &found.peer,
            failovers: found.failovers,
            meta,
        }
    }
}

/// The query that a name leads to.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ExplainedOut<'a> {
    pub(crate) query: QueryOut<'a>,
    #[serde(flatten)]
    pub(crate) meta: QueryMetaOut,
}
