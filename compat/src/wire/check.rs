//! Checks, as the catalog and the agent print them.

use std::time::Duration;

use proconsul_anchors::duration::show_wait;
use proconsul_anchors::index::CheckRow;
use proconsul_anchors::pairs::Pairs;
use proconsul_anchors::service::{Check, Definition};
use serde::{Serialize, Serializer};

/// A check.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HealthCheckOut<'a> {
    node: &'a str,
    #[serde(rename = "CheckID")]
    check_id: &'a str,
    name: &'a str,
    status: &'a str,
    notes: &'a str,
    output: &'a str,
    #[serde(rename = "ServiceID")]
    service_id: &'a str,
    service_name: &'a str,
    service_tags: Option<&'a [Box<str>]>,
    #[serde(rename = "Type")]
    kind: &'a str,
    interval: &'a str,
    timeout: &'a str,
    exposed_port: i64,
    definition: DefinitionOut<'a>,
    create_index: u64,
    modify_index: u64,
}

/// How a check is run: everything that was said.
#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DefinitionOut<'a> {
    #[serde(skip_serializing_if = "Duration::is_zero", serialize_with = "as_text")]
    interval: Duration,
    #[serde(skip_serializing_if = "is_nil")]
    output_max_size: u64,
    #[serde(skip_serializing_if = "Duration::is_zero", serialize_with = "as_text")]
    timeout: Duration,
    #[serde(skip_serializing_if = "Duration::is_zero", serialize_with = "as_text")]
    deregister_critical_service_after: Duration,
    #[serde(rename = "HTTP", skip_serializing_if = "str::is_empty")]
    http: &'a str,
    #[serde(rename = "TLSServerName", skip_serializing_if = "str::is_empty")]
    tls_server_name: &'a str,
    #[serde(rename = "TLSSkipVerify", skip_serializing_if = "is_false")]
    tls_skip_verify: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<&'a Pairs<Vec<Box<str>>>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    method: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    body: &'a str,
    #[serde(skip_serializing_if = "is_false")]
    disable_redirects: bool,
    #[serde(rename = "TCP", skip_serializing_if = "str::is_empty")]
    tcp: &'a str,
    #[serde(rename = "TCPUseTLS", skip_serializing_if = "is_false")]
    tcp_use_tls: bool,
    #[serde(rename = "UDP", skip_serializing_if = "str::is_empty")]
    udp: &'a str,
    #[serde(rename = "H2PING", skip_serializing_if = "str::is_empty")]
    h2ping: &'a str,
    #[serde(rename = "OSService", skip_serializing_if = "str::is_empty")]
    os_service: &'a str,
    #[serde(rename = "H2PingUseTLS", skip_serializing_if = "is_false")]
    h2ping_use_tls: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    script_args: &'a [Box<str>],
    #[serde(rename = "DockerContainerID", skip_serializing_if = "str::is_empty")]
    docker_container_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    shell: &'a str,
    #[serde(rename = "GRPC", skip_serializing_if = "str::is_empty")]
    grpc: &'a str,
    #[serde(rename = "GRPCUseTLS", skip_serializing_if = "is_false")]
    grpc_use_tls: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    alias_node: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    alias_service: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    session_name: &'a str,
    #[serde(rename = "TTL", skip_serializing_if = "is_zero")]
    ttl: i64,
}

fn as_text<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show_wait(*duration))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
pub(crate) fn is_false(flag: &bool) -> bool {
    !*flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_nil(number: &u64) -> bool {
    *number == 0
}

impl<'a> HealthCheckOut<'a> {
    /// As it was registered: the tags of a service that were never given are printed as `null`.
    pub(crate) fn as_given(row: &'a CheckRow) -> Self {
        let tags = row.check.service.as_ref().map(|service| &service.tags);
        let service_tags = tags.filter(|tags| tags.were_given()).map(|tags| &**tags);
        Self { service_tags, ..row.into() }
    }

    /// As it was registered: no tags are printed as `null`.
    pub(crate) fn bare(self) -> Self {
        Self { service_tags: self.service_tags.filter(|tags| !tags.is_empty()), ..self }
    }

    /// The service that it speaks of; empty for a check of the node.
    pub(crate) fn service_name(&self) -> &str {
        self.service_name
    }

    /// A check of a node, with the indexes of its last change.
    pub(crate) fn new(node: &'a str, check: &'a Check, (created, modified): (u64, u64)) -> Self {
        let service = check.service.as_ref();
        Self {
            node,
            check_id: check.id.as_str(),
            name: &check.name,
            status: check.status.as_str(),
            notes: &check.notes,
            output: &check.output,
            service_id: service.map_or("", |service| service.id.as_str()),
            service_name: service.map_or("", |service| service.name.as_str()),
            service_tags: Some(service.map_or(&[], |service| &service.tags)),
            kind: &check.kind,
            interval: &check.interval,
            timeout: &check.timeout,
            exposed_port: check.exposed_port,
            definition: check.definition.as_deref().map(Into::into).unwrap_or_default(),
            create_index: created,
            modify_index: modified,
        }
    }
}

impl<'a> From<&'a CheckRow> for HealthCheckOut<'a> {
    fn from(row: &'a CheckRow) -> Self {
        let plain = Self::new(row.node.as_str(), &row.check, (row.created, row.modified));
        Self { status: row.status().as_str(), output: row.output(), ..plain }
    }
}

impl<'a> From<&'a Definition> for DefinitionOut<'a> {
    fn from(definition: &'a Definition) -> Self {
        Self {
            interval: definition.interval,
            output_max_size: definition.output_max_size,
            timeout: definition.timeout,
            deregister_critical_service_after: definition.deregister_critical_service_after,
            http: &definition.http,
            tls_server_name: &definition.tls_server_name,
            tls_skip_verify: definition.tls_skip_verify,
            header: (!definition.header.is_empty()).then_some(&definition.header),
            method: &definition.method,
            body: &definition.body,
            disable_redirects: definition.disable_redirects,
            tcp: &definition.tcp,
            tcp_use_tls: definition.tcp_use_tls,
            udp: &definition.udp,
            h2ping: &definition.h2ping,
            os_service: &definition.os_service,
            h2ping_use_tls: definition.h2ping_use_tls,
            script_args: &definition.script_args,
            docker_container_id: &definition.docker_container_id,
            shell: &definition.shell,
            grpc: &definition.grpc,
            grpc_use_tls: definition.grpc_use_tls,
            alias_node: &definition.alias_node,
            alias_service: &definition.alias_service,
            session_name: &definition.session_name,
            ttl: i64::try_from(definition.ttl.as_nanos()).unwrap_or(i64::MAX),
        }
    }
}
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
pub(crate) fn is_zero(number: &i64) -> bool {
    *number == 0
}
