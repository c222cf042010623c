//! The schemas of the mesh's records.

use super::schema::{Field, Kind, Schema};

/// A record of `/v1/connect/intentions`.
pub static INTENTION: Schema = Schema {
    fields: &[
        Field::new("ID", Kind::Text),
        Field::new("Description", Kind::Text),
        Field::new("SourceNS", Kind::Text),
        Field::new("SourceName", Kind::Text),
        Field::new("DestinationNS", Kind::Text),
        Field::new("DestinationName", Kind::Text),
        Field::new("SourcePartition", Kind::Text),
        Field::new("DestinationPartition", Kind::Text),
        Field::new("SourcePeer", Kind::Text),
        Field::new("SourceSamenessGroup", Kind::Text),
        Field::new("SourceType", Kind::Text),
        Field::new("Action", Kind::Text),
        Field::new("Meta", Kind::Map(&Kind::Text)),
        Field::new("Precedence", Kind::Int),
    ],
};

/// A record of `/v1/config/service-defaults`.
pub static SERVICE_DEFAULTS: Schema = Schema {
    fields: &[
        Field::new("Kind", Kind::Text),
        Field::new("Name", Kind::Text),
        Field::new("Protocol", Kind::Text),
        Field::new("Mode", Kind::Text),
        Field::new("TransparentProxy", Kind::Record(TRANSPARENT_FIELDS)),
        Field::new("MutualTLSMode", Kind::Text),
        Field::new("MeshGateway", Kind::Record(GATEWAY_FIELDS)),
        Field::new("Expose", Kind::Record(EXPOSE_FIELDS)),
        Field::new("ExternalSNI", Kind::Text),
        Field::new("UpstreamConfig", Kind::Record(UPSTREAMS_FIELDS)),
        Field::new("Destination", Kind::Record(DESTINATION_FIELDS)),
        Field::new("MaxInboundConnections", Kind::Int),
        Field::new("LocalConnectTimeoutMs", Kind::Int),
        Field::new("LocalRequestTimeoutMs", Kind::Int),
        Field::new("BalanceInboundConnections", Kind::Text),
        Field::new("EnvoyExtensions", Kind::Records(EXTENSION_FIELDS)),
        Field::new("Meta", Kind::Map(&Kind::Text)),
        Field::new("Hash", Kind::Uint(u64::MAX)),
        Field::new("MaxRequestHeadersKB", Kind::Uint(u32::MAX as u64)),
    ],
};

const TRANSPARENT_FIELDS: &[Field] =
    &[Field::new("OutboundListenerPort", Kind::Int), Field::new("DialedDirectly", Kind::Bool)];

const GATEWAY_FIELDS: &[Field] = &[Field::new("Mode", Kind::Text)];

const EXPOSE_FIELDS: &[Field] =
    &[Field::new("Checks", Kind::Bool), Field::new("Paths", Kind::Records(PATH_FIELDS))];

const PATH_FIELDS: &[Field] = &[
    Field::new("ListenerPort", Kind::Int),
    Field::new("Path", Kind::Text),
    Field::new("LocalPathPort", Kind::Int),
    Field::new("Protocol", Kind::Text),
    Field::new("ParsedFromCheck", Kind::Bool),
];

const UPSTREAMS_FIELDS: &[Field] = &[
    Field::new("Overrides", Kind::Records(UPSTREAM_FIELDS)),
    Field::new("Defaults", Kind::Record(UPSTREAM_FIELDS)),
];

const UPSTREAM_FIELDS: &[Field] = &[
    Field::new("Name", Kind::Text),
    Field::new("Peer", Kind::Text),
    Field::new("EnvoyListenerJSON", Kind::Text),
    Field::new("EnvoyClusterJSON", Kind::Text),
    Field::new("Protocol", Kind::Text),
    Field::new("ConnectTimeoutMs", Kind::Int),
    Field::new("MeshGateway", Kind::Record(GATEWAY_FIELDS)),
    Field::new("BalanceOutboundConnections", Kind::Text),
];

const DESTINATION_FIELDS: &[Field] =
    &[Field::new("Addresses", Kind::Texts), Field::new("Port", Kind::Int)];

const EXTENSION_FIELDS: &[Field] = &[
    Field::new("Name", Kind::Text),
    Field::new("Required", Kind::Bool),
    Field::new("ConsulVersion", Kind::Text),
    Field::new("EnvoyVersion", Kind::Text),
];
