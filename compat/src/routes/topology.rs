//! `/v1/internal/ui/service-topology/` and the pages of gateways: who speaks with whom in the mesh.

use std::collections::{BTreeMap, BTreeSet};

use proconsul_anchors::acl::{Act, Authority};
use proconsul_anchors::index::connect::{Gateway, Link};
use proconsul_anchors::index::{Index, Instance, NodeRow};
use proconsul_anchors::name::Caseless;
use proconsul_anchors::query::Query;
use proconsul_anchors::record::{ConfigEntry, TableId, VirtualIp};
use proconsul_anchors::service::mesh::CONNECT_PROXY;
use proconsul_mesh::chain::{Compiled, Place, Wishes};
use proconsul_mesh::intentions::{Shown, Side, matching};

use crate::blocking;
use crate::extract::{Ask, ReadOptions, Tenancy};
use crate::reject::{OperatorFault, Reject};
use crate::reply::{Meta, Reply};
use crate::routes::intention::{may_read, unsaid};
use crate::wire::catalog::instances;
use crate::wire::entries::Shelf;
use crate::wire::ui::{DecisionOut, NeighbourOut, Summaries, SummaryOut, TopologyOut};

/// The service that every server registers, which takes no part in the mesh.
const OWN_SERVICE: &str = "consul";
const INGRESS: &str = "ingress-gateway";
const API_GATEWAY: &str = "api-gateway";
/// Every service.
const ANY: &str = "*";
const TRANSPARENT: &str = "transparent";
const PREPARED_QUERY: &str = "prepared_query";
const EXTERNAL_SOURCE: &str = "external-source";

// Why a service is another's neighbour, in Consul's words.
const REGISTERED: &str = "proxy-registration";
const BY_INTENTION: &str = "specific-intention";
const BY_WILDCARD: &str = "wildcard-intention";
const BY_DEFAULT: &str = "default-allow";
const BY_ROUTING: &str = "routing-config";

// === gateways ===

/// `GET /v1/internal/ui/gateway-services-nodes/<gateway>`.
pub(crate) async fn gateway_services(ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let options = ask.read_options()?;
    let name = ask.named(Reject::MissingGatewayName)?.to_owned();
    list_services(&ask, &options, &name).await.map_err(Reject::queried)
}

async fn list_services(ask: &Ask, options: &ReadOptions, name: &str) -> Result<Reply, Reject> {
    let index = ask.site.handle.snapshot();
    let linked = index.links_of(name).map(|linked| linked.links).unwrap_or_default();
    let of_links = linked.iter().map(|link| Query::Health(Caseless::from(&*link.service)));
    let any = index.links_any(name);
    let query = Query::Several(of_links.chain([Query::GatewayServices { any }]).collect());
    drop(index);
    let answer = blocking::read(&ask.site, &ask.caller, options, &query).await?;
    let authority = &answer.authority;
    authority.demand(Act::service_read(name))?;
    let (mut summaries, mut left_out) = (Summaries::default(), false);
    for link in answer.at.links_of(name).map(|linked| linked.links).unwrap_or_default() {
        if !authority.allows(Act::service_read(&link.service)) {
            left_out = true;
            continue;
        }
        summaries.lead_to(&link.service, addresses(ask, &link));
        let service = answer.at.service(&link.service);
        for (node, row) in service.iter().flat_map(|service| instances(&answer.at, service)) {
            if authority.allows(Act::node_read(node.node.name.as_str())) {
                summaries.add(node, row);
            } else {
                left_out = true;
            }
        }
    }
    let meta = Meta::of(&answer).filtered(authority, left_out);
    Ok(Reply::json(&summaries.plain()).meta(meta))
}

/// Where a service is asked for behind an ingress gateway.
fn addresses(ask: &Ask, link: &Link) -> impl Iterator<Item = String> {
    let datacenter = &ask.site.settings.identity.datacenter;
    let usual = ask.site.settings.domains.iter();
    let usual = usual.map(|domain| format!("{}.ingress.{datacenter}.{domain}", link.service));
    let hosts: Vec<String> = if link.hosts.is_empty() {
        usual.collect()
    } else {
        link.hosts.iter().map(ToString::to_string).collect()
    };
    let port = link.port;
    let listens = port != 0;
    let hosts = hosts.into_iter().filter(move |_| listens);
    hosts.map(move |host| format!("{}:{port}", host.trim_end_matches('.')))
}

/// `GET /v1/internal/ui/gateway-intentions/<gateway>`.
pub(crate) async fn gateway_intentions(ask: Ask) -> Result<Reply, Reject> {
    let options = ask.read_options()?;
    ask.refuse_enterprise(Tenancy::Both)?;
    let name = ask.named(Reject::MissingGatewayName)?.to_owned();
    list_intentions(&ask, &options, &name).await.map_err(Reject::queried)
}

async fn list_intentions(ask: &Ask, options: &ReadOptions, name: &str) -> Result<Reply, Reject> {
    let any = ask.site.handle.snapshot().links_any(name);
    let tables = [Query::GatewayServices { any }, Query::Table(TableId::ConfigEntry)];
    let query = Query::Several(tables.into());
    let answer = blocking::read(&ask.site, &ask.caller, options, &query).await?;
    answer.authority.demand(Act::service_read(name))?;
    let (mut seen, mut kept, mut left_out) = (BTreeSet::new(), Vec::new(), false);
    let has_instances = |name: &str| answer.at.service(name).is_some();
    for link in answer.at.links_of(name).map(|linked| linked.links).unwrap_or_default() {
        let shelf = Shelf(&answer.at);
        for intention in matching(&shelf, Side::Destination, &link.service, &has_instances) {
            // Consul tells them apart by their ids, which those of configuration entries do not have.
            let value = serde_json::to_value(&intention).expect("it has text keys only");
            if !seen.insert(value.get("ID").cloned().unwrap_or_default().to_string()) {
                continue;
            }
            if may_read(&answer.authority, &intention) {
                kept.push(intention);
            } else {
                left_out = true;
            }
        }
    }
    let meta = Meta::of(&answer).filtered(&answer.authority, left_out);
    Ok(Reply::json(&kept).meta(meta))
}

// === topology ===

/// `GET /v1/internal/ui/service-topology/<service>`.
pub(crate) async fn service_topology(ask: Ask) -> Result<Reply, Reject> {
    let options = ask.read_options()?;
    ask.refuse_enterprise(Tenancy::Both)?;
    let name = ask.named(Reject::MissingServiceName)?.to_owned();
    let kind = ask.params.given("kind").ok_or(OperatorFault::MissingServiceKind)?.to_owned();
    if !matches!(kind.as_str(), "" | INGRESS | API_GATEWAY) {
        return Err(OperatorFault::ServiceKind(kind).into());
    }
    topology(&ask, &options, &name, &kind).await.map_err(Reject::queried)
}

async fn topology(
    ask: &Ask,
    options: &ReadOptions,
    name: &str,
    kind: &str,
) -> Result<Reply, Reject> {
    let tables = [
        Query::Nodes,
        Query::Services { by_node_meta: false },
        Query::Checks { by_node_meta: false },
        Query::Table(TableId::ConfigEntry),
    ];
    let query = Query::Several(tables.into());
    let answer = blocking::read(&ask.site, &ask.caller, options, &query).await?;
    answer.authority.demand(Act::service_read(name))?;
    let key = ConfigEntry::key_of(API_GATEWAY, name);
    if kind == API_GATEWAY && answer.at.record::<ConfigEntry>(&key).is_none() {
        return Err(OperatorFault::NoApiGateway.into());
    }
    let mut map = Map {
        index: &answer.at,
        authority: &answer.authority,
        datacenter: &ask.site.settings.identity.datacenter,
        default: unsaid(ask),
        name,
        left_out: false,
    };
    let (fully, touched) = map.transparency(kind);
    let (upstreams, downstreams) = (map.upstreams(touched), map.downstreams());
    let form = TopologyOut {
        protocol: map.protocol(kind),
        transparent_proxy: fully,
        upstreams,
        downstreams,
        filtered: map.left_out,
    };
    let meta = Meta::of(&answer).filtered(&answer.authority, map.left_out);
    Ok(Reply::json(&form).meta(meta))
}

/// What is looked at around one service.
struct Map<'a> {
    index: &'a Index,
    authority: &'a Authority,
    datacenter: &'a str,
    /// Whether what no intention speaks of may speak.
    default: bool,
    name: &'a str,
    left_out: bool,
}

/// Neighbours by name: why they are there, and what intentions say.
type Neighbours = BTreeMap<String, (&'static str, DecisionOut)>;

impl Map<'_> {
    /// Whether all proxies of the service are transparent, and whether it speaks to whom intentions let it.
    fn transparency(&self, kind: &str) -> (bool, bool) {
        let row = self.index.connect(self.name).filter(|_| kind.is_empty());
        let (mut all, mut some) = (row.is_some_and(|row| !row.instances.is_empty()), false);
        for instance in row.iter().flat_map(|row| row.instances.values()) {
            let Some(mesh) = instance.service.mesh() else { continue };
            let transparent = &*mesh.proxy.mode == TRANSPARENT;
            all &= transparent;
            some |= transparent || mesh.native;
        }
        (all, some)
    }

    fn protocol(&self, kind: &str) -> String {
        if kind == INGRESS {
            let linked = self.index.links_of(self.name);
            return linked.map_or("", |linked| spoken(&linked.links)).to_owned();
        }
        let chain = self.chain(self.name).filter(|_| kind.is_empty());
        chain.map(|chain| chain.protocol().to_owned()).unwrap_or_default()
    }

    fn chain(&self, service: &str) -> Option<Compiled> {
        let place = Place { datacenter: self.datacenter.to_owned(), trust_domain: String::new() };
        Compiled::of(service, &place, &Wishes::default(), &Shelf(self.index)).ok()
    }

    fn intentions(&self, side: Side) -> Vec<Shown> {
        let has_instances = |name: &str| self.index.service(name).is_some();
        matching(&Shelf(self.index), side, self.name, &has_instances)
    }

    fn upstreams(&mut self, by_intention: bool) -> Vec<NeighbourOut> {
        let intentions = self.intentions(Side::Source);
        let decide = |name: &str, permissions| {
            decide(&intentions, name, Shown::destination, self.default, permissions)
        };
        let own = self.index.connect(self.name);
        let mut found: Neighbours = own
            .iter()
            .flat_map(|row| row.instances.values())
            .flat_map(|instance| upstreams_of(instance))
            .map(|name| (name.to_owned(), (REGISTERED, decide(name, false))))
            .collect();
        found.extend(
            self.entered(self.name)
                .map(|name| (name.to_owned(), (REGISTERED, decide(&name, false)))),
        );
        if by_intention {
            let virtual_ones = self.index.records::<VirtualIp>();
            let virtual_ones = virtual_ones.map(|row| row.record.service.as_str().to_owned());
            let mut names: BTreeSet<String> = virtual_ones.collect();
            names.extend(self.candidates(&[""]));
            for name in names.into_iter().filter(|name| name != self.name) {
                let decision = decide(&name, true);
                if decision.allowed && !found.contains_key(&name) {
                    let source = source_of(&decision);
                    found.insert(name.clone(), (source, decide(&name, false)));
                }
            }
        }
        let (summaries, instances) = self.summarize(&found, |_, _| true);
        let mut shown = neighbours(summaries, &found);
        for name in found.keys().filter(|name| !instances.contains(*name) && self.is_routed(name)) {
            shown.push(NeighbourOut {
                summary: SummaryOut::named(name, self.datacenter),
                source: BY_ROUTING,
                intention: found.get(name).map(|(_, said)| said.clone()).unwrap_or_default(),
            });
        }
        shown
    }

    fn downstreams(&mut self) -> Vec<NeighbourOut> {
        let intentions = self.intentions(Side::Destination);
        let decide = |name: &str, permissions| {
            decide(&intentions, name, Shown::source, self.default, permissions)
        };
        let mut found = Neighbours::new();
        for target in self.leading_here() {
            for name in self.registered_downstreams(&target) {
                let decision = decide(&name, false);
                found.insert(name, (REGISTERED, decision));
            }
        }
        for name in self.candidates(&["", INGRESS]) {
            let decision = decide(&name, true);
            if decision.allowed && !found.contains_key(&name) {
                let source = source_of(&decision);
                found.insert(name.clone(), (source, decide(&name, false)));
            }
        }
        let open = self.transparent_among(&found);
        let (summaries, _) =
            self.summarize(&found, |name, source| source == REGISTERED || open.contains(name));
        neighbours(summaries, &found)
    }

    /// Services of these kinds but this one.
    fn candidates(&self, kinds: &[&str]) -> Vec<String> {
        let mut names: Vec<String> = self
            .index
            .services()
            .filter(|row| row.instances.values().any(|row| kinds.contains(&row.service.kind())))
            .map(|row| row.name.as_str().to_owned())
            .collect();
        names.retain(|name| name != OWN_SERVICE && name != self.name);
        names
    }

    /// The service, and those whose requests are led to it.
    fn leading_here(&self) -> BTreeSet<String> {
        let kinds = ["service-router", "service-splitter", "service-resolver"];
        let entries = self.index.records::<ConfigEntry>();
        let routed = entries.filter(|row| kinds.contains(&&*row.record.kind));
        let names: BTreeSet<String> = routed.map(|row| row.record.name.to_string()).collect();
        let leads = |name: &String| {
            self.chain(name).is_some_and(|chain| chain.targets().any(|target| target == self.name))
        };
        names.into_iter().chain([self.name.to_owned()]).filter(leads).collect()
    }

    /// The services whose proxies name a service as their upstream.
    fn registered_downstreams(&self, service: &str) -> BTreeSet<String> {
        let all = self.index.services().flat_map(|row| row.instances.values());
        let of = all.filter(|instance| upstreams_of(instance).any(|name| name == service));
        let proxied = of.filter_map(|instance| Some(behind(instance)?.to_owned()));
        let entries = self.index.records::<ConfigEntry>();
        let gateways = entries.filter(|row| &*row.record.kind == INGRESS);
        let gateways = gateways.map(|row| row.record.name.to_string());
        let leading = gateways.filter(|name| self.entered(name).any(|link| link == service));
        proxied.chain(leading).collect()
    }

    /// The services that an ingress gateway leads to.
    fn entered(&self, gateway: &str) -> impl Iterator<Item = String> + use<> {
        let linked = self.index.links_of(gateway);
        let links = linked.filter(|linked| linked.kind == Gateway::Ingress);
        let links = links.map(|linked| linked.links).unwrap_or_default();
        links.into_iter().map(|link| link.service.into_string())
    }

    /// Those among neighbours that speak to whom intentions let them.
    fn transparent_among(&self, found: &Neighbours) -> BTreeSet<String> {
        let is_open = |name: &&String| {
            let row = self.index.connect(name);
            row.iter().flat_map(|row| row.instances.values()).any(|instance| {
                let mesh = instance.service.mesh();
                mesh.is_some_and(|mesh| mesh.native || &*mesh.proxy.mode == TRANSPARENT)
            })
        };
        found.keys().filter(is_open).cloned().collect()
    }

    /// Summaries of the neighbours' instances and of their proxies, as far as the caller may see them; and who has instances.
    fn summarize(
        &mut self,
        found: &Neighbours,
        wanted: impl Fn(&str, &str) -> bool,
    ) -> (Vec<SummaryOut>, BTreeSet<String>) {
        let (mut summaries, mut there) = (Summaries::default(), BTreeSet::new());
        let index = self.index;
        let mut taken: BTreeSet<(&str, &str)> = BTreeSet::new();
        for (name, (source, _)) in found {
            if !wanted(name, source) {
                continue;
            }
            let own = index.service(name);
            let own = own.iter().flat_map(|service| instances(index, service));
            let reaching = index.connect(name);
            let reaching = reaching.iter().flat_map(|row| row.instances.iter());
            let reaching =
                reaching.filter_map(|((node, _), row)| Some((&**index.node(node)?, &**row)));
            for (node, row) in own.chain(reaching) {
                let place = (node.node.name.as_str(), row.service.id.as_str());
                if !taken.insert(place) {
                    continue;
                }
                if self.may_see(node, row) {
                    there.insert(row.service.name.as_str().to_owned());
                    summaries.add(node, row);
                } else {
                    self.left_out = true;
                }
            }
        }
        (summaries.of_services(), there)
    }

    fn may_see(&self, node: &NodeRow, row: &Instance) -> bool {
        self.authority.allows(Act::node_read(node.node.name.as_str()))
            && self.authority.allows(Act::service_read(row.service.name.as_str()))
    }

    /// Whether requests to a name are led by configuration alone.
    fn is_routed(&self, name: &str) -> bool {
        ["service-router", "service-splitter", "service-resolver"].into_iter().any(|kind| {
            self.index.record::<ConfigEntry>(&ConfigEntry::key_of(kind, name)).is_some()
        })
    }
}

/// The services that a proxy names as its upstreams.
fn upstreams_of(instance: &Instance) -> impl Iterator<Item = &str> {
    let mesh = instance.service.mesh();
    let upstreams = mesh.into_iter().flat_map(|mesh| &mesh.proxy.upstreams);
    let services = upstreams.filter(|upstream| &*upstream.destination_type != PREPARED_QUERY);
    services.map(|upstream| &*upstream.destination_name)
}

/// The service that a proxy stands for.
fn behind(instance: &Instance) -> Option<&str> {
    let mesh = instance.service.mesh()?;
    (instance.service.kind() == CONNECT_PROXY).then_some(&*mesh.proxy.destination_service_name)
}

fn neighbours(summaries: Vec<SummaryOut>, found: &Neighbours) -> Vec<NeighbourOut> {
    let form = |summary: SummaryOut| {
        let (source, intention) = found.get(summary.name()).cloned().unwrap_or_default();
        NeighbourOut { summary, source, intention }
    };
    summaries.into_iter().map(form).collect()
}

/// What the first intention that speaks of a name says.
fn decide(
    intentions: &[Shown],
    name: &str,
    end: fn(&Shown) -> &str,
    default: bool,
    allow_permissions: bool,
) -> DecisionOut {
    let speaks = |intention: &&Shown| {
        !intention.is_foreign() && (end(intention) == name || end(intention) == ANY)
    };
    let decision = DecisionOut { default_allow: default, ..DecisionOut::default() };
    let Some(intention) = intentions.iter().find(speaks) else {
        return DecisionOut { allowed: default, ..decision };
    };
    let has_permissions = intention.has_permissions();
    DecisionOut {
        allowed: if has_permissions { allow_permissions } else { intention.allows() },
        has_permissions,
        external_source: intention.meta().get(EXTERNAL_SOURCE).cloned().unwrap_or_default(),
        has_exact: intention.source() != ANY && intention.destination() != ANY,
        ..decision
    }
}

fn source_of(decision: &DecisionOut) -> &'static str {
    match decision {
        DecisionOut { has_exact: true, .. } => BY_INTENTION,
        DecisionOut { default_allow: true, .. } => BY_DEFAULT,
        _ => BY_WILDCARD,
    }
}

/// What is spoken at an ingress gateway: `http` when nothing else is.
fn spoken(links: &[Link]) -> &'static str {
    let is_http = |link: &Link| matches!(&*link.protocol, "http" | "http2" | "grpc");
    if !links.is_empty() && links.iter().all(is_http) { "http" } else { "tcp" }
}
