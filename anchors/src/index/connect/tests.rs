//! The mesh told in lines: who reaches whom, and that no read of it falls or misses a change.

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;
use crate::change::{Change, Registration, Removal};
use crate::clock::Time;
use crate::index::{Stamp, Touched};
use crate::query::Query;
use crate::record::{RecordChange, When};
use crate::service::mesh::{CONNECT_PROXY, Mesh, Proxy};
use crate::service::{Check, Checked, Node, Rare};

#[derive(Default)]
struct Scope {
    index: Index,
    revision: u64,
}

impl Scope {
    fn told(history: &str) -> Self {
        let mut scope = Self::default();
        for line in history.lines().map(str::trim).filter(|line| !line.is_empty()) {
            scope.tell(line);
        }
        scope
    }

    fn tell(&mut self, line: &str) -> Touched {
        self.revision += 1;
        let (revision, at) = (self.revision, Time(self.revision));
        let stamp = Stamp { revision, seq: revision, at, salt: [3; 16] };
        let applied = self.index.apply(&stamp, &change(line));
        applied.verdict.unwrap();
        applied.touched
    }

    fn reaching(&self, service: &str) -> String {
        let found = self.index.reaching(&service.into());
        let shown = |row: &&Arc<Instance>| format!("{}/{}", row.node, row.service.id);
        found.iter().map(shown).collect::<Vec<_>>().join(" ")
    }

    fn address(&self, service: &str) -> String {
        let row = self.index.virtual_ip(&service.into());
        row.map(|row| row.record.address().to_string()).unwrap_or_default()
    }
}

/// `plain n1 web`, `native n1 web`, `proxy n1 web`, `proxy n1 id name web`, `gateway n1 tg terminating`, `link tg web *`,
/// `-link tg`, `enter ig web`, `-n1 web`, `check n1 web-proxy passing` …
fn change(line: &str) -> Change {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["plain", node, name] => register(node, name, name, |_| {}),
        ["native", node, name] => register(node, name, name, |rare| {
            rare.mesh = Some(Arc::new(Mesh { native: true, ..Mesh::default() }));
        }),
        ["proxy", node, of] => proxy(node, &format!("{of}-proxy"), &format!("{of}-proxy"), of),
        ["proxy", node, id, name, of] => proxy(node, id, name, of),
        ["gateway", node, name, kind] => {
            register(node, name, name, |rare| rare.kind = format!("{kind}-gateway").into())
        }
        ["check", node, id, status] => {
            let service = Some(Checked { id: (*id).into(), ..Checked::default() });
            let id = format!("{id}-up").as_str().into();
            let check = Check { id, status: (*status).into(), service, ..Check::default() };
            let node = Node { name: (*node).into(), ..Node::default() };
            let checks = vec![check];
            let skip_node_update = true;
            Change::Register(Box::new(Registration {
                node,
                skip_node_update,
                checks,
                ..Registration::default()
            }))
        }
        ["-", node, id] => {
            Change::Deregister(Removal::Service { node: (*node).into(), id: (*id).into() })
        }
        ["link", gateway, of @ ..] => {
            let of: Vec<_> = of.iter().map(|of| format!(r#"{{"Name":"{of}"}}"#)).collect();
            entry("terminating-gateway", gateway, &format!(r#"{{"Services":[{}]}}"#, of.join(",")))
        }
        ["enter", gateway, of] => {
            let listener = format!(r#"{{"Port":80,"Services":[{{"Name":"{of}"}}]}}"#);
            entry("ingress-gateway", gateway, &format!(r#"{{"Listeners":[{listener}]}}"#))
        }
        ["resolver", name] => entry("service-resolver", name, "{}"),
        ["-entry", kind, name] => {
            let key = ConfigEntry::key_of(kind, name).as_ref().into();
            let (table, when) = (TableId::ConfigEntry, When::Always);
            Change::Records(vec![RecordChange::Remove { table, key, when }])
        }
        other => panic!("no such change: {other:?}"),
    }
}

fn entry(kind: &str, name: &str, body: &str) -> Change {
    let entry = ConfigEntry { kind: kind.into(), name: name.into(), body: body.into() };
    let record = AnyRecord::ConfigEntry(Box::new(entry));
    Change::Records(vec![RecordChange::Put { record, when: When::Always }])
}

fn proxy(node: &str, id: &str, name: &str, of: &str) -> Change {
    register(node, id, name, |rare| {
        rare.kind = CONNECT_PROXY.into();
        let proxy = Proxy { destination_service_name: of.into(), ..Proxy::default() };
        rare.mesh = Some(Arc::new(Mesh { proxy, ..Mesh::default() }));
    })
}

fn register(node: &str, id: &str, name: &str, more: impl FnOnce(&mut Rare)) -> Change {
    let mut rare = Rare::default();
    more(&mut rare);
    let rare = (rare != Rare::default()).then(|| Box::new(rare));
    let service = Service { id: id.into(), name: name.into(), rare, ..Service::default() };
    let node = Node { name: node.into(), address: "10.0.0.1".into(), ..Node::default() };
    let service = Some(service);
    Change::Register(Box::new(Registration { node, service, ..Registration::default() }))
}

#[test]
fn proxies_native_instances_and_gateways_reach_a_service() {
    let mut scope = Scope::told(
        "plain n1 web
         proxy n2 web
         proxy n1 p other web
         native n3 web
         gateway n4 tg terminating",
    );
    assert_eq!(scope.reaching("web"), "n1/p n2/web-proxy n3/web");
    let steps = [
        ("link tg WEB", "n1/p n2/web-proxy n3/web n4/tg"),
        ("proxy n1 p other db", "n2/web-proxy n3/web n4/tg"),
        ("- n2 web-proxy", "n3/web n4/tg"),
        ("link tg *", "n3/web n4/tg"),
        ("- n1 web", "n3/web"),
        ("plain n3 web", "n4/tg"),
        ("-entry terminating-gateway tg", ""),
    ];
    for (line, reaching) in steps {
        scope.tell(line);
        assert_eq!(scope.reaching("web"), reaching, "{line}");
    }
}

#[test]
fn a_service_of_the_mesh_has_the_lowest_free_address() {
    let mut scope = Scope::told("plain n1 web\nproxy n1 web\nnative n1 db\nplain n1 plain");
    let all = |scope: &Scope| ["web", "db", "x", "plain"].map(|name| scope.address(name)).join(" ");
    assert_eq!(all(&scope), "240.0.0.1 240.0.0.2  ");
    let tagged = scope.index.service("web-proxy").unwrap().instances.values().next().cloned();
    let tagged = tagged.unwrap().service.tagged_addresses.clone().unwrap();
    assert_eq!(&*tagged.get(VIRTUAL_ADDRESS).unwrap().address, "240.0.0.1");
    let steps = [
        ("- n1 web-proxy", "240.0.0.1 240.0.0.2  "),
        ("- n1 web", " 240.0.0.2  "),
        ("resolver x", " 240.0.0.2 240.0.0.1 "),
        ("-entry service-resolver x", " 240.0.0.2  "),
        ("proxy n1 web", "240.0.0.1 240.0.0.2  "),
        ("link tg x plain", "240.0.0.1 240.0.0.2 240.0.0.3 240.0.0.4"),
        ("- n1 plain", "240.0.0.1 240.0.0.2 240.0.0.3 240.0.0.4"),
    ];
    for (line, addresses) in steps {
        scope.tell(line);
        assert_eq!(all(&scope), addresses, "{line}");
    }
}

#[test]
fn a_terminating_gateway_carries_the_addresses_of_its_links() {
    let mut scope = Scope::told("gateway n1 tg terminating\nlink tg a b");
    let tags = |scope: &Scope| {
        let row = scope.index.service("tg").unwrap().instances.values().next().unwrap().clone();
        let tagged = row.service.tagged_addresses.clone().unwrap_or_default();
        tagged.iter().map(|(tag, at)| format!("{tag}={}", at.address)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(tags(&scope), "consul-virtual:a=240.0.0.1 consul-virtual:b=240.0.0.2");
    scope.tell("link tg b");
    assert_eq!(tags(&scope), "consul-virtual:b=240.0.0.2");
}

fn random_line(rng: &mut StdRng) -> String {
    let mut pick = |of: &[&str]| of[rng.random_range(0..of.len())].to_owned();
    let (node, of) = (pick(&["n1", "n2"]), pick(&["web", "db"]));
    let (gateway, status) = (pick(&["tg", "ig"]), pick(&["passing", "critical"]));
    let linked = pick(&["web", "db", "*"]);
    match rng.random_range(0..13) {
        0 | 1 => format!("plain {node} {of}"),
        2 => format!("native {node} {of}"),
        3 => format!("proxy {node} {of}"),
        4 | 5 => format!("proxy {node} p shared {of}"),
        6 => format!("- {node} {of}"),
        7 => format!("- {node} p"),
        8 => format!("- {node} {of}-proxy"),
        9 => format!(
            "gateway {node} {gateway} {}",
            ["terminating", "ingress"][usize::from(gateway == "ig")]
        ),
        10 => format!("- {node} {gateway}"),
        11 if gateway == "tg" => format!("link tg {linked}"),
        11 => format!("enter ig {linked}"),
        12 if status == "passing" => "-entry terminating-gateway tg".to_owned(),
        _ => "-entry ingress-gateway ig".to_owned(),
    }
}

/// What a read shows, as far as a change of it has to be seen.
fn shown(index: &Index, query: &Query) -> Vec<(Caseless, Caseless, u64)> {
    let rows: Vec<Arc<Instance>> = match query {
        Query::Connect(name) | Query::HealthConnect(name) => {
            index.reaching(name).into_iter().cloned().collect()
        }
        Query::HealthIngress(name) => {
            let gateways = index.gateways_of(name, Gateway::Ingress);
            gateways.into_iter().flat_map(|row| row.instances.values()).cloned().collect()
        }
        other => panic!("{other:?} is none of the mesh's"),
    };
    rows.iter().map(|row| (row.node.clone(), row.service.id.clone(), row.modified)).collect()
}

#[test]
fn no_read_of_the_mesh_falls_or_misses_a_change() {
    let names = ["web", "db"].map(Caseless::from);
    let queries: Vec<Query> = names
        .iter()
        .flat_map(|name| {
            [Query::Connect, Query::HealthConnect, Query::HealthIngress].map(|of| of(name.clone()))
        })
        .collect();
    for seed in 0..60 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut scope = Scope::default();
        for _ in 0..80 {
            let before = scope.index.clone();
            let line = random_line(&mut rng);
            let touched = scope.tell(&line);
            for query in &queries {
                let (was, is) = (before.index_of(query), scope.index.index_of(query));
                assert!(is >= was, "seed {seed}: {line}: {query:?} fell from {was} to {is}");
                if shown(&before, query) != shown(&scope.index, query) {
                    assert!(is > was, "seed {seed}: {line}: {query:?} did not move");
                    let watched = before.watched_by(query);
                    let woken = watched.iter().any(|key| touched.keys.contains(key));
                    assert!(woken, "seed {seed}: {line}: {query:?} is not woken");
                }
            }
        }
        let rows: Vec<_> = {
            let mut rows: Vec<_> =
                scope.index.rows().map(|(id, value)| (id.to_key(), value)).collect();
            rows.sort();
            rows
        };
        let restored = Index::restore(rows.clone()).unwrap();
        for query in &queries {
            assert_eq!(restored.index_of(query), scope.index.index_of(query), "{query:?}");
            assert_eq!(shown(&restored, query), shown(&scope.index, query));
        }
    }
}
