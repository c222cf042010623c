//! What `/v1/agent`'s services and checks read and print.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use proconsul_anchors::caller::Secret;
use proconsul_anchors::node::definition::{CheckDefinition, ServiceDefinition};
use proconsul_anchors::node::{LeafCheck, LeafService, ServiceHealth};
use proconsul_anchors::pairs::Pairs;
use proconsul_anchors::service::Service;
use proconsul_anchors::service::mesh::{CONNECT_PROXY, Proxy};
use serde::Serialize;

use crate::wire::catalog::{Addresses, Given, LocalityOut, PortOut, WeightsOut};
use crate::wire::decode::{CheckId, Ignored, Nanos, form, list_form};
use crate::wire::mesh::print::{ClientConnectOut, ClientProxyOut};
use crate::wire::mesh::{CONNECT_TYPE, ProxyForm, mesh};
use crate::wire::register::{
    AddressForm, LocalityForm, PortForms, WeightsForm, addresses, header_pairs, rare, tags,
    text_pairs, texts, wait,
};

/// The body of `PUT /v1/agent/service/register`.
#[derive(Debug, Default)]
pub(crate) struct ServiceForm {
    kind: String,
    id: String,
    name: String,
    tags: Option<Vec<String>>,
    address: String,
    tagged_addresses: Option<BTreeMap<String, AddressForm>>,
    tagged_addresses_snake: Option<BTreeMap<String, AddressForm>>,
    meta: Option<BTreeMap<String, String>>,
    port: i64,
    ports: PortForms,
    socket_path: String,
    check: EmbeddedCheck,
    checks: EmbeddedChecks,
    weights: Option<WeightsForm>,
    enable_tag_override: bool,
    enable_tag_override_snake: bool,
    locality: Option<LocalityForm>,
    token: String,
    proxy: Option<Box<ProxyForm>>,
    connect: ConnectForm,
}

/// What Go calls a service definition in its errors.
const SERVICE_TYPE: &str = "struct { EnableTagOverrideSnake bool \"json:\\\"enable_tag_override\\\"\"; TaggedAddressesSnake map[string]structs.ServiceAddress \"json:\\\"tagged_addresses\\\"\"; *structs.Alias }";

form!(ServiceForm, SERVICE_TYPE, custom, refuse, {
    "Kind" => kind, "ID" => id, "Name" => name, "Tags" => tags, "Address" => address,
    "TaggedAddresses" => tagged_addresses, "Meta" => meta, "Port" => port, "Ports" => ports,
    "SocketPath" => socket_path, "Check" => check, "Checks" => checks, "Weights" => weights, "Token" => token,
    "EnableTagOverride" => enable_tag_override, "Locality" => locality, "Proxy" => proxy, "Connect" => connect,
} own {
    "enable_tag_override" => enable_tag_override_snake, "tagged_addresses" => tagged_addresses_snake,
});

/// The mesh's switches of a service, with the sidecar to register with it.
#[derive(Debug, Default)]
struct ConnectForm {
    native: bool,
    sidecar: Option<Box<ServiceForm>>,
    sidecar_snake: Option<Box<ServiceForm>>,
}

form!(ConnectForm, CONNECT_TYPE, custom, ignore, {
    "Native" => native, "SidecarService" => sidecar,
} own {
    "sidecar_service" => sidecar_snake,
});

/// The fields of a check in either of its forms, with every spelling that Consul takes.
#[derive(Debug, Default)]
struct CheckFields {
    id: CheckId,
    name: String,
    notes: String,
    status: String,
    service_id: String,
    service_id_snake: String,
    script_args: Vec<String>,
    args: Vec<String>,
    script_args_snake: Vec<String>,
    http: String,
    header: Option<BTreeMap<String, Vec<String>>>,
    method: String,
    body: String,
    disable_redirects: bool,
    disable_redirects_snake: bool,
    tcp: String,
    tcp_use_tls: bool,
    tcp_use_tls_snake: bool,
    udp: String,
    h2ping: String,
    h2ping_use_tls: Option<bool>,
    h2ping_use_tls_snake: Option<bool>,
    grpc: String,
    grpc_use_tls: bool,
    grpc_use_tls_snake: bool,
    os_service: String,
    docker_container_id: String,
    docker_container_id_snake: String,
    shell: String,
    alias_node: String,
    alias_service: String,
    tls_server_name: String,
    tls_server_name_snake: String,
    tls_skip_verify: bool,
    tls_skip_verify_snake: bool,
    interval: Nanos,
    timeout: Nanos,
    ttl: Nanos,
    deregister_after: Nanos,
    deregister_after_snake: Nanos,
    success_before_passing: i64,
    failures_before_warning: i64,
    failures_before_critical: i64,
    output_max_size: i64,
    ignored: Ignored,
}

/// A check inside a service.
#[derive(Debug, Default)]
pub(crate) struct EmbeddedCheck {
    all: CheckFields,
}

/// The checks of a service.
#[derive(Debug, Default)]
pub(crate) struct EmbeddedChecks(Vec<EmbeddedCheck>);

list_form!(EmbeddedChecks, "structs.CheckTypes");

/// The body of `PUT /v1/agent/check/register`.
#[derive(Debug, Default)]
pub(crate) struct CheckForm {
    all: CheckFields,
}

/// Both forms of a check share most of their keys.
macro_rules! check_form {
    ($form:ty, $go_type:expr, { $($key:literal => $($field:ident).+),* $(,)? } own { $($own:literal => $($own_field:ident).+),* $(,)? }) => {
        form!($form, $go_type, custom, refuse, {
            $($key => $($field).+,)*
            "Name" => all.name, "Status" => all.status, "Notes" => all.notes, "ScriptArgs" => all.script_args,
            "HTTP" => all.http, "H2PING" => all.h2ping, "H2PingUseTLS" => all.h2ping_use_tls, "Header" => all.header,
            "Method" => all.method, "Body" => all.body, "DisableRedirects" => all.disable_redirects, "TCP" => all.tcp,
            "TCPUseTLS" => all.tcp_use_tls, "UDP" => all.udp, "DockerContainerID" => all.docker_container_id,
            "Shell" => all.shell, "GRPC" => all.grpc, "GRPCUseTLS" => all.grpc_use_tls, "OSService" => all.os_service,
            "TLSServerName" => all.tls_server_name, "TLSSkipVerify" => all.tls_skip_verify,
            "AliasNode" => all.alias_node, "AliasService" => all.alias_service,
            "SuccessBeforePassing" => all.success_before_passing,
            "FailuresBeforeWarning" => all.failures_before_warning,
            "FailuresBeforeCritical" => all.failures_before_critical, "OutputMaxSize" => all.output_max_size,
        } own {
            $($own => $($own_field).+,)*
            "Interval" => all.interval, "Timeout" => all.timeout, "TTL" => all.ttl,
            "DeregisterCriticalServiceAfter" => all.deregister_after, "args" => all.args,
            "script_args" => all.script_args_snake, "deregister_critical_service_after" => all.deregister_after_snake,
            "docker_container_id" => all.docker_container_id_snake, "tls_server_name" => all.tls_server_name_snake,
            "tls_skip_verify" => all.tls_skip_verify_snake, "tcp_use_tls" => all.tcp_use_tls_snake,
            "grpc_use_tls" => all.grpc_use_tls_snake, "h2ping_use_tls" => all.h2ping_use_tls_snake,
            "service_id" => all.service_id_snake,
        });
    };
}

/// What Go calls a check inside a service in its errors.
const EMBEDDED_TYPE: &str = "struct { Interval interface {}; Timeout interface {}; TTL interface {}; DeregisterCriticalServiceAfter interface {}; Args []string \"json:\\\"args\\\"\"; ScriptArgsSnake []string \"json:\\\"script_args\\\"\"; DeregisterCriticalServiceAfterSnake interface {} \"json:\\\"deregister_critical_service_after\\\"\"; DockerContainerIDSnake string \"json:\\\"docker_container_id\\\"\"; TLSServerNameSnake string \"json:\\\"tls_server_name\\\"\"; TLSSkipVerifySnake bool \"json:\\\"tls_skip_verify\\\"\"; TCPUseTLSSnake bool \"json:\\\"tcp_use_tls\\\"\"; GRPCUseTLSSnake bool \"json:\\\"grpc_use_tls\\\"\"; H2PingUseTLSSnake bool \"json:\\\"h2ping_use_tls\\\"\"; ServiceID string \"json:\\\"ServiceID\\\"\"; ServiceIDSnake string \"json:\\\"service_id\\\"\"; *structs.Alias }";

/// What Go calls a check of its own in its errors.
const CHECK_TYPE: &str = "struct { Interval interface {}; Timeout interface {}; TTL interface {}; DeregisterCriticalServiceAfter interface {}; Args []string \"json:\\\"args\\\"\"; ScriptArgsSnake []string \"json:\\\"script_args\\\"\"; DeregisterCriticalServiceAfterSnake interface {} \"json:\\\"deregister_critical_service_after\\\"\"; DockerContainerIDSnake string \"json:\\\"docker_container_id\\\"\"; TLSServerNameSnake string \"json:\\\"tls_server_name\\\"\"; TLSSkipVerifySnake bool \"json:\\\"tls_skip_verify\\\"\"; TCPUseTLSSnake bool \"json:\\\"tcp_use_tls\\\"\"; GRPCUseTLSSnake bool \"json:\\\"grpc_use_tls\\\"\"; ServiceIDSnake string \"json:\\\"service_id\\\"\"; H2PingUseTLSSnake bool \"json:\\\"h2ping_use_tls\\\"\"; DisableRedirectsSnake bool \"json:\\\"disable_redirects\\\"\"; *structs.Alias }";

check_form!(EmbeddedCheck, EMBEDDED_TYPE, {
    "CheckID" => all.id, "ProxyHTTP" => all.ignored, "ProxyGRPC" => all.ignored,
} own {
    "ServiceID" => all.service_id,
});

check_form!(CheckForm, CHECK_TYPE, {
    "ID" => all.id, "ServiceID" => all.service_id, "Token" => all.ignored,
} own {
    "disable_redirects" => all.disable_redirects_snake,
});

/// The body of `PUT /v1/agent/check/update/<id>`.
#[derive(Debug, Default)]
pub(crate) struct UpdateForm {
    pub(crate) status: String,
    pub(crate) output: String,
}

form!(UpdateForm, "agent.checkUpdate", plain "checkUpdate", refuse, { "Status" => status, "Output" => output });

// === forms to definitions ===

fn either(first: String, second: String) -> Box<str> {
    if first.is_empty() { second.into() } else { first.into() }
}

impl From<CheckFields> for CheckDefinition {
    fn from(form: CheckFields) -> Self {
        let h2ping_use_tls = h2ping_uses_tls(&form);
        let args = [form.script_args, form.args, form.script_args_snake]
            .into_iter()
            .find(|args| !args.is_empty());
        let deregister_after = if form.deregister_after.0 == 0 {
            form.deregister_after_snake
        } else {
            form.deregister_after
        };
        Self {
            id: form.id.0.into(),
            name: form.name.into(),
            notes: form.notes.into(),
            status: (!form.status.is_empty()).then(|| form.status.as_str().into()),
            service_id: either(form.service_id, form.service_id_snake),
            script_args: texts(args.unwrap_or_default()),
            http: form.http.into(),
            header: header_pairs(form.header),
            method: form.method.into(),
            body: form.body.into(),
            disable_redirects: form.disable_redirects || form.disable_redirects_snake,
            tcp: form.tcp.into(),
            tcp_use_tls: form.tcp_use_tls || form.tcp_use_tls_snake,
            udp: form.udp.into(),
            h2ping: form.h2ping.into(),
            h2ping_use_tls,
            grpc: form.grpc.into(),
            grpc_use_tls: form.grpc_use_tls || form.grpc_use_tls_snake,
            os_service: form.os_service.into(),
            docker_container_id: either(form.docker_container_id, form.docker_container_id_snake),
            shell: form.shell.into(),
            alias_node: form.alias_node.into(),
            alias_service: form.alias_service.into(),
            tls_server_name: either(form.tls_server_name, form.tls_server_name_snake),
            tls_skip_verify: form.tls_skip_verify || form.tls_skip_verify_snake,
            interval: wait(form.interval),
            timeout: wait(form.timeout),
            ttl: wait(form.ttl),
            success_before_passing: form.success_before_passing,
            failures_before_warning: form.failures_before_warning,
            failures_before_critical: form.failures_before_critical,
            deregister_critical_service_after: wait(deregister_after),
            output_max_size: form.output_max_size,
        }
    }
}

impl CheckFields {
    /// Whether any length of time was given, be it one that no check can have.
    fn is_timed(&self) -> bool {
        let given = [
            self.interval,
            self.timeout,
            self.ttl,
            self.deregister_after,
            self.deregister_after_snake,
        ];
        given.iter().any(|nanos| nanos.0 != 0)
    }
}

/// An HTTP/2 ping uses TLS unless either spelling says no; other checks only if one says yes.
fn h2ping_uses_tls(form: &CheckFields) -> bool {
    let (own, snake) = (form.h2ping_use_tls, form.h2ping_use_tls_snake);
    if form.h2ping.is_empty() {
        own.unwrap_or(false) || snake.unwrap_or(false)
    } else {
        own.unwrap_or(true) && snake.unwrap_or(true)
    }
}

impl From<CheckForm> for CheckDefinition {
    fn from(form: CheckForm) -> Self {
        form.all.into()
    }
}

impl From<EmbeddedCheck> for CheckDefinition {
    fn from(form: EmbeddedCheck) -> Self {
        // A service's check belongs to that service, whatever it says.
        Self { service_id: "".into(), ..form.all.into() }
    }
}

impl From<ServiceForm> for ServiceDefinition {
    fn from(form: ServiceForm) -> Self {
        let timed = form.check.all.is_timed();
        let single = CheckDefinition::from(form.check);
        let single = (timed || !single.is_empty()).then_some(single);
        let tagged = form
            .tagged_addresses
            .filter(|addresses| !addresses.is_empty())
            .or(form.tagged_addresses_snake);
        let service = Service {
            id: form.id.into(),
            name: form.name.into(),
            tags: tags(form.tags),
            address: form.address.into(),
            port: form.port,
            meta: form.meta.map(text_pairs),
            weights: form.weights.map(Into::into).unwrap_or_default(),
            enable_tag_override: form.enable_tag_override || form.enable_tag_override_snake,
            tagged_addresses: tagged.map(addresses),
            rare: rare(
                form.kind,
                form.ports,
                form.socket_path,
                form.locality,
                mesh(form.proxy, form.connect.native),
            ),
        };
        let sidecar = form.connect.sidecar.or(form.connect.sidecar_snake);
        Self {
            service,
            checks: single.into_iter().chain(form.checks.0.into_iter().map(Into::into)).collect(),
            token: (!form.token.is_empty()).then(|| Secret::new(&form.token)),
            sidecar: sidecar.map(|form| Box::new((*form).into())),
            ..Self::default()
        }
    }
}

// === what is printed ===

/// A service of the agent.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AgentServiceOut<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    kind: &'a str,
    #[serde(rename = "ID")]
    id: &'a str,
    service: &'a str,
    tags: &'a [Box<str>],
    meta: Given<'a>,
    port: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ports: Vec<PortOut<'a>>,
    address: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    socket_path: &'a str,
    #[serde(skip_serializing_if = "Addresses::is_empty")]
    tagged_addresses: Addresses<'a>,
    weights: WeightsOut,
    enable_tag_override: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<ClientProxyOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect: Option<ClientConnectOut>,
    datacenter: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    locality: Option<LocalityOut<'a>>,
}

impl<'a> AgentServiceOut<'a> {
    pub(crate) fn new(entry: &'a LeafService, datacenter: &'a str) -> Self {
        let service = &entry.service;
        let rare = service.rare.as_deref();
        Self {
            kind: service.kind(),
            id: service.id.as_str(),
            service: service.name.as_str(),
            tags: &service.tags,
            meta: Given(service.meta.as_ref()),
            port: service.default_port(),
            ports: service.ports().iter().map(Into::into).collect(),
            address: &service.address,
            socket_path: rare.map_or("", |rare| &rare.socket_path),
            tagged_addresses: Addresses(service.tagged_addresses.as_ref()),
            weights: service.weights.into(),
            enable_tag_override: service.enable_tag_override,
            content_hash: None,
            proxy: proxy(service),
            connect: ClientConnectOut::of(service.mesh()),
            datacenter,
            locality: rare.and_then(|rare| rare.locality.as_ref()).map(Into::into),
        }
    }
}

/// Only proxies and gateways show how they are configured, whatever they have.
fn proxy(service: &Service) -> Option<ClientProxyOut<'_>> {
    static NONE: LazyLock<Proxy> = LazyLock::new(Proxy::default);
    let shown = service.kind() == CONNECT_PROXY || service.is_gateway();
    shown.then(|| service.mesh().map_or(&*NONE, |mesh| &mesh.proxy).into())
}

/// A service with its checks and what they come to.
#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HealthOut<'a> {
    aggregated_status: &'a str,
    service: Option<AgentServiceOut<'a>>,
    checks: Option<Vec<ClientCheckOut<'a>>>,
}

/// A check in the shape of Consul's client library.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ClientCheckOut<'a> {
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
    kind: &'static str,
    exposed_port: i64,
    definition: ClientDefinitionOut,
    create_index: u64,
    modify_index: u64,
}

/// The definition of a check in the shape of Consul's client library: the agent leaves every field of it empty.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ClientDefinitionOut {
    interval: &'static str,
    timeout: &'static str,
    deregister_critical_service_after: &'static str,
    #[serde(rename = "HTTP")]
    http: &'static str,
    header: Option<&'static Pairs>,
    method: &'static str,
    body: &'static str,
    #[serde(rename = "TLSServerName")]
    tls_server_name: &'static str,
    #[serde(rename = "TLSSkipVerify")]
    tls_skip_verify: bool,
    #[serde(rename = "TCP")]
    tcp: &'static str,
    #[serde(rename = "TCPUseTLS")]
    tcp_use_tls: bool,
    #[serde(rename = "UDP")]
    udp: &'static str,
    #[serde(rename = "GRPC")]
    grpc: &'static str,
    #[serde(rename = "OSService")]
    os_service: &'static str,
    #[serde(rename = "GRPCUseTLS")]
    grpc_use_tls: bool,
}

const NO_DEFINITION: ClientDefinitionOut = ClientDefinitionOut {
    interval: "0s",
    timeout: "0s",
    deregister_critical_service_after: "0s",
    http: "",
    header: None,
    method: "",
    body: "",
    tls_server_name: "",
    tls_skip_verify: false,
    tcp: "",
    tcp_use_tls: false,
    udp: "",
    grpc: "",
    os_service: "",
    grpc_use_tls: false,
};

impl<'a> ClientCheckOut<'a> {
    fn new(entry: &'a LeafCheck, node: &'a str) -> Self {
        let check = &entry.check;
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
            service_tags: service.filter(|of| of.tags.were_given()).map(|of| &*of.tags),
            kind: "",
            exposed_port: 0,
            definition: NO_DEFINITION,
            create_index: 0,
            modify_index: 0,
        }
    }
}

impl<'a> HealthOut<'a> {
    pub(crate) fn new(health: &'a ServiceHealth, node: &'a str, datacenter: &'a str) -> Self {
        Self {
            aggregated_status: health.status.as_str(),
            service: Some(AgentServiceOut::new(&health.service, datacenter)),
            checks: Some(
                health.checks.iter().map(|check| ClientCheckOut::new(check, node)).collect(),
            ),
        }
    }

    /// What is said of a service that is not here.
    pub(crate) fn unknown() -> Self {
        Self { aggregated_status: "critical", ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::decode::{Hint, body};

    #[test]
    fn clashes_read_as_consuls_do() {
        let cases = [
            (
                r#"{"Name":5}"#,
                "json: cannot unmarshal number into Go struct field .Alias.Name of type string",
            ),
            (
                r#"{"Tags":"x"}"#,
                "json: cannot unmarshal string into Go struct field .Alias.Tags of type []string",
            ),
            (
                r#"{"Meta":[]}"#,
                "json: cannot unmarshal array into Go struct field .Alias.Meta of type map[string]string",
            ),
            (
                r#"{"Weights":5}"#,
                "json: cannot unmarshal number into Go struct field .Alias.Weights of type structs.Weights",
            ),
            (
                r#"{"Check":{"HTTP":5}}"#,
                "json: cannot unmarshal number into Go struct field .Alias.Check.Alias.HTTP of type string",
            ),
            (
                r#"{"Checks":5}"#,
                "json: cannot unmarshal number into Go struct field .Alias.Checks of type structs.CheckTypes",
            ),
            (
                r#"{"Checks":[{"Header":{"a":"b"}}]}"#,
                "json: cannot unmarshal string into Go struct field .Alias.Checks.Alias.Header of type []string",
            ),
            (r#"{"Checks":[{"Foo":"b"}]}"#, r#"json: unknown field "Foo""#),
            (
                r#"{"TaggedAddresses":{"lan":{"Address":5}}}"#,
                "json: cannot unmarshal number into Go struct field ServiceAddress.Alias.TaggedAddresses.Address of type string",
            ),
            (
                r#"{"Ports":[{"Port":"x"}]}"#,
                "json: cannot unmarshal string into Go struct field ServicePort.Alias.Ports.Port of type int",
            ),
            (
                r#"{"Locality":{"Region":5}}"#,
                "json: cannot unmarshal number into Go struct field Locality.Alias.Locality.Region of type string",
            ),
            (r#"{"Check":{"TTL":"zz"}}"#, r#"time: invalid duration "zz""#),
            (r#"{"Foo":1,"Name":5}"#, r#"json: unknown field "Foo""#),
        ];
        for (text, told) in cases {
            let read = body::<ServiceForm>(text.as_bytes(), Hint::None);
            assert_eq!(
                read.map(|_| ()).map_err(|error| error.to_string()),
                Err(told.to_owned()),
                "{text}"
            );
        }
        let cases = [
            (r#"{"CheckID":"5"}"#, r#"json: unknown field "CheckID""#),
            (
                r#"{"service_id":5}"#,
                "json: cannot unmarshal number into Go struct field .service_id of type string",
            ),
            (
                r#"{"OutputMaxSize":"x"}"#,
                "json: cannot unmarshal string into Go struct field .Alias.OutputMaxSize of type int",
            ),
        ];
        for (text, told) in cases {
            let read = body::<CheckForm>(text.as_bytes(), Hint::None);
            assert_eq!(
                read.map(|_| ()).map_err(|error| error.to_string()),
                Err(told.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn every_spelling_is_taken() {
        let text = br#"{"name":"a","args":["x"],"tls_skip_verify":true,"deregister_critical_service_after":"1m","H2PING":"h","service_id":"s"}"#;
        let check = CheckDefinition::from(body::<CheckForm>(text, Hint::None).unwrap());
        assert_eq!(&*check.script_args, ["x".into()]);
        assert!(check.tls_skip_verify && check.h2ping_use_tls);
        assert_eq!(
            (check.deregister_critical_service_after.as_secs(), &*check.service_id),
            (60, "s")
        );
    }

    #[test]
    fn an_empty_single_check_is_none() {
        for (text, checks) in [
            (r#"{"Check":{}}"#, 0),
            (r#"{"Check":{"TTL":"0s"}}"#, 0),
            (r#"{"Checks":[{}]}"#, 1),
            (r#"{"Check":null,"Checks":null}"#, 0),
        ] {
            let form: ServiceForm = body(text.as_bytes(), Hint::None).unwrap();
            assert_eq!(ServiceDefinition::from(form).checks.len(), checks, "{text}");
        }
    }
}
