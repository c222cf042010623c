//! What `/v1/agent` prints of the process: itself, its members, its version.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::control::Stats;
use crate::settings::Identity;

/// `/v1/agent/self`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SelfOut<'a> {
    pub(crate) config: ConfigOut<'a>,
    pub(crate) debug_config: &'a RawValue,
    pub(crate) coord: CoordOut,
    pub(crate) member: MemberOut<'a>,
    pub(crate) stats: Stats,
    pub(crate) meta: MetaOut<'a>,
}

/// The configuration in short.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ConfigOut<'a> {
    datacenter: &'a str,
    primary_datacenter: &'a str,
    node_name: &'a str,
    #[serde(rename = "NodeID")]
    node_id: &'a str,
    revision: &'a str,
    server: bool,
    version: &'a str,
    build_date: &'a str,
    bind_addr: &'a str,
}

/// A network coordinate; ours is the origin.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CoordOut {
    vec: [f64; 8],
    error: f64,
    adjustment: f64,
    height: f64,
}

/// The node's own meta.
#[derive(Serialize)]
pub(crate) struct MetaOut<'a> {
    #[serde(rename = "consul-network-segment")]
    segment: &'static str,
    #[serde(rename = "consul-version")]
    version: &'a str,
}

/// A member of the datacenter.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct MemberOut<'a> {
    name: String,
    addr: &'a str,
    port: i64,
    tags: BTreeMap<&'a str, &'a str>,
    status: u8,
    protocol_min: u8,
    protocol_max: u8,
    protocol_cur: u8,
    delegate_min: u8,
    delegate_max: u8,
    delegate_cur: u8,
}

/// `/v1/agent/version`.
#[derive(Serialize)]
pub(crate) struct VersionOut<'a> {
    #[serde(rename = "SHA")]
    sha: &'a str,
    #[serde(rename = "BuildDate")]
    build_date: &'a str,
    #[serde(rename = "HumanVersion")]
    human_version: &'a str,
    #[serde(rename = "FIPS")]
    fips: &'static str,
}

/// Alive, in Consul's numbers.
const ALIVE: u8 = 1;

/// The tag that only the members of the own datacenter show.
const WAN_PORT_TAG: &str = "wan_join_port";

impl<'a> From<&'a Identity> for ConfigOut<'a> {
    fn from(identity: &'a Identity) -> Self {
        Self {
            datacenter: &identity.datacenter,
            primary_datacenter: &identity.primary_datacenter,
            node_name: &identity.node,
            node_id: &identity.node_id,
            revision: &identity.revision,
            server: identity.server,
            version: &identity.version,
            build_date: &identity.build_date,
            bind_addr: &identity.bind,
        }
    }
}

impl<'a> MemberOut<'a> {
    /// The member as its datacenter knows it.
    pub(crate) fn lan(identity: &'a Identity) -> Self {
        let tags = identity
            .member_tags
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        Self {
            name: identity.node.to_string(),
            addr: &identity.advertise,
            port: identity.serf_lan_port,
            tags,
            status: ALIVE,
            protocol_min: 1,
            protocol_max: 5,
            protocol_cur: 2,
            delegate_min: 2,
            delegate_max: 5,
            delegate_cur: 4,
        }
    }

    /// The member as other datacenters know it.
    pub(crate) fn wan(identity: &'a Identity) -> Self {
        let mut member = Self::lan(identity);
        member.name = format!("{}.{}", identity.node, identity.datacenter);
        let port = member.tags.remove(WAN_PORT_TAG).and_then(|port| port.parse().ok());
        member.port = port.unwrap_or(member.port);
        member
    }
}

impl CoordOut {
    /// Where a node is that has not heard of others.
    pub(crate) const ORIGIN: Self =
        Self { vec: [0.0; 8], error: 1.5, adjustment: 0.0, height: 0.00001 };
}

impl<'a> From<&'a Identity> for MetaOut<'a> {
    fn from(identity: &'a Identity) -> Self {
        Self { segment: "", version: &identity.version }
    }
}

impl<'a> From<&'a Identity> for VersionOut<'a> {
    fn from(identity: &'a Identity) -> Self {
        Self {
            sha: &identity.revision,
            build_date: &identity.build_date,
            human_version: &identity.version,
            fips: "",
        }
    }
}
