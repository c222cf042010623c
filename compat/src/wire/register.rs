//! What `/v1/catalog/register` and `/v1/catalog/deregister` read, and the parts that the agent's registrations share with them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proconsul_anchors::node::definition::WEIGHT_MAX;
use proconsul_anchors::pairs::Pairs;
use proconsul_anchors::service::mesh::Mesh;
use proconsul_anchors::service::{
    Check, Checked, Definition, Locality, Node, Rare, Service, ServiceAddress, ServicePort, Tags,
    Weights,
};

use crate::wire::decode::{CheckId, Ignored, Nanos, form, list_form};
use crate::wire::mesh::{ConnectForm, ProxyForm, mesh};

/// The body of a registration.
#[derive(Debug, Default)]
pub(crate) struct RegisterForm {
    pub(crate) datacenter: String,
    pub(crate) id: String,
    pub(crate) node: String,
    pub(crate) address: String,
    pub(crate) tagged_addresses: Option<BTreeMap<String, String>>,
    pub(crate) node_meta: Option<BTreeMap<String, String>>,
    pub(crate) service: Option<Box<NodeServiceForm>>,
    pub(crate) check: Option<Box<HealthCheckForm>>,
    pub(crate) checks: Checks,
    pub(crate) locality: Option<LocalityForm>,
    pub(crate) skip_node_update: bool,
    pub(crate) peer_name: String,
    ignored: Ignored,
}

form!(RegisterForm, "structs.RegisterRequest", plain "RegisterRequest", refuse, {
    "Datacenter" => datacenter, "ID" => id, "Node" => node, "Address" => address,
    "TaggedAddresses" => tagged_addresses, "NodeMeta" => node_meta, "Service" => service, "Check" => check,
    "Checks" => checks, "Locality" => locality, "SkipNodeUpdate" => skip_node_update, "PeerName" => peer_name,
    "Token" => ignored, "CreateIndex" => ignored, "ModifyIndex" => ignored,
});

/// Checks.
#[derive(Debug, Default)]
pub(crate) struct Checks(pub(crate) Vec<HealthCheckForm>);

list_form!(Checks, "structs.HealthChecks");

/// A service as the catalog takes it.
#[derive(Debug, Default)]
pub(crate) struct NodeServiceForm {
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) service: String,
    pub(crate) tags: Option<Vec<String>>,
    pub(crate) address: String,
    pub(crate) tagged_addresses: Option<BTreeMap<String, AddressForm>>,
    pub(crate) meta: Option<BTreeMap<String, String>>,
    pub(crate) port: i64,
    pub(crate) ports: PortForms,
    pub(crate) socket_path: String,
    pub(crate) weights: Option<WeightsForm>,
    pub(crate) enable_tag_override: bool,
    pub(crate) locality: Option<LocalityForm>,
    pub(crate) proxy: Option<Box<ProxyForm>>,
    pub(crate) connect: ConnectForm,
    pub(crate) peer_name: String,
    ignored: Ignored,
}

form!(NodeServiceForm, "structs.NodeService", plain "NodeService", refuse, {
    "Kind" => kind, "ID" => id, "Service" => service, "Tags" => tags, "Address" => address,
    "TaggedAddresses" => tagged_addresses, "Meta" => meta, "Port" => port, "Ports" => ports,
    "SocketPath" => socket_path, "Weights" => weights, "EnableTagOverride" => enable_tag_override,
    "Locality" => locality, "Proxy" => proxy, "Connect" => connect, "PeerName" => peer_name,
    "CreateIndex" => ignored, "ModifyIndex" => ignored,
});

/// Named ports.
#[derive(Debug, Default)]
pub(crate) struct PortForms(pub(crate) Vec<PortForm>);

list_form!(PortForms, "structs.ServicePorts");

/// One named port.
#[derive(Debug, Default)]
pub(crate) struct PortForm {
    name: String,
    port: i64,
    default: bool,
}

form!(PortForm, "structs.ServicePort", plain "ServicePort", refuse, {
    "Name" => name, "Port" => port, "Default" => default,
});

/// An address for one purpose.
#[derive(Debug, Default)]
pub(crate) struct AddressForm {
    address: String,
    port: i64,
}

form!(AddressForm, "structs.ServiceAddress", plain "ServiceAddress", refuse, { "Address" => address, "Port" => port });

/// SRV weights.
#[derive(Debug, Default)]
pub(crate) struct WeightsForm {
    passing: i64,
    warning: i64,
}

form!(WeightsForm, "structs.Weights", plain "Weights", refuse, { "Passing" => passing, "Warning" => warning });

/// Region and zone.
#[derive(Debug, Default)]
pub(crate) struct LocalityForm {
    pub(crate) region: String,
    pub(crate) zone: String,
}

form!(LocalityForm, "structs.Locality", plain "Locality", refuse, { "Region" => region, "Zone" => zone });

/// A check as the catalog takes it.
#[derive(Debug, Default)]
pub(crate) struct HealthCheckForm {
    pub(crate) node: String,
    pub(crate) check_id: CheckId,
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) notes: String,
    pub(crate) output: String,
    pub(crate) service_id: String,
    service_name: String,
    service_tags: Vec<String>,
    pub(crate) kind: String,
    pub(crate) interval: String,
    pub(crate) timeout: String,
    pub(crate) exposed_port: i64,
    pub(crate) peer_name: String,
    pub(crate) definition: DefinitionForm,
    ignored: Ignored,
}

form!(HealthCheckForm, "structs.HealthCheck", plain "HealthCheck", refuse, {
    "Node" => node, "CheckID" => check_id, "Name" => name, "Status" => status, "Notes" => notes, "Output" => output,
    "ServiceID" => service_id, "ServiceName" => service_name, "ServiceTags" => service_tags, "Type" => kind,
    "Interval" => interval, "Timeout" => timeout, "ExposedPort" => exposed_port, "PeerName" => peer_name,
    "Definition" => definition, "CreateIndex" => ignored, "ModifyIndex" => ignored,
});

/// How a check is run.
#[derive(Debug, Default)]
pub(crate) struct DefinitionForm {
    interval: Nanos,
    timeout: Nanos,
    deregister_critical_service_after: Nanos,
    ttl: Nanos,
    output_max_size: u64,
    http: String,
    tls_server_name: String,
    tls_skip_verify: bool,
    header: Option<BTreeMap<String, Vec<String>>>,
    method: String,
    body: String,
    disable_redirects: bool,
    tcp: String,
    tcp_use_tls: bool,
    udp: String,
    h2ping: String,
    os_service: String,
    h2ping_use_tls: bool,
    script_args: Vec<String>,
    docker_container_id: String,
    shell: String,
    grpc: String,
    grpc_use_tls: bool,
    alias_node: String,
    alias_service: String,
    session_name: String,
}

form!(DefinitionForm,
    "struct { Interval interface {}; Timeout interface {}; DeregisterCriticalServiceAfter interface {}; TTL interface {}; *structs.Alias }",
    custom, ignore, {
    "OutputMaxSize" => output_max_size, "HTTP" => http, "TLSServerName" => tls_server_name,
    "TLSSkipVerify" => tls_skip_verify, "Header" => header, "Method" => method, "Body" => body,
    "DisableRedirects" => disable_redirects, "TCP" => tcp, "TCPUseTLS" => tcp_use_tls, "UDP" => udp,
    "H2PING" => h2ping, "OSService" => os_service, "H2PingUseTLS" => h2ping_use_tls, "ScriptArgs" => script_args,
    "DockerContainerID" => docker_container_id, "Shell" => shell, "GRPC" => grpc, "GRPCUseTLS" => grpc_use_tls,
    "AliasNode" => alias_node, "AliasService" => alias_service, "SessionName" => session_name,
} own {
    "Interval" => interval, "Timeout" => timeout,
    "DeregisterCriticalServiceAfter" => deregister_critical_service_after, "TTL" => ttl,
});

/// The body of a deregistration.
#[derive(Debug, Default)]
pub(crate) struct DeregisterForm {
    pub(crate) datacenter: String,
    pub(crate) node: String,
    pub(crate) service_id: String,
    pub(crate) check_id: CheckId,
    ignored: Ignored,
}

form!(DeregisterForm, "struct { Address string; *structs.Alias }", custom, refuse, {
    "Datacenter" => datacenter, "Node" => node, "ServiceID" => service_id, "CheckID" => check_id,
    "PeerName" => ignored, "Token" => ignored,
} own {
    "Address" => ignored,
});

// === forms to records ===

/// A length of time; a negative one counts as none.
pub(crate) fn wait(nanos: Nanos) -> Duration {
    Duration::from_nanos(u64::try_from(nanos.0).unwrap_or(0))
}

/// A list that was not given stays so.
pub(crate) fn tags(tags: Option<Vec<String>>) -> Tags {
    tags.map(|tags| tags.into_iter().collect()).unwrap_or_default()
}

pub(crate) fn texts(texts: Vec<String>) -> Vec<Box<str>> {
    texts.into_iter().map(String::into_boxed_str).collect()
}

pub(crate) fn text_pairs(map: BTreeMap<String, String>) -> Pairs {
    map.into_iter().map(|(key, value)| (key, value.into_boxed_str())).collect()
}

pub(crate) fn header_pairs(map: Option<BTreeMap<String, Vec<String>>>) -> Pairs<Vec<Box<str>>> {
    map.unwrap_or_default().into_iter().map(|(key, values)| (key, texts(values))).collect()
}

pub(crate) fn addresses(map: BTreeMap<String, AddressForm>) -> Pairs<ServiceAddress> {
    let address =
        |form: AddressForm| ServiceAddress { address: form.address.into(), port: form.port };
    map.into_iter().map(|(purpose, form)| (purpose, address(form))).collect()
}

impl From<LocalityForm> for Locality {
    fn from(form: LocalityForm) -> Self {
        Self { region: form.region.into(), zone: form.zone.into() }
    }
}

impl From<WeightsForm> for Weights {
    fn from(form: WeightsForm) -> Self {
        Self { passing: form.passing, warning: form.warning }
    }
}

/// The weights of a service in the catalog, which takes any and counts those that cannot be as not given.
pub(crate) fn catalog_weights(given: Option<Weights>) -> Weights {
    let weights = given.unwrap_or_default();
    let fits =
        (1..=WEIGHT_MAX).contains(&weights.passing) && (0..=WEIGHT_MAX).contains(&weights.warning);
    if fits { weights } else { Weights::default() }
}

/// What few services have; nothing when this one has nothing of it.
pub(crate) fn rare(
    kind: String,
    ports: PortForms,
    socket_path: String,
    locality: Option<LocalityForm>,
    mesh: Option<Arc<Mesh>>,
) -> Option<Box<Rare>> {
    let port = |form: PortForm| ServicePort {
        name: form.name.into(),
        port: form.port,
        default: form.default,
    };
    let rare = Rare {
        kind: kind.into(),
        ports: ports.0.into_iter().map(port).collect(),
        socket_path: socket_path.into(),
        locality: locality.map(Into::into),
        mesh,
    };
    (rare != Rare::default()).then(|| Box::new(rare))
}

impl From<NodeServiceForm> for Service {
    fn from(form: NodeServiceForm) -> Self {
        // Consul's own rule: an absent id is the name.
        let id = if form.id.is_empty() { form.service.clone() } else { form.id };
        Self {
            id: id.into(),
            name: form.service.into(),
            tags: tags(form.tags),
            address: form.address.into(),
            port: form.port,
            meta: form.meta.map(text_pairs),
            weights: catalog_weights(form.weights.map(Into::into)),
            enable_tag_override: form.enable_tag_override,
            tagged_addresses: form.tagged_addresses.map(addresses),
            rare: rare(
                form.kind,
                form.ports,
                form.socket_path,
                form.locality,
                mesh(form.proxy, form.connect.native),
            ),
        }
    }
}

impl From<HealthCheckForm> for Check {
    fn from(form: HealthCheckForm) -> Self {
        let definition = Definition::from(form.definition);
        let kind =
            if form.kind.is_empty() { kind_of(&definition).into() } else { form.kind.into() };
        let id = if form.check_id.0.is_empty() { form.name.clone() } else { form.check_id.0 };
        let status = if form.status.is_empty() { "critical" } else { &form.status };
        let service = (!form.service_id.is_empty())
            .then(|| Checked { id: form.service_id.into(), ..Checked::default() });
        Self {
            id: id.into(),
            name: form.name.into(),
            status: status.into(),
            notes: form.notes.into(),
            output: form.output.into(),
            service,
            kind,
            interval: form.interval.into(),
            timeout: form.timeout.into(),
            exposed_port: form.exposed_port,
            definition: (definition != Definition::default()).then(|| Box::new(definition)),
        }
    }
}

impl From<DefinitionForm> for Definition {
    fn from(form: DefinitionForm) -> Self {
        Self {
            interval: wait(form.interval),
            timeout: wait(form.timeout),
            deregister_critical_service_after: wait(form.deregister_critical_service_after),
            ttl: wait(form.ttl),
            output_max_size: form.output_max_size,
            http: form.http.into(),
            tls_server_name: form.tls_server_name.into(),
            tls_skip_verify: form.tls_skip_verify,
            header: header_pairs(form.header),
            method: form.method.into(),
            body: form.body.into(),
            disable_redirects: form.disable_redirects,
            tcp: form.tcp.into(),
            tcp_use_tls: form.tcp_use_tls,
            udp: form.udp.into(),
            h2ping: form.h2ping.into(),
            h2ping_use_tls: form.h2ping_use_tls,
            os_service: form.os_service.into(),
            script_args: texts(form.script_args),
            docker_container_id: form.docker_container_id.into(),
            shell: form.shell.into(),
            grpc: form.grpc.into(),
            grpc_use_tls: form.grpc_use_tls,
            alias_node: form.alias_node.into(),
            alias_service: form.alias_service.into(),
            session_name: form.session_name.into(),
        }
    }
}

/// The kind that a definition speaks of, in Consul's order.
fn kind_of(definition: &Definition) -> &'static str {
    let probed = |target: &str| !target.is_empty() && !definition.interval.is_zero();
    let script = !definition.script_args.is_empty();
    let docker = !definition.docker_container_id.is_empty() && !definition.interval.is_zero();
    match () {
        () if probed(&definition.grpc) => "grpc",
        () if probed(&definition.http) => "http",
        () if !definition.ttl.is_zero() => "ttl",
        () if probed(&definition.tcp) => "tcp",
        () if probed(&definition.udp) => "udp",
        () if !definition.alias_node.is_empty() || !definition.alias_service.is_empty() => "alias",
        () if script && docker => "docker",
        () if script => "script",
        () if probed(&definition.h2ping) => "h2ping",
        () if probed(&definition.os_service) => "os_service",
        () => "",
    }
}

impl RegisterForm {
    /// The node that is registered.
    pub(crate) fn node(&mut self, datacenter: &str) -> Node {
        Node {
            id: std::mem::take(&mut self.id).into(),
            name: std::mem::take(&mut self.node).into(),
            address: std::mem::take(&mut self.address).into(),
            datacenter: datacenter.into(),
            tagged_addresses: self.tagged_addresses.take().map(text_pairs),
            meta: self.node_meta.take().map(text_pairs),
            locality: self.locality.take().map(Into::into),
        }
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
                r#"{"Node":5}"#,
                "json: cannot unmarshal number into Go struct field RegisterRequest.Node of type string",
            ),
            (
                r#"{"Service":{"Port":"x"}}"#,
                "json: cannot unmarshal string into Go struct field NodeService.Service.Port of type int",
            ),
            (
                r#"{"Service":{"TaggedAddresses":{"a":{"Port":"x"}}}}"#,
                "json: cannot unmarshal string into Go struct field ServiceAddress.Service.TaggedAddresses.Port of type int",
            ),
            (
                r#"{"Service":{"Weights":{"Passing":"x"}}}"#,
                "json: cannot unmarshal string into Go struct field Weights.Service.Weights.Passing of type int",
            ),
            (r#"{"Service":{"tagged_addresses":{}}}"#, r#"json: unknown field "tagged_addresses""#),
            (r#"{"Partition":"x"}"#, r#"json: unknown field "Partition""#),
            (
                r#"{"Check":{"Name":5}}"#,
                "json: cannot unmarshal number into Go struct field HealthCheck.Check.Name of type string",
            ),
            (
                r#"{"Check":{"Definition":{"HTTP":true}}}"#,
                "json: cannot unmarshal bool into Go struct field HealthCheck.Check.Definition.Alias.HTTP of type string",
            ),
            (
                r#"{"Checks":[{"Name":5}]}"#,
                "json: cannot unmarshal number into Go struct field HealthCheck.Checks.Name of type string",
            ),
            (
                r#"{"Checks":{"Name":5}}"#,
                "json: cannot unmarshal object into Go struct field RegisterRequest.Checks of type structs.HealthChecks",
            ),
            (
                r#"{"NodeMeta":{"lan":5}}"#,
                "json: cannot unmarshal number into Go struct field RegisterRequest.NodeMeta of type string",
            ),
            ("[1]", "json: cannot unmarshal array into Go value of type structs.RegisterRequest"),
        ];
        for (text, told) in cases {
            let read = body::<RegisterForm>(text.as_bytes(), Hint::Namespaces);
            assert_eq!(
                read.map(|_| ()).map_err(|error| error.to_string()),
                Err(told.to_owned()),
                "{text}"
            );
        }
        let read = body::<DeregisterForm>(br#"{"Node":5}"#, Hint::Namespaces);
        let told = "json: cannot unmarshal number into Go struct field .Alias.Node of type string";
        assert_eq!(read.map(|_| ()).map_err(|error| error.to_string()), Err(told.to_owned()));
    }

    #[test]
    fn checks_get_a_kind_from_their_definition() {
        let cases = [
            (r#"{"Definition":{"HTTP":"x","Interval":"10s"}}"#, "http"),
            (r#"{"Definition":{"HTTP":"x"}}"#, ""),
            (r#"{"Definition":{"TTL":"10s","Foo":1}}"#, "ttl"),
            (r#"{"Type":"own","Definition":{"TTL":"10s"}}"#, "own"),
        ];
        for (text, kind) in cases {
            let form: HealthCheckForm = body(text.as_bytes(), Hint::None).unwrap();
            assert_eq!(&*Check::from(form).kind, kind, "{text}");
        }
    }
}
