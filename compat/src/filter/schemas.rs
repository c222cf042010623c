//! The schemas of the record types that Consul's lists are made of.
//!
//! Fields that Consul prints but does not let expressions select (indexes, localities, port lists, the definition of a check,
//! opaque configuration, hashes, namespaces) are not here, and so are refused.

use super::schema::{Field, Kind, Schema};

/// A record of `/v1/catalog/nodes`.
pub static NODE: Schema = Schema { fields: NODE_FIELDS };

/// A record of `/v1/catalog/service/:name` and `/v1/catalog/connect/:name`; `/v1/catalog/services` counts those that match.
pub static SERVICE_NODE: Schema = Schema { fields: SERVICE_NODE_FIELDS };

/// A service in `/v1/catalog/node/:name` and `/v1/catalog/node-services/:name`.
pub static NODE_SERVICE: Schema = Schema { fields: SERVICE_FIELDS };

/// A record of `/v1/health/node/:name`, `/v1/health/checks/:name`, `/v1/health/state/:state` and `/v1/agent/checks`.
pub static HEALTH_CHECK: Schema = Schema { fields: CHECK_FIELDS };

/// A record of `/v1/health/service/:name`, `/v1/health/connect/:name` and `/v1/health/ingress/:name`.
pub static CHECK_SERVICE_NODE: Schema = Schema {
    fields: &[
        Field::new("Node", Kind::Record(NODE_FIELDS)),
        Field::new("Service", Kind::Record(SERVICE_FIELDS)),
        Field::new("Checks", Kind::Records(CHECK_FIELDS)),
    ],
};

/// A record of `/v1/agent/services`.
///
/// It has the fields of [`NODE_SERVICE`]. Where the answer has no `Proxy` or `Connect` (all but proxies, gateways and native
/// services), their fields are zero here; Consul itself fails on such a service and closes the connection without an answer.
pub static AGENT_SERVICE: Schema = Schema { fields: SERVICE_FIELDS };

/// A record of `/v1/internal/ui/nodes`.
pub static UI_NODE: Schema = Schema {
    fields: &[
        Field::new("ID", Kind::Text),
        Field::new("Node", Kind::Text),
        Field::new("Partition", Kind::Text),
        Field::new("PeerName", Kind::Text),
        Field::new("Address", Kind::Text),
        Field::new("TaggedAddresses", Kind::Map(&Kind::Text)),
        Field::new("Meta", Kind::Map(&Kind::Text)),
        Field::new("Services", Kind::Records(SERVICE_FIELDS)),
        Field::new("Checks", Kind::Records(CHECK_FIELDS)),
    ],
};

/// A record of `/v1/agent/members`.
pub static MEMBER: Schema = Schema {
    fields: &[
        Field::new("Name", Kind::Text),
        Field::new("Addr", Kind::Octets),
        Field::new("Port", Kind::Uint(u16::MAX as u64)),
        Field::new("Tags", Kind::Map(&Kind::Text)),
        Field::new("Status", Kind::Int),
        Field::new("ProtocolMin", BYTE),
        Field::new("ProtocolMax", BYTE),
        Field::new("ProtocolCur", BYTE),
        Field::new("DelegateMin", BYTE),
        Field::new("DelegateMax", BYTE),
        Field::new("DelegateCur", BYTE),
    ],
};

const BYTE: Kind = Kind::Uint(u8::MAX as u64);

const NODE_FIELDS: &[Field] = &[
    Field::new("ID", Kind::Text),
    Field::new("Node", Kind::Text),
    Field::new("Address", Kind::Text),
    Field::new("Datacenter", Kind::Text),
    Field::new("Partition", Kind::Text),
    Field::new("PeerName", Kind::Text),
    Field::new("TaggedAddresses", Kind::Map(&Kind::Text)),
    Field::new("Meta", Kind::Map(&Kind::Text)),
];

const SERVICE_NODE_FIELDS: &[Field] = &[
    Field::new("ID", Kind::Text),
    Field::new("Node", Kind::Text),
    Field::new("Address", Kind::Text),
    Field::new("Datacenter", Kind::Text),
    Field::new("TaggedAddresses", Kind::Map(&Kind::Text)),
    Field::new("NodeMeta", Kind::Map(&Kind::Text)),
    Field::new("ServiceKind", Kind::Text),
    Field::new("ServiceID", Kind::Text),
    Field::new("ServiceName", Kind::Text),
    Field::new("ServiceTags", Kind::Texts),
    Field::new("ServiceAddress", Kind::Text),
    Field::new("ServiceTaggedAddresses", Kind::Map(&Kind::Record(ADDRESS_FIELDS))),
    Field::new("ServiceWeights", Kind::Record(WEIGHTS_FIELDS)),
    Field::new("ServiceMeta", Kind::Map(&Kind::Text)),
    Field::new("ServicePort", Kind::Int),
    Field::new("ServiceSocketPath", Kind::Text),
    Field::new("ServiceEnableTagOverride", Kind::Bool),
    Field::new("ServiceProxy", Kind::Record(PROXY_FIELDS)),
    Field::new("ServiceConnect", Kind::Record(CONNECT_FIELDS)),
    Field::new("PeerName", Kind::Text),
];

const SERVICE_FIELDS: &[Field] = &[
    Field::new("Kind", Kind::Text),
    Field::new("ID", Kind::Text),
    Field::new("Service", Kind::Text),
    Field::new("Tags", Kind::Texts),
    Field::new("Address", Kind::Text),
    Field::new("TaggedAddresses", Kind::Map(&Kind::Record(ADDRESS_FIELDS))),
    Field::new("Meta", Kind::Map(&Kind::Text)),
    Field::new("Port", Kind::Int),
    Field::new("SocketPath", Kind::Text),
    Field::new("Weights", Kind::Record(WEIGHTS_FIELDS)),
    Field::new("EnableTagOverride", Kind::Bool),
    Field::new("Proxy", Kind::Record(PROXY_FIELDS)),
    Field::new("Connect", Kind::Record(CONNECT_FIELDS)),
    Field::new("PeerName", Kind::Text),
];

const CHECK_FIELDS: &[Field] = &[
    Field::new("Node", Kind::Text),
    Field::new("CheckID", Kind::Text),
    Field::new("Name", Kind::Text),
    Field::new("Status", Kind::Text),
    Field::new("Notes", Kind::Text),
    Field::new("Output", Kind::Text),
    Field::new("ServiceID", Kind::Text),
    Field::new("ServiceName", Kind::Text),
    Field::new("ServiceTags", Kind::Texts),
    Field::new("Type", Kind::Text),
    Field::new("Interval", Kind::Text),
    Field::new("Timeout", Kind::Text),
    Field::new("ExposedPort", Kind::Int),
    Field::new("PeerName", Kind::Text),
];

const ADDRESS_FIELDS: &[Field] =
    &[Field::new("Address", Kind::Text), Field::new("Port", Kind::Int)];

const WEIGHTS_FIELDS: &[Field] =
    &[Field::new("Passing", Kind::Int), Field::new("Warning", Kind::Int)];

const CONNECT_FIELDS: &[Field] = &[Field::new("Native", Kind::Bool)];

const MESH_GATEWAY_FIELDS: &[Field] = &[Field::new("Mode", Kind::Text)];

const PROXY_FIELDS: &[Field] = &[
    Field::new("DestinationServiceName", Kind::Text),
    Field::new("DestinationServiceID", Kind::Text),
    Field::new("LocalServiceAddress", Kind::Text),
    Field::new("LocalServicePort", Kind::Int),
    Field::new("LocalServiceSocketPath", Kind::Text),
    Field::new("Mode", Kind::Text),
    Field::new("Upstreams", Kind::Records(UPSTREAM_FIELDS)),
    Field::new("MeshGateway", Kind::Record(MESH_GATEWAY_FIELDS)),
    Field::new("Expose", Kind::Record(EXPOSE_FIELDS)),
    Field::new("TransparentProxy", Kind::Record(TRANSPARENT_FIELDS)),
    Field::new("AccessLogs", Kind::Record(ACCESS_LOGS_FIELDS)),
    Field::new("EnvoyExtensions", Kind::Records(EXTENSION_FIELDS)),
];

const UPSTREAM_FIELDS: &[Field] = &[
    Field::new("DestinationType", Kind::Text),
    Field::new("DestinationNamespace", Kind::Text),
    Field::new("DestinationPartition", Kind::Text),
    Field::new("DestinationPeer", Kind::Text),
    Field::new("DestinationName", Kind::Text),
    Field::new("Datacenter", Kind::Text),
    Field::new("LocalBindAddress", Kind::Text),
    Field::new("LocalBindPort", Kind::Int),
    Field::new("LocalBindSocketPath", Kind::Text),
    Field::new("LocalBindSocketMode", Kind::Text),
    Field::new("MeshGateway", Kind::Record(MESH_GATEWAY_FIELDS)),
];

const EXPOSE_FIELDS: &[Field] =
    &[Field::new("Checks", Kind::Bool), Field::new("Paths", Kind::Records(EXPOSED_PATH_FIELDS))];

const EXPOSED_PATH_FIELDS: &[Field] = &[
    Field::new("ListenerPort", Kind::Int),
    Field::new("Path", Kind::Text),
    Field::new("LocalPathPort", Kind::Int),
    Field::new("Protocol", Kind::Text),
    Field::new("ParsedFromCheck", Kind::Bool),
];

const TRANSPARENT_FIELDS: &[Field] =
    &[Field::new("OutboundListenerPort", Kind::Int), Field::new("DialedDirectly", Kind::Bool)];

const ACCESS_LOGS_FIELDS: &[Field] = &[
    Field::new("Enabled", Kind::Bool),
    Field::new("DisableListenerLogs", Kind::Bool),
    Field::new("Type", Kind::Text),
    Field::new("Path", Kind::Text),
    Field::new("JSONFormat", Kind::Text),
    Field::new("TextFormat", Kind::Text),
];

const EXTENSION_FIELDS: &[Field] = &[
    Field::new("Name", Kind::Text),
    Field::new("Required", Kind::Bool),
    Field::new("ConsulVersion", Kind::Text),
    Field::new("EnvoyVersion", Kind::Text),
];
