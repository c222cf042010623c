//! The hash by which `/v1/agent/service/` tells one content of a service from another (`X-Consul-Contenthash`).
//!
//! Consul hashes the record that it prints, by its structure: FNV-1 of 64 bits over each value, a list's hashes chained in
//! their order, a struct's and a map's XORed, each with the hash of its name. Clients that kept a hash of Consul's find the
//! same content here.

mod mesh;

use crate::pairs::Pairs;
use crate::service::mesh::{CONNECT_PROXY, Mesh};
use crate::service::{Service, ServiceAddress, ServicePort};

const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// FNV-1, not the more usual FNV-1a.
fn fnv(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(OFFSET_BASIS, |hash, byte| hash.wrapping_mul(PRIME) ^ u64::from(byte))
}

fn text(text: &str) -> u64 {
    fnv(text.bytes())
}

/// Go's `int`, `int64` and `uint64`; a nil pointer counts as 0.
fn number(number: i64) -> u64 {
    fnv(number.to_le_bytes())
}

fn flag(flag: bool) -> u64 {
    fnv([u8::from(flag)])
}

fn chained(first: u64, then: u64) -> u64 {
    fnv(first.to_le_bytes().into_iter().chain(then.to_le_bytes()))
}

fn list(items: impl Iterator<Item = u64>) -> u64 {
    items.fold(0, chained)
}

fn map<V>(pairs: Option<&Pairs<V>>, value: impl Fn(&V) -> u64) -> u64 {
    let pairs = pairs.into_iter().flat_map(Pairs::iter);
    pairs.fold(0, |hash, (key, of)| hash ^ chained(text(key), value(of)))
}

fn record<const N: usize>(name: &str, fields: [(&str, u64); N]) -> u64 {
    fields.iter().fold(text(name), |hash, (field, value)| hash ^ chained(text(field), *value))
}

/// The hash of a service of the agent in hex digits, without leading zeros.
pub(super) fn of(service: &Service) -> String {
    let rare = service.rare.as_deref();
    let none = Mesh::default();
    let part = service.mesh().unwrap_or(&none);
    // No pointer to the mesh's parts is a number 0 to Consul.
    let proxies = service.kind() == CONNECT_PROXY || service.is_gateway();
    let proxy = if proxies { mesh::proxy(&part.proxy) } else { number(0) };
    let native = if part.native { mesh::native() } else { number(0) };
    let hash = record(
        "AgentService",
        [
            ("Kind", text(service.kind())),
            ("ID", text(service.id.as_str())),
            ("Service", text(service.name.as_str())),
            ("Tags", list(service.tags.iter().map(|tag| text(tag)))),
            ("Meta", map(service.meta.as_ref(), |value| text(value))),
            ("Port", number(service.default_port())),
            ("Ports", list(service.ports().iter().map(port))),
            ("Address", text(&service.address)),
            ("SocketPath", text(rare.map_or("", |rare| &rare.socket_path))),
            ("TaggedAddresses", map(service.tagged_addresses.as_ref(), address)),
            ("Weights", weights(service)),
            ("EnableTagOverride", flag(service.enable_tag_override)),
            ("CreateIndex", number(0)),
            ("ModifyIndex", number(0)),
            ("ContentHash", text("")),
            ("Proxy", proxy),
            ("Connect", native),
            ("PeerName", text("")),
        ],
    );
    format!("{hash:x}")
}

fn port(port: &ServicePort) -> u64 {
    record(
        "ServicePort",
        [("Name", text(&port.name)), ("Port", number(port.port)), ("Default", flag(port.default))],
    )
}

fn address(address: &ServiceAddress) -> u64 {
    record("ServiceAddress", [("Address", text(&address.address)), ("Port", number(address.port))])
}

fn weights(service: &Service) -> u64 {
    let weights = service.weights;
    record(
        "AgentWeights",
        [("Passing", number(weights.passing)), ("Warning", number(weights.warning))],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Weights;

    /// What the real Consul 1.22.7 says of it.
    #[test]
    fn the_hash_is_consuls() {
        let service = Service {
            id: "foo".into(),
            name: "foo".into(),
            tags: ["bar", "baz"].into_iter().collect(),
            port: 8000,
            weights: Weights::default(),
            ..Service::default()
        };
        assert_eq!(of(&service), "c4bb6737c185ed93");
    }
}
