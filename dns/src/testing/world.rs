//! A world in lines. Words are separated by blanks; what a word cannot hold is written `%20`.
//!
//! ```text
//! set udp_answer_limit=5
//! node n1 10.0.0.1 id=… meta:key=value tagged:lan_ipv4=10.0.0.2
//! service n1 web1 web port=8080 addr=10.1.0.1 tags=a,b weights=1,2 tagged:lan_ipv4=10.1.0.2|80 ports=http:80*,grpc:90
//! service n1 web-proxy web-proxy proxy=web     service n1 own own native=true     service n1 ig ig kind=ingress-gateway
//! entry ingress-gateway ig {"Listeners":[{"Port":80,"Services":[{"Name":"web"}]}]}
//! check n1 web1 warning            (of a service; `-` instead of its id: of the node)
//! prepared my.query web ttl=3s near=n1 tags=a,!b regexp=^x$ template=true
//! ```

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use proconsul_anchors::acl::Authority;
use proconsul_anchors::caller::Caller;
use proconsul_anchors::change::{Change, Registration};
use proconsul_anchors::clock::Time;
use proconsul_anchors::index::{Index, Stamp};
use proconsul_anchors::prepared::{NAME_PREFIX_MATCH, PreparedQuery, ServiceQuery, Template};
use proconsul_anchors::query::Query;
use proconsul_anchors::record::{AnyRecord, ConfigEntry, RecordChange, When};
use proconsul_anchors::sealed::SealedSecret;
use proconsul_anchors::service::mesh::{CONNECT_PROXY, Mesh, Proxy};
use proconsul_anchors::service::{
    Check, Checked, Node, Rare, Service, ServiceAddress, ServicePort, Weights,
};

use crate::server::{Door, Look};
use crate::settings::{ServiceTtl, Settings, Zone};

/// An index and settings.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) index: Arc<Index>,
    pub(crate) settings: Settings,
}

struct Builder {
    index: Index,
    settings: Settings,
    service_ttl: BTreeMap<String, Duration>,
    nodes: BTreeMap<String, Node>,
}

impl World {
    /// Reads settings and registrations; other lines are left alone.
    pub(crate) fn read(text: &str) -> Self {
        let mut builder = Builder {
            index: Index::new(),
            settings: Settings::default(),
            service_ttl: BTreeMap::new(),
            nodes: BTreeMap::new(),
        };
        for line in text.lines().map(str::trim) {
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["set", setting] => builder.set(setting.split_once('=').unwrap()),
                ["node", name, address, more @ ..] => builder.node(name, address, more),
                ["service", node, id, name, more @ ..] => builder.service(node, id, name, more),
                ["check", node, service, status] => builder.check(node, service, status),
                ["entry", kind, name, body] => builder.entry(kind, name, body),
                ["prepared", name, service, more @ ..] => builder.prepared(name, service, more),
                _ => {}
            }
        }
        builder.settings.service_ttl = builder.service_ttl.into_iter().collect::<ServiceTtl>();
        Self { index: Arc::new(builder.index), settings: builder.settings }
    }
}

impl Builder {
    fn set(&mut self, (key, value): (&str, &str)) {
        let settings = &mut self.settings;
        let number = || value.parse().unwrap();
        let yes = value == "true";
        match key {
            "domain" => settings.domain = Zone::parse(value).unwrap(),
            "alt_domain" => settings.alt_domain = Some(Zone::parse(value).unwrap()),
            "node_ttl" => settings.node_ttl = duration(value),
            "only_passing" => settings.only_passing = yes,
            "udp_answer_limit" => settings.udp_answer_limit = number(),
            "a_record_limit" => settings.a_record_limit = number(),
            "enable_truncate" => settings.enable_truncate = yes,
            "disable_compression" => settings.disable_compression = yes,
            "enable_additional_node_meta_txt" => settings.enable_additional_node_meta_txt = yes,
            "translate_wan_addrs" => settings.translate_wan_addrs = yes,
            "soa:refresh" => settings.soa.refresh = value.parse().unwrap(),
            "soa:retry" => settings.soa.retry = value.parse().unwrap(),
            "soa:expire" => settings.soa.expire = value.parse().unwrap(),
            "soa:min_ttl" => settings.soa.min_ttl = value.parse().unwrap(),
            key => {
                let service = key.strip_prefix("service_ttl:").expect("a known setting");
                self.service_ttl.insert(service.to_owned(), duration(value));
            }
        }
    }

    fn node(&mut self, name: &str, address: &str, more: &[&str]) {
        let (mut meta, mut tagged) = (BTreeMap::new(), BTreeMap::new());
        let mut node =
            Node { name: plain(name).into(), address: plain(address).into(), ..Node::default() };
        node.datacenter = "dc1".into();
        for (key, value) in pairs(more) {
            match key.split_once(':') {
                Some(("meta", key)) => drop(meta.insert(plain(key), plain(value).into_boxed_str())),
                Some(("tagged", key)) => drop(tagged.insert(key.to_owned(), value.into())),
                _ => node.id = value.into(),
            }
        }
        node.meta = Some(meta.into());
        node.tagged_addresses = Some(tagged.into());
        self.nodes.insert(plain(name), node.clone());
        self.register(Registration { node, ..Registration::default() });
    }

    fn service(&mut self, node: &str, id: &str, name: &str, more: &[&str]) {
        let mut service =
            Service { id: plain(id).into(), name: plain(name).into(), ..Service::default() };
        let mut tagged = BTreeMap::new();
        for (key, value) in pairs(more) {
            match key {
                "port" => service.port = value.parse().unwrap(),
                "addr" => service.address = plain(value).into(),
                "tags" => {
                    service.tags = value.split(',').map(|tag| plain(tag).into_boxed_str()).collect()
                }
                "weights" => service.weights = weights(value),
                "meta:public" => {
                    service.meta = Some([("public".to_owned(), value.into())].into_iter().collect())
                }
                "ports" => {
                    service.rare = Some(Box::new(Rare { ports: ports(value), ..Rare::default() }))
                }
                "kind" => {
                    service.rare = Some(Box::new(Rare { kind: value.into(), ..Rare::default() }))
                }
                "proxy" => service.rare = Some(Box::new(proxy(value))),
                "native" => {
                    let mesh = Some(Arc::new(Mesh { native: true, ..Mesh::default() }));
                    service.rare = Some(Box::new(Rare { mesh, ..Rare::default() }));
                }
                key => {
                    let (address, port) = value.split_once('|').unwrap_or((value, "0"));
                    let address =
                        ServiceAddress { address: address.into(), port: port.parse().unwrap() };
                    tagged.insert(key.strip_prefix("tagged:").unwrap().to_owned(), address);
                }
            }
        }
        service.tagged_addresses = Some(tagged.into());
        let node = self.nodes[&plain(node)].clone();
        self.register(Registration { node, service: Some(service), ..Registration::default() });
    }

    fn check(&mut self, node: &str, service: &str, status: &str) {
        let of_service = || Checked { id: plain(service).into(), ..Checked::default() };
        let check = Check {
            id: format!("{service}-{status}").into(),
            status: status.into(),
            service: (service != "-").then(of_service),
            ..Check::default()
        };
        let node = self.nodes[&plain(node)].clone();
        self.register(Registration { node, checks: vec![check], ..Registration::default() });
    }

    fn prepared(&mut self, name: &str, service: &str, more: &[&str]) {
        let mut query = PreparedQuery {
            id: format!("00000000-0000-0000-0000-{:012}", self.index.revision()).into(),
            name: plain(name).into(),
            service: ServiceQuery { service: plain(service).into(), ..ServiceQuery::default() },
            ..PreparedQuery::default()
        };
        for (key, value) in pairs(more) {
            match key {
                "ttl" => query.dns_ttl = value.into(),
                "near" => query.service.near = value.into(),
                "tags" => {
                    let tags = value.split(',').map(|tag| plain(tag).into());
                    query.service.tags = Some(tags.collect());
                }
                "regexp" => query.template.regexp = plain(value).into(),
                _ => query.template = Template { kind: NAME_PREFIX_MATCH.into(), ..query.template },
            }
        }
        let record = AnyRecord::PreparedQuery(Box::new(query));
        self.apply(&Change::Records(vec![RecordChange::Put { record, when: When::Always }]));
    }

    fn entry(&mut self, kind: &str, name: &str, body: &str) {
        let entry = ConfigEntry { kind: kind.into(), name: name.into(), body: body.into() };
        let record = AnyRecord::ConfigEntry(Box::new(entry));
        self.apply(&Change::Records(vec![RecordChange::Put { record, when: When::Always }]));
    }

    fn register(&mut self, registration: Registration) {
        self.apply(&Change::Register(Box::new(registration)));
    }

    fn apply(&mut self, change: &Change) {
        let revision = self.index.revision() + 1;
        let stamp = Stamp { revision, seq: revision, at: Time(revision), salt: [0; 16] };
        assert_eq!(self.index.apply(&stamp, change).verdict, Ok(true), "{change:?}");
    }
}

impl Door for World {
    fn look(&self, _: Option<IpAddr>, _: &Query) -> Look {
        Look::Seen(Arc::clone(&self.index), Authority::open())
    }

    fn look_as(&self, caller: &Caller, query: &Query) -> Look {
        self.look(caller.address, query)
    }

    fn bearer(&self, _: Option<IpAddr>, _: &SealedSecret) -> Authority {
        Authority::open()
    }

    fn is_led(&self) -> bool {
        true
    }

    fn snapshot(&self) -> Arc<Index> {
        Arc::clone(&self.index)
    }

    fn now(&self) -> Time {
        Time(1_700_000_000_000_000_000)
    }
}

fn pairs<'a>(words: &'a [&'a str]) -> impl Iterator<Item = (&'a str, &'a str)> {
    words.iter().filter_map(|word| word.split_once('='))
}

/// A proxy that stands for a service.
fn proxy(of: &str) -> Rare {
    let proxy = Proxy { destination_service_name: of.into(), ..Proxy::default() };
    let mesh = Some(Arc::new(Mesh { proxy, ..Mesh::default() }));
    Rare { kind: CONNECT_PROXY.into(), mesh, ..Rare::default() }
}

fn weights(value: &str) -> Weights {
    let (passing, warning) = value.split_once(',').unwrap();
    Weights { passing: passing.parse().unwrap(), warning: warning.parse().unwrap() }
}

fn ports(value: &str) -> Vec<ServicePort> {
    let port = |text: &str| {
        let (name, number) = text.split_once(':').unwrap();
        let port = number.trim_end_matches('*').parse().unwrap();
        ServicePort { name: name.into(), port, default: number.ends_with('*') }
    };
    value.split(',').map(port).collect()
}

fn duration(text: &str) -> Duration {
    match text.strip_suffix("ms") {
        Some(number) => Duration::from_millis(number.parse().unwrap()),
        None => Duration::from_secs(text.trim_end_matches('s').parse().unwrap()),
    }
}

/// Undoes `%20`.
fn plain(word: &str) -> String {
    let mut pieces = word.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        bytes.push(u8::from_str_radix(&piece[..2], 16).unwrap());
        bytes.extend_from_slice(&piece.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap()
}
