//! What `/v1/txn` reads and prints. It reads what Consul's own client library writes, whose records have other Go types than
//! those of the catalog's pages.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use proconsul_anchors::pairs::Pairs;
use proconsul_anchors::service::mesh::{Mesh, Proxy, TransparentProxy};
use proconsul_anchors::service::{
    Check, Checked, Definition, Node, Rare, Service, ServiceAddress, Weights,
};
use proconsul_anchors::txn::TxnResult;
use serde::Serialize;

use crate::go::base64;
use crate::go::json::Json;
use crate::wire::catalog::{NodeOut, NodeServiceOut};
use crate::wire::check::HealthCheckOut;
use crate::wire::decode::{DecodeError, Ignored, Nanos, Place, Read, form, list_form, read_text};
use crate::wire::kv::KeyOut;
use crate::wire::register::{catalog_weights, header_pairs, tags, text_pairs, wait};

/// The operations.
#[derive(Debug, Default)]
pub(crate) struct OpForms(pub(crate) Vec<OpForm>);

list_form!(OpForms, "api.TxnOps");

/// One operation; the first field that is there counts.
#[derive(Debug, Default)]
pub(crate) struct OpForm {
    pub(crate) key: Option<Box<KeyOpForm>>,
    pub(crate) node: Option<Box<NodeOpForm>>,
    pub(crate) service: Option<Box<ServiceOpForm>>,
    pub(crate) check: Option<Box<CheckOpForm>>,
}

form!(OpForm, "api.TxnOp", plain "TxnOp", refuse, {
    "KV" => key, "Node" => node, "Service" => service, "Check" => check,
});

/// A text that Go has a type of its own for.
macro_rules! named_text {
    ($name:ident, $go_type:literal) => {
        #[derive(Debug, Default)]
        pub(crate) struct $name(pub(crate) String);

        impl Read for $name {
            fn go_type() -> Cow<'static, str> {
                $go_type.into()
            }

            fn read(&mut self, value: &Json, place: &Place<'_>) -> Result<(), DecodeError> {
                read_text(&mut self.0, value, place, Self::go_type())
            }
        }
    };
}

named_text!(KeyVerbText, "api.KVOp");
named_text!(NodeVerbText, "api.NodeOp");
named_text!(ServiceVerbText, "api.ServiceOp");
named_text!(CheckVerbText, "api.CheckOp");
named_text!(KindText, "api.ServiceKind");
named_text!(GatewayModeText, "api.MeshGatewayMode");

/// Bytes: base64, or a list of numbers.
#[derive(Debug, Default)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Read for Bytes {
    fn go_type() -> Cow<'static, str> {
        "[]uint8".into()
    }

    fn read(&mut self, value: &Json, place: &Place<'_>) -> Result<(), DecodeError> {
        match value {
            Json::Null => self.0.clear(),
            Json::Text(text) => self.0 = base64::decode(text)?,
            Json::Array(items) => {
                let bytes: Result<Vec<u8>, DecodeError> =
                    items.iter().map(|item| byte(item, place)).collect();
                self.0 = bytes?;
            }
            _ => return Err(place.clash(value, Self::go_type())),
        }
        Ok(())
    }
}

fn byte(value: &Json, place: &Place<'_>) -> Result<u8, DecodeError> {
    match value {
        Json::Null => Ok(0),
        Json::Number(text) => text.parse().map_err(|_| place.misfit(text, "uint8".into())),
        _ => Err(place.clash(value, "uint8".into())),
    }
}

/// An operation on a key.
#[derive(Debug, Default)]
pub(crate) struct KeyOpForm {
    pub(crate) verb: KeyVerbText,
    pub(crate) key: String,
    pub(crate) value: Bytes,
    pub(crate) flags: u64,
    pub(crate) index: u64,
    pub(crate) session: String,
    ignored: Ignored,
}

form!(KeyOpForm, "api.KVTxnOp", plain "KVTxnOp", refuse, {
    "Verb" => verb, "Key" => key, "Value" => value, "Flags" => flags, "Index" => index, "Session" => session,
    "Namespace" => ignored, "Partition" => ignored,
});

/// An operation on a node.
#[derive(Debug, Default)]
pub(crate) struct NodeOpForm {
    pub(crate) verb: NodeVerbText,
    pub(crate) node: NodeForm,
}

form!(NodeOpForm, "api.NodeTxnOp", plain "NodeTxnOp", refuse, { "Verb" => verb, "Node" => node });

/// A node. Its locality is not looked at.
#[derive(Debug, Default)]
pub(crate) struct NodeForm {
    id: String,
    node: String,
    address: String,
    datacenter: String,
    tagged_addresses: Option<BTreeMap<String, String>>,
    meta: Option<BTreeMap<String, String>>,
    pub(crate) modify_index: u64,
    ignored: Ignored,
    locality: Option<LocalityForm>,
}

form!(NodeForm, "api.Node", plain "Node", refuse, {
    "ID" => id, "Node" => node, "Address" => address, "Datacenter" => datacenter,
    "TaggedAddresses" => tagged_addresses, "Meta" => meta, "CreateIndex" => ignored, "ModifyIndex" => modify_index,
    "Partition" => ignored, "PeerName" => ignored, "Locality" => locality,
});

#[derive(Debug, Default)]
struct LocalityForm {
    region: String,
    zone: String,
}

form!(LocalityForm, "api.Locality", plain "Locality", refuse, { "Region" => region, "Zone" => zone });

/// An operation on a service.
#[derive(Debug, Default)]
pub(crate) struct ServiceOpForm {
    pub(crate) verb: ServiceVerbText,
    pub(crate) node: String,
    pub(crate) service: ServiceForm,
}

form!(ServiceOpForm, "api.ServiceTxnOp", plain "ServiceTxnOp", refuse, {
    "Verb" => verb, "Node" => node, "Service" => service,
});

/// A service. Its named ports, its socket, its locality and whether it speaks the mesh's protocol are not looked at.
#[derive(Debug, Default)]
pub(crate) struct ServiceForm {
    kind: KindText,
    id: String,
    service: String,
    tags: Option<Vec<String>>,
    meta: Option<BTreeMap<String, String>>,
    port: i64,
    address: String,
    tagged_addresses: Option<BTreeMap<String, AddressForm>>,
    weights: WeightsForm,
    enable_tag_override: bool,
    pub(crate) modify_index: u64,
    proxy: Option<Box<ProxyForm>>,
    ignored: Ignored,
    ignored_text: String,
    locality: Option<LocalityForm>,
}

form!(ServiceForm, "api.AgentService", plain "AgentService", refuse, {
    "Kind" => kind, "ID" => id, "Service" => service, "Tags" => tags, "Meta" => meta, "Port" => port,
    "Ports" => ignored, "Address" => address, "SocketPath" => ignored_text, "TaggedAddresses" => tagged_addresses,
    "Weights" => weights, "EnableTagOverride" => enable_tag_override, "CreateIndex" => ignored,
    "ModifyIndex" => modify_index, "ContentHash" => ignored_text, "Proxy" => proxy, "Connect" => ignored,
    "PeerName" => ignored_text, "Namespace" => ignored_text, "Partition" => ignored_text,
    "Datacenter" => ignored_text, "Locality" => locality,
});

#[derive(Debug, Default)]
struct AddressForm {
    address: String,
    port: i64,
}

form!(AddressForm, "api.ServiceAddress", plain "ServiceAddress", refuse, { "Address" => address, "Port" => port });

#[derive(Debug, Default)]
struct WeightsForm {
    passing: i64,
    warning: i64,
}

form!(WeightsForm, "api.AgentWeights", plain "AgentWeights", refuse, { "Passing" => passing, "Warning" => warning });

/// How a proxy is configured: what is not looked at may be anything.
#[derive(Debug, Default)]
struct ProxyForm {
    destination_service_name: String,
    destination_service_id: String,
    local_service_address: String,
    local_service_port: i64,
    local_service_socket_path: String,
    transparent_proxy: Option<TransparentForm>,
    mesh_gateway: GatewayForm,
    ignored: Ignored,
}

form!(ProxyForm, "api.AgentServiceConnectProxyConfig", plain "AgentServiceConnectProxyConfig", refuse, {
    "EnvoyExtensions" => ignored, "DestinationServiceName" => destination_service_name,
    "DestinationServiceID" => destination_service_id, "LocalServiceAddress" => local_service_address,
    "LocalServicePort" => local_service_port, "LocalServiceSocketPath" => local_service_socket_path,
    "Mode" => ignored, "TransparentProxy" => transparent_proxy, "Config" => ignored, "Upstreams" => ignored,
    "MeshGateway" => mesh_gateway, "Expose" => ignored, "AccessLogs" => ignored,
});

#[derive(Debug, Default)]
struct TransparentForm {
    outbound_listener_port: i64,
    dialed_directly: bool,
}

form!(TransparentForm, "api.TransparentProxyConfig", plain "TransparentProxyConfig", refuse, {
    "OutboundListenerPort" => outbound_listener_port, "DialedDirectly" => dialed_directly,
});

#[derive(Debug, Default)]
struct GatewayForm {
    mode: GatewayModeText,
}

form!(GatewayForm, "api.MeshGatewayConfig", plain "MeshGatewayConfig", refuse, { "Mode" => mode });

/// An operation on a check.
#[derive(Debug, Default)]
pub(crate) struct CheckOpForm {
    pub(crate) verb: CheckVerbText,
    pub(crate) check: CheckForm,
}

form!(CheckOpForm, "api.CheckTxnOp", plain "CheckTxnOp", refuse, { "Verb" => verb, "Check" => check });

/// A check.
#[derive(Debug, Default)]
pub(crate) struct CheckForm {
    pub(crate) node: String,
    check_id: String,
    name: String,
    status: String,
    notes: String,
    output: String,
    service_id: String,
    service_name: String,
    service_tags: Vec<String>,
    kind: String,
    exposed_port: i64,
    definition: DefinitionForm,
    pub(crate) modify_index: u64,
    ignored: Ignored,
}

form!(CheckForm, "api.HealthCheck", plain "HealthCheck", refuse, {
    "Node" => node, "CheckID" => check_id, "Name" => name, "Status" => status, "Notes" => notes, "Output" => output,
    "ServiceID" => service_id, "ServiceName" => service_name, "ServiceTags" => service_tags, "Type" => kind,
    "Namespace" => ignored, "Partition" => ignored, "ExposedPort" => exposed_port, "PeerName" => ignored,
    "Definition" => definition, "CreateIndex" => ignored, "ModifyIndex" => modify_index,
});

/// How a check is run: as much of it as a transaction takes over.
#[derive(Debug, Default)]
struct DefinitionForm {
    http: String,
    header: Option<BTreeMap<String, Vec<String>>>,
    method: String,
    body: String,
    tls_server_name: String,
    tls_skip_verify: bool,
    tcp: String,
    tcp_use_tls: bool,
    grpc: String,
    grpc_use_tls: bool,
    os_service: String,
    ignored: String,
    interval: ReadableNanos,
    timeout: ReadableNanos,
    deregister_after: ReadableNanos,
    interval_duration: Nanos,
    timeout_duration: Nanos,
    deregister_after_duration: Nanos,
}

form!(DefinitionForm,
    "struct { IntervalDuration interface {}; TimeoutDuration interface {}; DeregisterCriticalServiceAfterDuration interface {}; *api.Alias }",
    custom, ignore, {
    "HTTP" => http, "Header" => header, "Method" => method, "Body" => body, "TLSServerName" => tls_server_name,
    "TLSSkipVerify" => tls_skip_verify, "TCP" => tcp, "TCPUseTLS" => tcp_use_tls, "UDP" => ignored, "GRPC" => grpc,
    "OSService" => os_service, "GRPCUseTLS" => grpc_use_tls, "SessionName" => ignored, "Interval" => interval,
    "Timeout" => timeout, "DeregisterCriticalServiceAfter" => deregister_after,
} own {
    "IntervalDuration" => interval_duration, "TimeoutDuration" => timeout_duration,
    "DeregisterCriticalServiceAfterDuration" => deregister_after_duration,
});

/// Nanoseconds, as Go's text for a duration or as a number, whole or not.
#[derive(Clone, Copy, Debug, Default)]
struct ReadableNanos(Nanos);

impl Read for ReadableNanos {
    fn go_type() -> Cow<'static, str> {
        "api.ReadableDuration".into()
    }

    fn read(&mut self, value: &Json, place: &Place<'_>) -> Result<(), DecodeError> {
        match value {
            Json::Null | Json::Text(_) | Json::Number(_) => self.0.read(value, place),
            _ => Err(place.clash(value, Self::go_type())),
        }
    }
}

impl ReadableNanos {
    /// Of two fields of the same meaning, the one that is not zero.
    fn or(self, other: Nanos) -> Nanos {
        if other.0 == 0 { self.0 } else { other }
    }
}

// === forms to records ===

impl NodeForm {
    /// The node.
    pub(crate) fn into_node(self, own_datacenter: &str) -> Node {
        let datacenter: Box<str> =
            if self.datacenter.is_empty() { own_datacenter.into() } else { self.datacenter.into() };
        Node {
            id: self.id.into(),
            name: self.node.into(),
            address: self.address.into(),
            datacenter,
            tagged_addresses: self.tagged_addresses.map(text_pairs),
            meta: self.meta.map(text_pairs),
            locality: None,
        }
    }
}

impl From<ServiceForm> for Service {
    fn from(form: ServiceForm) -> Self {
        let mesh = form.proxy.map(|proxy| Mesh { native: false, proxy: (*proxy).into() });
        let rare = Rare {
            kind: form.kind.0.into(),
            mesh: mesh.filter(|mesh| *mesh != Mesh::default()).map(Arc::new),
            ..Rare::default()
        };
        let address =
            |form: AddressForm| ServiceAddress { address: form.address.into(), port: form.port };
        let addresses: Pairs<ServiceAddress> = form
            .tagged_addresses
            .into_iter()
            .flatten()
            .map(|(purpose, form)| (purpose, address(form)))
            .collect();
        let WeightsForm { passing, warning } = form.weights;
        Self {
            id: form.id.into(),
            name: form.service.into(),
            tags: tags(form.tags),
            address: form.address.into(),
            port: form.port,
            meta: form.meta.map(text_pairs),
            weights: catalog_weights(Some(Weights { passing, warning })),
            enable_tag_override: form.enable_tag_override,
            tagged_addresses: (!addresses.is_empty()).then_some(addresses),
            rare: (rare != Rare::default()).then(|| Box::new(rare)),
        }
    }
}

impl From<ProxyForm> for Proxy {
    fn from(form: ProxyForm) -> Self {
        let transparent = form.transparent_proxy.unwrap_or_default();
        Self {
            destination_service_name: form.destination_service_name.into(),
            destination_service_id: form.destination_service_id.into(),
            local_service_address: form.local_service_address.into(),
            local_service_port: form.local_service_port,
            local_service_socket_path: form.local_service_socket_path.into(),
            mesh_gateway: form.mesh_gateway.mode.0.into(),
            transparent_proxy: TransparentProxy {
                outbound_listener_port: transparent.outbound_listener_port,
                dialed_directly: transparent.dialed_directly,
            },
            ..Self::default()
        }
    }
}

impl From<CheckForm> for Check {
    fn from(form: CheckForm) -> Self {
        let definition = Definition::from(form.definition);
        let status = if form.status.is_empty() { "critical" } else { &form.status };
        // The name decides who may write it; the index puts that of the service in its place.
        let service = (!form.service_id.is_empty()).then(|| Checked {
            id: form.service_id.into(),
            name: form.service_name.into(),
            ..Checked::default()
        });
        Self {
            id: form.check_id.into(),
            name: form.name.into(),
            status: status.into(),
            notes: form.notes.into(),
            output: form.output.into(),
            service,
            kind: form.kind.into(),
            exposed_port: form.exposed_port,
            definition: (definition != Definition::default()).then(|| Box::new(definition)),
            ..Self::default()
        }
    }
}

impl From<DefinitionForm> for Definition {
    fn from(form: DefinitionForm) -> Self {
        Self {
            interval: wait(form.interval.or(form.interval_duration)),
            timeout: wait(form.timeout.or(form.timeout_duration)),
            deregister_critical_service_after: wait(
                form.deregister_after.or(form.deregister_after_duration),
            ),
            http: form.http.into(),
            tls_server_name: form.tls_server_name.into(),
            tls_skip_verify: form.tls_skip_verify,
            header: header_pairs(form.header),
            method: form.method.into(),
            body: form.body.into(),
            tcp: form.tcp.into(),
            tcp_use_tls: form.tcp_use_tls,
            os_service: form.os_service.into(),
            grpc: form.grpc.into(),
            grpc_use_tls: form.grpc_use_tls,
            ..Self::default()
        }
    }
}

// === what is printed ===

/// The answer to a transaction.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TxnOut<'a> {
    pub(crate) results: Option<Vec<ResultOut<'a>>>,
    pub(crate) errors: Option<Vec<ErrorOut>>,
    #[serde(flatten)]
    pub(crate) read: Option<QueryMetaOut>,
}

/// What an operation tells.
#[derive(Serialize)]
pub(crate) enum ResultOut<'a> {
    #[serde(rename = "KV")]
    Key(KeyOut<'a>),
    Node(Box<NodeOut<'a>>),
    Service(Box<NodeServiceOut<'a>>),
    Check(Box<HealthCheckOut<'a>>),
}

/// Why an operation failed.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ErrorOut {
    pub(crate) op_index: usize,
    pub(crate) what: String,
}

/// What is known about a read, where Consul prints it in the body.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct QueryMetaOut {
    pub(crate) index: u64,
    pub(crate) last_contact: u64,
    pub(crate) known_leader: bool,
    pub(crate) consistency_level: &'static str,
    pub(crate) not_modified: bool,
    pub(crate) backend: u8,
    #[serde(rename = "ResultsFilteredByACLs")]
    pub(crate) results_filtered: bool,
}

impl<'a> From<&'a TxnResult> for ResultOut<'a> {
    fn from(result: &'a TxnResult) -> Self {
        match result {
            TxnResult::Key(row) => Self::Key((&**row).into()),
            TxnResult::KeyAlone(row) => Self::Key(KeyOut::alone(row)),
            TxnResult::Absent(op) => Self::Key(KeyOut::absent(op)),
            TxnResult::Node(row) => Self::Node(Box::new((&**row).into())),
            TxnResult::Service(row) => Self::Service(Box::new(NodeServiceOut::as_given(row))),
            TxnResult::Check(row) => Self::Check(Box::new(HealthCheckOut::as_given(row))),
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
            ("{}", "json: cannot unmarshal object into Go value of type api.TxnOps"),
            (r#"[{"Foo":1}]"#, r#"json: unknown field "Foo""#),
            (
                r#"[{"KV":5}]"#,
                "json: cannot unmarshal number into Go struct field TxnOp.KV of type api.KVTxnOp",
            ),
            (
                r#"[{"KV":{"Verb":5}}]"#,
                "json: cannot unmarshal number into Go struct field KVTxnOp.KV.Verb of type api.KVOp",
            ),
            (
                r#"[{"KV":{"Value":5}}]"#,
                "json: cannot unmarshal number into Go struct field KVTxnOp.KV.Value of type []uint8",
            ),
            (r#"[{"KV":{"Value":"zz!"}}]"#, "illegal base64 data at input byte 2"),
            (
                r#"[{"Check":{"Check":{"Definition":{"HTTP":5}}}}]"#,
                "json: cannot unmarshal number into Go struct field HealthCheck.Check.Check.Definition.Alias.HTTP of type string",
            ),
            (
                r#"[{"Service":{"Service":{"Weights":{"Passing":"x"}}}}]"#,
                "json: cannot unmarshal string into Go struct field AgentWeights.Service.Service.Weights.Passing of type int",
            ),
            (
                r#"[{"Check":{"Check":{"Definition":{"Interval":"x"}}}}]"#,
                r#"time: invalid duration "x""#,
            ),
        ];
        for (text, told) in cases {
            let read = body::<OpForms>(text.as_bytes(), Hint::None);
            let told = Err(told.to_owned());
            assert_eq!(read.map(|_| ()).map_err(|error| error.to_string()), told, "{text}");
        }
    }

    #[test]
    fn values_are_base64_or_numbers() {
        let text = br#"[{"KV":{"Value":"MQ=="}},{"KV":{"Value":[49,null]}},{},null]"#;
        let ops = body::<OpForms>(text, Hint::None).unwrap().0;
        let values: Vec<_> = ops.iter().map(|op| op.key.as_ref().map(|op| &*op.value.0)).collect();
        assert_eq!(values, [Some(&b"1"[..]), Some(&b"1\0"[..]), None, None]);
    }
}
