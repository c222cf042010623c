//! Addresses and ports: where the program listens and what it tells of itself.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::config::address::{self, Listen, Place};
use crate::config::faults::Faults;
use crate::config::host::Host;
use crate::config::raw::Raw;
use crate::config::{Ports, Reach, Role, SecureDns};

/// The ports of a configuration.
///
/// # Errors
/// A port that must be on and is off, or bounds in the wrong order.
pub(super) fn ports(raw: &Raw, role: Role, faults: &mut Faults) -> Result<Ports, String> {
    let block = raw.block("ports");
    let mut port = |key: &str, otherwise: i64| {
        faults.port(&format!("ports.{key}"), Some(block.int(key).unwrap_or(otherwise)))
    };
    let ports = Ports {
        dns: port("dns", 8600),
        http: port("http", 8500),
        https: port("https", -1),
        server: port("server", 8300),
        grpc: port("grpc", if role.dev { 8502 } else { -1 }),
        grpc_tls: port("grpc_tls", if role.server { 8503 } else { -1 }),
        serf_lan: port("serf_lan", 8301),
        serf_wan: port("serf_wan", 8302),
        sidecar: (port("sidecar_min_port", 21_000), port("sidecar_max_port", 21_255)),
        expose: (port("expose_min_port", 21_500), port("expose_max_port", 21_755)),
    };
    let proxy = (port("proxy_min_port", 20_000), port("proxy_max_port", 20_255));
    if ports.server <= 0 {
        return Err("server-port must be greater than zero".to_owned());
    }
    if ports.serf_lan <= 0 {
        return Err("serf-lan-port must be greater than zero".to_owned());
    }
    for (name, (min, max)) in
        [("proxy", proxy), ("sidecar", ports.sidecar), ("expose", ports.expose)]
    {
        if max < min {
            return Err(format!(
                "{name}_min_port must be less than {name}_max_port. To disable, set both to zero."
            ));
        }
    }
    Ok(ports)
}

/// Addresses, and the node's addresses by purpose.
pub(super) struct Addresses {
    pub(super) reach: Reach,
    pub(super) tagged: BTreeMap<String, String>,
}

/// Where traffic is expected and what is told to others.
///
/// # Errors
/// The first address that makes no sense.
pub(super) fn addresses(
    raw: &Raw,
    ports: Ports,
    dev: bool,
    host: &Host,
    faults: &mut Faults,
) -> Result<Addresses, String> {
    let bind = bind(raw, dev, host, faults)?;
    for (key, name) in
        [("advertise_addr", "Advertise address"), ("advertise_addr_wan", "Advertise WAN address")]
    {
        if raw.text(key).is_some_and(address::is_any) {
            return Err(format!("{name} cannot be 0.0.0.0, :: or [::]"));
        }
    }
    let mut said = |key| address::ip(key, raw.text(key), host, faults);
    let mut advertise = said("advertise_addr").unwrap_or(bind);
    // Consul reads it twice, and tells a fault twice.
    said("advertise_addr");
    if advertise.is_unspecified() {
        advertise = address::announced(advertise, host)?;
    }
    let lan = Pair::of(advertise, said("advertise_addr_ipv4"), said("advertise_addr_ipv6"));
    lan.agree("advertise_addr")?;
    let advertise_wan = said("advertise_addr_wan").unwrap_or(advertise);
    let wan =
        Pair::of(advertise_wan, said("advertise_addr_wan_ipv4"), said("advertise_addr_wan_ipv6"));
    wan.agree("advertise_addr_wan")?;
    let client = address::ips(
        "client_addr",
        Some(raw.text("client_addr").unwrap_or("127.0.0.1")),
        host,
        faults,
    );
    let mut tagged = raw.text_map("tagged_addresses");
    lan.tag("lan", advertise, &mut tagged);
    wan.tag("wan", advertise_wan, &mut tagged);
    Ok(Addresses { reach: Reach { bind, advertise, advertise_wan, client, ports }, tagged })
}

fn bind(raw: &Raw, dev: bool, host: &Host, faults: &mut Faults) -> Result<IpAddr, String> {
    let said = raw.text("bind_addr").unwrap_or(if dev { "127.0.0.1" } else { "0.0.0.0" });
    let places = address::places("bind_addr", Some(said), host, faults);
    // Consul tells here what it has collected so far.
    faults.done()?;
    match places.as_slice() {
        [] => Err("bind_addr cannot be empty".to_owned()),
        [Place::Ip(ip)] => Ok(*ip),
        [Place::Unix(_)] => Err("bind_addr cannot be a unix socket".to_owned()),
        _ => Err("bind_addr cannot contain multiple addresses. Use 'addresses.{dns,http,https}' instead.".to_owned()),
    }
}

/// The addresses of one purpose, by family.
struct Pair {
    four: Option<IpAddr>,
    six: Option<IpAddr>,
}

impl Pair {
    fn of(address: IpAddr, four: Option<IpAddr>, six: Option<IpAddr>) -> Self {
        Self {
            four: four.or(address.is_ipv4().then_some(address)),
            six: six.or(address.is_ipv6().then_some(address)),
        }
    }

    fn agree(&self, key: &str) -> Result<(), String> {
        if self.four.is_some_and(|address| address.is_ipv6()) {
            return Err(format!("{key}_ipv4 must be an ipv4 address"));
        }
        if self.six.is_some_and(|address| address.is_ipv4()) {
            return Err(format!("{key}_ipv6 must be an ipv6 address"));
        }
        Ok(())
    }

    fn tag(&self, purpose: &str, address: IpAddr, tagged: &mut BTreeMap<String, String>) {
        tagged.insert(purpose.to_owned(), address.to_string());
        tagged.extend(self.four.map(|four| (format!("{purpose}_ipv4"), four.to_string())));
        tagged.extend(self.six.map(|six| (format!("{purpose}_ipv6"), six.to_string())));
    }
}

/// Where each interface for clients listens.
#[derive(Clone, Debug)]
pub(super) struct Listening {
    pub(super) dns: Vec<Listen>,
    pub(super) dns_secure: SecureDns,
    pub(super) http: Vec<Listen>,
    pub(super) https: Vec<Listen>,
}

/// Reads `addresses.*` over `client_addr`.
pub(super) fn listening(
    raw: &Raw,
    reach: &Reach,
    host: &Host,
    faults: &mut Faults,
    warnings: &mut Vec<String>,
) -> Listening {
    if reach.client.is_empty() {
        let told = "client_addr is empty, client services (DNS, HTTP, HTTPS, GRPC) will not be listening for connections";
        warnings.push(told.to_owned());
    }
    let (block, ports) = (raw.block("addresses"), raw.block("ports"));
    let secure = ["dns_tls", "dns_https", "dns_quic"].map(|key| {
        let port = faults.port(&format!("ports.{key}"), Some(ports.int(key).unwrap_or(-1)));
        if port < 0 {
            return Vec::new();
        }
        let own = address::places("addresses.dns", block.text("dns"), host, faults);
        super::tcp_only(&address::listens(&own, &reach.client, port))
    });
    let [tls, https, quic] = secure;
    let mut listens = |key: &str, port: i32| {
        let own = address::places(&format!("addresses.{key}"), block.text(key), host, faults);
        address::listens(&own, &reach.client, port)
    };
    Listening {
        dns: listens("dns", reach.ports.dns),
        dns_secure: SecureDns { tls, https, quic },
        http: listens("http", reach.ports.http),
        https: listens("https", reach.ports.https),
    }
}
