//! Every route of Consul's community edition, on one page.
//!
//! A path that ends in a slash stands for all that begin with it. A route that is not built yet answers 501 and says so; what
//! is not here answers Consul's 404, as do the enterprise edition's paths (clients take any other answer for that edition).

mod acl;
mod agent;
mod anchor;
mod bridge;
mod ca;
pub(crate) mod catalog;
mod changed;
pub(crate) mod config;
mod connect;
mod coordinate;
mod debug;
mod discovery_chain;
mod event;
mod explain;
mod health;
mod held;
mod intention;
mod kv;
mod metrics_proxy;
mod narrow;
mod operator;
mod process;
mod query;
mod receipt;
mod session;
mod sight;
mod snapshot;
mod status;
mod topology;
mod txn;
mod ui;
mod vet;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{LazyLock, OnceLock};

use http::Method;
use metrics::Histogram;

use crate::extract::Ask;
use crate::reject::Reject;
use crate::reply::Reply;

/// The name of the setting that keeps the configuration of autopilot: an object as `/v1/operator` prints it.
pub const AUTOPILOT_SETTING: &str = operator::AUTOPILOT;

/// A handler at work.
pub(crate) type Working = Pin<Box<dyn Future<Output = Result<Reply, Reject>> + Send>>;

/// A route: what is asked for, with which methods, and who answers.
pub(crate) struct Route {
    pub(crate) path: &'static str,
    /// Empty where the handler decides itself.
    pub(crate) methods: &'static [Method],
    pub(crate) run: fn(Ask, &'static Self) -> Working,
}

/// How long answers took, by method: made when the first is measured.
#[derive(Default)]
pub(crate) struct Timers([OnceLock<Histogram>; 4]);

/// What a path leads to.
pub(crate) enum Found {
    Route(&'static Route, &'static Timers),
    /// It lacks its last slash.
    Directory(String),
    Nothing,
}

/// The path of the one route whose requests are handed on to another server.
const METRICS_PROXY: &str = "/v1/internal/ui/metrics-proxy/";

impl Route {
    /// Whether the handler needs all of the request's head.
    pub(crate) fn hands_on(&self) -> bool {
        self.path == METRICS_PROXY
    }
}

const GET: &[Method] = &[Method::GET];
const PUT: &[Method] = &[Method::PUT];
const POST: &[Method] = &[Method::POST];
const DELETE: &[Method] = &[Method::DELETE];
const GET_PUT: &[Method] = &[Method::GET, Method::PUT];
const GET_POST: &[Method] = &[Method::GET, Method::POST];
const GET_DELETE: &[Method] = &[Method::GET, Method::DELETE];
const GET_PUT_DELETE: &[Method] = &[Method::GET, Method::PUT, Method::DELETE];
const KEYRING: &[Method] = &[Method::GET, Method::POST, Method::PUT, Method::DELETE];

/// A route whose handler is one of our pages.
macro_rules! page {
    ($path:literal, $methods:expr, $handler:path) => {
        Route { path: $path, methods: $methods, run: |ask, _| Box::pin($handler(ask)) }
    };
}

/// A route of the access control: it is closed while that is off.
macro_rules! acl {
    ($path:literal, $methods:expr, $handler:path) => {
        Route {
            path: $path,
            methods: $methods,
            run: |ask, _| Box::pin(acl::guarded(ask, $handler)),
        }
    };
}

/// A route whose handler takes what it needs of the request before it begins to wait.
macro_rules! watched {
    ($path:literal, $methods:expr, $handler:path) => {
        Route { path: $path, methods: $methods, run: |ask, _| $handler(ask) }
    };
}

/// A route that is not built yet.
const fn later(path: &'static str, methods: &'static [Method]) -> Route {
    Route { path, methods, run: |ask, route| Box::pin(not_built(ask, route)) }
}

async fn not_built(ask: Ask, route: &'static Route) -> Result<Reply, Reject> {
    Err(Reject::NotBuilt { method: ask.method, route: route.path })
}

async fn enterprise_utilization(_: Ask) -> Result<Reply, Reject> {
    Err(Reject::Utilization)
}

#[rustfmt::skip]
static ROUTES: &[Route] = &[
    // --- scopes and their anchors: ours ---
    page!("/v1/anchor/adjacencies", GET, anchor::adjacencies::all),
    page!("/v1/anchor/adjacency/request", PUT, anchor::adjacencies::request),
    page!("/v1/anchor/adjacency/accept", PUT, anchor::adjacencies::accept),
    page!("/v1/anchor/adjacency/", GET_DELETE, anchor::adjacencies::one),
    page!("/v1/anchor/resolve/", GET, anchor::resolve::resolve),
    page!("/v1/anchor/aliases", GET, anchor::resolve::aliases),
    page!("/v1/anchor/alias/", GET_PUT_DELETE, anchor::resolve::alias),
    page!("/v1/anchor/explain", GET, anchor::resolve::explain),
    page!("/v1/anchor/credentials", GET_PUT, anchor::credentials::all),
    page!("/v1/anchor/credential/", &[], anchor::credentials::one),
    page!("/v1/anchor/lineage", GET, anchor::lineage::list),
    page!("/v1/anchor/lineage/", GET, anchor::lineage::one),
    page!("/v1/anchor/scopes", GET, anchor::scopes::all),
    page!("/v1/anchor/scope/", &[], anchor::scopes::one),
    page!("/v1/anchor/policies", GET, anchor::policies::list),
    page!("/v1/anchor/policies/explain", PUT, anchor::policies::explain),
    page!("/v1/anchor/policy/", GET_PUT_DELETE, anchor::policies::one),
    page!("/v1/anchor/record/", &[], anchor::record::one),
    page!("/v1/anchor/taxonomy", GET, anchor::taxonomy::taxonomy),
    page!("/v1/anchor/jwks", GET, anchor::taxonomy::jwks),
    page!("/v1/anchor/attestation/", GET, anchor::taxonomy::attestation),

    // --- access control ---
    acl!("/v1/acl/bootstrap", PUT, acl::bootstrap::first),
    acl!("/v1/acl/login", POST, acl::login::login),
    acl!("/v1/acl/logout", POST, acl::login::logout),
    acl!("/v1/acl/replication", GET, acl::replication),
    acl!("/v1/acl/policies", GET, acl::policy::list),
    acl!("/v1/acl/policy", PUT, acl::policy::create),
    acl!("/v1/acl/policy/", GET_PUT_DELETE, acl::policy::one),
    acl!("/v1/acl/policy/name/", GET, acl::policy::named),
    acl!("/v1/acl/roles", GET, acl::role::list),
    acl!("/v1/acl/role", PUT, acl::role::create),
    acl!("/v1/acl/role/name/", GET, acl::role::named),
    acl!("/v1/acl/role/", GET_PUT_DELETE, acl::role::one),
    acl!("/v1/acl/binding-rules", GET, acl::binding_rule::list),
    acl!("/v1/acl/binding-rule", PUT, acl::binding_rule::create),
    acl!("/v1/acl/binding-rule/", GET_PUT_DELETE, acl::binding_rule::one),
    acl!("/v1/acl/auth-methods", GET, acl::auth_method::list),
    acl!("/v1/acl/auth-method", PUT, acl::auth_method::create),
    acl!("/v1/acl/auth-method/", GET_PUT_DELETE, acl::auth_method::one),
    acl!("/v1/acl/tokens", GET, acl::token::list),
    acl!("/v1/acl/token", PUT, acl::token::create),
    acl!("/v1/acl/token/self", GET, acl::token::own),
    acl!("/v1/acl/token/", GET_PUT_DELETE, acl::token::one),
    acl!("/v1/acl/templated-policies", GET, acl::templated::list),
    acl!("/v1/acl/templated-policy/name/", GET, acl::templated::named),
    acl!("/v1/acl/templated-policy/preview/", POST, acl::templated::preview),
    acl!("/v1/agent/token/", PUT, acl::agent_token::set),
    acl!("/v1/internal/acl/authorize", POST, acl::authorize::authorize),

    // --- catalog ---
    page!("/v1/catalog/register", PUT, catalog::register),
    page!("/v1/catalog/deregister", PUT, catalog::deregister),
    page!("/v1/catalog/datacenters", GET, catalog::datacenters),
    page!("/v1/catalog/nodes", GET, catalog::nodes),
    page!("/v1/catalog/services", GET, catalog::services),
    page!("/v1/catalog/service/", GET, catalog::service),
    page!("/v1/catalog/connect/", GET, connect::catalog),
    page!("/v1/catalog/node/", GET, catalog::node),
    page!("/v1/catalog/node-services/", GET, catalog::node_services),
    page!("/v1/catalog/gateway-services/", GET, connect::gateway_services),

    // --- health ---
    page!("/v1/health/node/", GET, health::node),
    page!("/v1/health/checks/", GET, health::checks),
    page!("/v1/health/state/", GET, health::state),
    watched!("/v1/health/service/", GET, health::service),
    page!("/v1/health/connect/", GET, connect::health),
    page!("/v1/health/ingress/", GET, connect::ingress),

    // --- keys and sessions ---
    page!("/v1/kv/", GET_PUT_DELETE, kv::key),
    page!("/v1/session/create", PUT, session::create),
    page!("/v1/session/destroy/", PUT, session::destroy),
    page!("/v1/session/renew/", PUT, session::renew),
    page!("/v1/session/info/", GET, session::info),
    page!("/v1/session/node/", GET, session::node),
    page!("/v1/session/list", GET, session::list),

    // --- status ---
    page!("/v1/status/leader", GET, status::leader),
    page!("/v1/status/peers", GET, status::peers),

    // --- agent ---
    page!("/v1/agent/self", GET, process::itself),
    page!("/v1/agent/host", GET, process::host),
    page!("/v1/agent/version", GET, process::version),
    page!("/v1/agent/members", GET, process::members),
    page!("/v1/agent/metrics", GET, process::metrics),
    page!("/v1/agent/metrics/stream", GET, process::metrics_stream),
    page!("/v1/agent/monitor", GET, process::monitor),
    page!("/v1/agent/reload", PUT, process::reload),
    page!("/v1/agent/leave", PUT, process::leave),
    page!("/v1/agent/join/", PUT, process::join),
    page!("/v1/agent/force-leave/", PUT, process::force_leave),
    page!("/v1/agent/maintenance", PUT, agent::maintenance),
    page!("/v1/agent/services", GET, agent::services),
    page!("/v1/agent/service/", GET, agent::service),
    page!("/v1/agent/service/register", PUT, agent::register_service),
    page!("/v1/agent/service/deregister/", PUT, agent::deregister_service),
    page!("/v1/agent/service/maintenance/", PUT, agent::service_maintenance),
    page!("/v1/agent/health/service/id/", GET, agent::health_by_id),
    page!("/v1/agent/health/service/name/", GET, agent::health_by_name),
    page!("/v1/agent/checks", GET, agent::checks),
    page!("/v1/agent/check/register", PUT, agent::register_check),
    page!("/v1/agent/check/deregister/", PUT, agent::deregister_check),
    page!("/v1/agent/check/pass/", PUT, agent::pass),
    page!("/v1/agent/check/warn/", PUT, agent::warn),
    page!("/v1/agent/check/fail/", PUT, agent::fail),
    page!("/v1/agent/check/update/", PUT, agent::update),

    // --- operator ---
    page!("/v1/operator/raft/configuration", GET, operator::raft_configuration),
    page!("/v1/operator/raft/transfer-leader", POST, operator::transfer_leader),
    page!("/v1/operator/raft/peer", DELETE, operator::remove_peer),
    page!("/v1/operator/keyring", KEYRING, operator::keyring),
    page!("/v1/operator/usage", GET, operator::usage),
    page!("/v1/operator/utilization", GET, enterprise_utilization),
    page!("/v1/operator/autopilot/configuration", GET_PUT, operator::autopilot_configuration),
    page!("/v1/operator/autopilot/health", GET, operator::autopilot_health),
    page!("/v1/operator/autopilot/state", GET, operator::autopilot_state),
    page!("/v1/snapshot", GET_PUT, snapshot::snapshot),

    // --- our own ---
    page!("/v1/anchor/bridge/", GET, bridge::export),
    page!("/v1/anchor/dns/explain", GET, explain::explain),

    // --- the program itself ---
    page!("/debug/pprof/", &[], debug::pprof),

    // --- the web interface ---
    page!("/v1/internal/ui/nodes", GET, ui::nodes),
    page!("/v1/internal/ui/node/", GET, ui::node),
    page!("/v1/internal/ui/services", GET, ui::services),
    page!("/v1/internal/ui/exported-services", GET, ui::exported_services),
    page!("/v1/internal/ui/catalog-overview", GET, ui::catalog_overview),
    page!("/v1/internal/ui/gateway-services-nodes/", GET, topology::gateway_services),
    page!("/v1/internal/ui/gateway-intentions/", GET, topology::gateway_intentions),
    page!("/v1/internal/ui/service-topology/", GET, topology::service_topology),
    page!("/v1/internal/ui/metrics-proxy/", GET, metrics_proxy::metrics_proxy),
    page!("/v1/internal/federation-states", GET, ui::federation_states),
    page!("/v1/internal/federation-states/mesh-gateways", GET, ui::federated_gateways),
    page!("/v1/internal/federation-state/", GET, ui::federation_state),

    // --- not built yet ---
    page!("/v1/agent/connect/authorize", POST, ca::authorize),
    page!("/v1/agent/connect/ca/roots", GET, ca::agent_roots),
    page!("/v1/agent/connect/ca/leaf/", GET, ca::leaf),
    page!("/v1/config/", GET_DELETE, config::entry),
    page!("/v1/config", PUT, config::apply),
    page!("/v1/connect/ca/configuration", GET_PUT, ca::configuration),
    page!("/v1/connect/ca/roots", GET, ca::ca_roots),
    page!("/v1/connect/intentions", GET_POST, intention::all),
    page!("/v1/connect/intentions/match", GET, intention::matching),
    page!("/v1/connect/intentions/check", GET, intention::check),
    page!("/v1/connect/intentions/exact", GET_PUT_DELETE, intention::exact),
    page!("/v1/connect/intentions/", GET_PUT_DELETE, intention::by_id),
    page!("/v1/coordinate/datacenters", GET, coordinate::datacenters),
    page!("/v1/coordinate/nodes", GET, coordinate::nodes),
    page!("/v1/coordinate/node/", GET, coordinate::node),
    page!("/v1/coordinate/update", PUT, coordinate::update),
    page!("/v1/discovery-chain/", GET_POST, discovery_chain::read),
    page!("/v1/event/fire/", PUT, event::fire),
    page!("/v1/event/list", GET, event::list),
    page!("/v1/exported-services", GET, config::exported_services),
    page!("/v1/imported-services", GET, config::imported_services),
    page!("/v1/internal/service-virtual-ip", PUT, connect::assign_virtual_ips),
    later("/v1/peering/token", POST),
    later("/v1/peering/establish", POST),
    later("/v1/peering/", GET_DELETE),
    later("/v1/peerings", GET),
    page!("/v1/query", GET_POST, query::all),
    page!("/v1/query/", &[], query::one),
    page!("/v1/txn", PUT, txn::apply),
];

static BY_PATH: LazyLock<HashMap<&'static str, (&'static Route, Timers)>> =
    LazyLock::new(|| ROUTES.iter().map(|route| (route.path, (route, Timers::default()))).collect());

// === impl Timers ===

impl Timers {
    /// The timer of answers to this method on this route.
    pub(crate) fn of(&self, route: &Route, method: &Method) -> &Histogram {
        let slot = match *method {
            Method::GET => 0,
            Method::PUT => 1,
            Method::DELETE => 2,
            _ => 3,
        };
        self.0[slot].get_or_init(|| {
            let path = route.path[1..].replace('/', "_");
            metrics::histogram!("consul.api.http", "method" => method.to_string(), "path" => path)
        })
    }
}

/// The route of a path: itself, else the longest beginning of it that ends in a slash.
pub(crate) fn find(path: &str) -> Found {
    if let Some((route, timers)) = BY_PATH.get(path) {
        return Found::Route(route, timers);
    }
    let mut end = path.len();
    while let Some(slash) = path[..end].rfind('/') {
        if let Some((route, timers)) = BY_PATH.get(&path[..=slash]) {
            return Found::Route(route, timers);
        }
        end = slash;
    }
    let directory = format!("{path}/");
    if BY_PATH.contains_key(directory.as_str()) {
        Found::Directory(directory)
    } else {
        Found::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_the_longest_route() {
        let cases = [
            ("/v1/kv/", "/v1/kv/"),
            ("/v1/kv/a/b", "/v1/kv/"),
            ("/v1/kv", "elsewhere /v1/kv/"),
            ("/v1/acl/policy", "/v1/acl/policy"),
            ("/v1/acl/policy/name/x", "/v1/acl/policy/name/"),
            ("/v1/acl/policy/x", "/v1/acl/policy/"),
            ("/v1/catalog/service", "elsewhere /v1/catalog/service/"),
            ("/v1/config", "/v1/config"),
            ("/v1/operator/license", "nothing"),
            ("/v1/namespaces", "nothing"),
            ("/v1/catalog/nodes/", "nothing"),
            ("/", "nothing"),
        ];
        for (path, expected) in cases {
            let found = match find(path) {
                Found::Route(route, _) => route.path.to_owned(),
                Found::Directory(directory) => format!("elsewhere {directory}"),
                Found::Nothing => "nothing".to_owned(),
            };
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn no_route_stands_twice() {
        assert_eq!(BY_PATH.len(), ROUTES.len());
    }
}
