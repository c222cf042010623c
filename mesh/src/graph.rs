//! Whether a write or a deletion leaves every chain, gateway and intention in order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::chain::{Chain, DEFAULT, Overrides, Place, Set, compile};
use crate::entries::exported_services::ExportedServices;
use crate::entries::ingress_gateway::IngressGateway;
use crate::entries::service_intentions::ServiceIntentions;
use crate::entries::shared::{WILDCARD, is_http_like};
use crate::entries::{Body, Entry, Kind};
use crate::library::{self, Library, Proposed};
use crate::text::{Invalid, Reasons, Verdict, quote, refuse};

/// Whether an entry may be written; `former` is the one that it replaces.
///
/// # Errors
/// What it would break.
pub fn check_write(
    library: &dyn Library,
    entry: &Arc<Entry>,
    former: Option<&Entry>,
) -> Result<(), Invalid> {
    match &entry.body {
        Body::ProxyDefaults(body) => {
            check_permissive(library, &body.mutual_tls, former.map(mode_of))?;
        }
        Body::ServiceDefaults(body) => {
            check_permissive(library, &body.mutual_tls, former.map(mode_of))?;
        }
        Body::IngressGateway(_) => check_clash(library, entry, Kind::TerminatingGateway)?,
        Body::TerminatingGateway(_) => check_clash(library, entry, Kind::IngressGateway)?,
        Body::ServiceIntentions(body) => check_providers(library, body)?,
        _ => {}
    }
    let after = Proposed {
        base: library,
        kind: entry.kind(),
        name: entry.name(),
        entry: Some(entry.clone()),
    };
    Graph { before: library, after: &after }.check(entry.kind(), entry.name(), Some(entry))
}

/// Whether an entry that is there may go.
///
/// # Errors
/// What that would break.
pub fn check_delete(library: &dyn Library, kind: Kind, name: &str) -> Result<(), Invalid> {
    if kind == Kind::JwtProvider {
        check_unreferenced(library, name)?;
    }
    let after = Proposed { base: library, kind, name, entry: None };
    Graph { before: library, after: &after }.check(kind, name, None)
}

fn mode_of(entry: &Entry) -> &str {
    match &entry.body {
        Body::ProxyDefaults(body) => &body.mutual_tls,
        Body::ServiceDefaults(body) => &body.mutual_tls,
        _ => "",
    }
}

fn check_permissive(library: &dyn Library, mode: &str, former: Option<&str>) -> Verdict {
    if mode != "permissive" || former == Some(mode) {
        return Ok(());
    }
    let mesh = library.entry(Kind::Mesh, "mesh");
    let allowed =
        mesh.is_some_and(|mesh| matches!(&mesh.body, Body::Mesh(body) if body.allow_permissive));
    if allowed {
        return Ok(());
    }
    refuse!(
        "cannot set MutualTLSMode=permissive because AllowEnablingPermissiveMutualTLS=false in the mesh config entry"
    )
}

fn check_clash(library: &dyn Library, entry: &Entry, other: Kind) -> Verdict {
    if library.entry(other, entry.name()).is_none() {
        return Ok(());
    }
    let (kind, name) = (quote(entry.kind().as_str()), quote(entry.name()));
    refuse!(
        "cannot create a {kind} config entry with name {name}, a {} config entry with that name already exists",
        quote(other.as_str())
    )
}

fn check_providers(library: &dyn Library, intentions: &ServiceIntentions) -> Verdict {
    let mut reasons = Reasons::default();
    for name in intentions.providers() {
        if library.entry(Kind::JwtProvider, name).is_none() {
            reasons.add(format!("Referenced JWT Provider does not exist. Provider Name: {name}"));
        }
    }
    reasons.verdict()
}

fn check_unreferenced(library: &dyn Library, provider: &str) -> Verdict {
    for entry in library.entries(Kind::ServiceIntentions) {
        let Body::ServiceIntentions(body) = &entry.body else { continue };
        if body.providers().contains(provider) {
            let intention = &body.name;
            refuse!(
                "cannot delete jwt provider config entry referenced by an intention. Provider name: {provider}, intention name: {intention}"
            );
        }
    }
    Ok(())
}

/// What is to be looked at after a write.
#[derive(Default)]
struct Affected {
    services: BTreeSet<String>,
    gateways: Vec<IngressGateway>,
    intentions: Vec<ServiceIntentions>,
    /// Whether gateways must speak exactly what their services speak.
    strict: bool,
}

/// The entries before and after a write.
struct Graph<'a> {
    before: &'a dyn Library,
    after: &'a dyn Library,
}

// === impl Graph ===

impl Graph<'_> {
    fn check(&self, kind: Kind, name: &str, entry: Option<&Entry>) -> Verdict {
        if let Some(Body::ExportedServices(body)) = entry.map(|entry| &entry.body) {
            let exported = exported(self.before, body);
            return exported.iter().try_for_each(|name| check_exportable(self.before, name));
        }
        let Some(affected) = self.affected(kind, name, entry) else { return Ok(()) };
        let exports = library::exports(self.after);
        let mut chains: BTreeMap<&str, Chain> = BTreeMap::new();
        // What is wrong with its own chain is told before what is wrong with those of others.
        let own = affected.services.get(name);
        let others = affected.services.iter().filter(|service| *service != name);
        for service in own.into_iter().chain(others) {
            let chain = compiled(self.after, service)?;
            self.check_export(exports.as_ref(), service, &chain)?;
            chains.insert(service, chain);
        }
        check_gateways(&affected, &chains)?;
        check_intentions(&affected, &chains)
    }

    /// What a write touches; `None`: nothing.
    fn affected(&self, kind: Kind, name: &str, entry: Option<&Entry>) -> Option<Affected> {
        let mut affected = Affected::default();
        match (kind, entry.map(|entry| &entry.body)) {
            (Kind::Mesh | Kind::ExportedServices, _)
            | (Kind::ServiceIntentions | Kind::IngressGateway, None) => return None,
            (_, Some(Body::ServiceIntentions(body))) => affected.intentions.push((**body).clone()),
            (_, Some(Body::IngressGateway(body))) => {
                affected.gateways.push((**body).clone());
                affected.strict = true;
            }
            (Kind::SamenessGroup, _) => {
                affected.services.extend(names(self.before, Kind::ServiceResolver))
            }
            (Kind::ProxyDefaults, _) => {
                for kind in [Kind::ServiceRouter, Kind::ServiceSplitter, Kind::ServiceResolver] {
                    affected.services.extend(names(self.before, kind));
                }
                affected.gateways = gateways(self.before);
                affected.intentions = intentions(self.before);
            }
            _ => {
                affected.intentions = intentions(self.before);
                affected.services.insert(name.to_owned());
                affected.services.extend(linked(self.before, name));
                affected.gateways = gateways(self.before);
                affected.gateways.retain(|gateway| gateway.related().contains(name));
            }
        }
        let behind = affected.gateways.iter().flat_map(IngressGateway::related);
        let meant = affected.intentions.iter().map(|intentions| intentions.name.clone());
        affected.services.extend(behind.chain(meant).collect::<Vec<_>>());
        Some(affected)
    }

    /// Whether what other clusters use of a service stays as they know it.
    fn check_export(
        &self,
        exports: Option<&ExportedServices>,
        service: &str,
        chain: &Chain,
    ) -> Verdict {
        let named = |exports: &&ExportedServices| {
            exports.services.iter().any(|exported| {
                (exported.name == service || exported.name == WILDCARD)
                    && exported.consumers.iter().any(|consumer| !consumer.peer.is_empty())
            })
        };
        if exports.filter(named).is_none() {
            return Ok(());
        }
        check_exportable(self.after, service)?;
        if is_http_like(&chain.protocol) {
            return Ok(());
        }
        let before = compiled(self.before, service).map_err(|reason| {
            let service = quote(service);
            reason.under(format!("error compiling current discovery chain for {service}: "))
        })?;
        let known = ends(&before);
        let unknown = ends(chain).into_iter().find(|(place, _)| !known.contains_key(place));
        if let Some((_, target)) = unknown {
            refuse!(
                "peer exported service {} uses protocol={} and cannot introduce new discovery chain targets like {}",
                quote(service),
                quote(&chain.protocol),
                quote(&target)
            );
        }
        Ok(())
    }
}

fn names(library: &dyn Library, kind: Kind) -> Vec<String> {
    library.entries(kind).iter().map(|entry| entry.name().to_owned()).collect()
}

fn gateways(library: &dyn Library) -> Vec<IngressGateway> {
    let entries = library.entries(Kind::IngressGateway);
    let bodies = entries.iter().map(|entry| match &entry.body {
        Body::IngressGateway(body) => Some((**body).clone()),
        _ => None,
    });
    bodies.flatten().collect()
}

fn intentions(library: &dyn Library) -> Vec<ServiceIntentions> {
    let entries = library.entries(Kind::ServiceIntentions);
    let bodies = entries.iter().map(|entry| match &entry.body {
        Body::ServiceIntentions(body) => Some((**body).clone()),
        _ => None,
    });
    bodies.flatten().collect()
}

/// The services that are exported and whose chains may lead elsewhere.
fn exported(library: &dyn Library, exports: &ExportedServices) -> BTreeSet<String> {
    let named = exports.services.iter().map(|service| service.name.clone());
    let mut exported: BTreeSet<String> = named.collect();
    if exported.remove(WILDCARD) {
        for kind in [Kind::ServiceRouter, Kind::ServiceSplitter, Kind::ServiceResolver] {
            exported.extend(names(library, kind));
        }
    }
    exported
}

/// The services whose routers, splitters or resolvers lead to this one.
fn linked(library: &dyn Library, name: &str) -> Vec<String> {
    let kinds = [Kind::ServiceRouter, Kind::ServiceSplitter, Kind::ServiceResolver];
    let entries = kinds.iter().flat_map(|kind| library.entries(*kind));
    let leading = entries.filter(|entry| match &entry.body {
        Body::ServiceRouter(body) => body.related().contains(name),
        Body::ServiceSplitter(body) => body.related().contains(name),
        Body::ServiceResolver(body) => body.related().contains(name),
        _ => false,
    });
    leading.map(|entry| entry.name().to_owned()).collect()
}

/// A chain for the sake of what is wrong with it.
fn compiled(library: &dyn Library, service: &str) -> Result<Chain, Invalid> {
    let place = Place { datacenter: "dc1".to_owned(), trust_domain: "consul".to_owned() };
    compile(service, &place, &Overrides::default(), &Set::of(service, library))
}

/// The places where a chain ends, failover left out, each with the target there.
fn ends(chain: &Chain) -> BTreeMap<(String, String, String), String> {
    let resolvers = chain.nodes.values().filter_map(|node| node.resolver.as_ref());
    let spare: BTreeSet<&String> = resolvers
        .filter_map(|resolver| resolver.failover.as_ref())
        .flat_map(|failover| &failover.targets)
        .collect();
    let targets = chain.targets.iter().filter(|(id, _)| !spare.contains(id));
    let place = |target: &crate::chain::Target| {
        (target.service.clone(), target.datacenter.clone(), target.peer.clone())
    };
    targets.map(|(id, target)| (place(target), id.clone())).collect()
}

/// Whether nothing of a service's chain leaves this cluster.
fn check_exportable(library: &dyn Library, service: &str) -> Verdict {
    let told = quote(service);
    for resolver in Set::of(service, library).resolvers.values() {
        if let Some(redirect) = &resolver.redirect {
            if !redirect.datacenter.is_empty() {
                refuse!("peer exported service {told} contains cross-datacenter resolver redirect");
            }
            if !redirect.peer.is_empty() {
                refuse!("peer exported service {told} contains cross-peer resolver redirect");
            }
        }
        let away = resolver.failover.values().any(|failover| {
            !failover.datacenters.is_empty()
                || failover.targets.iter().any(|target| !target.datacenter.is_empty())
        });
        if away {
            refuse!("peer exported service {told} contains cross-datacenter failover");
        }
    }
    Ok(())
}

fn check_gateways(affected: &Affected, chains: &BTreeMap<&str, Chain>) -> Verdict {
    let listeners = affected.gateways.iter().flat_map(|gateway| gateway.listeners.iter());
    for listener in listeners {
        for service in listener.services.iter().filter(|service| service.name != WILDCARD) {
            let Some(chain) = chains.get(service.name.as_str()) else { continue };
            let (expected, spoken) = (&listener.protocol, &chain.protocol);
            let plain = chain.nodes.get(&chain.start).is_some_and(|node| node.kind == "resolver");
            if spoken != expected && (affected.strict || expected != "tcp" || !plain) {
                refuse!(
                    "service {} has protocol {}, which does not match defined listener protocol {}",
                    quote(&service.name),
                    quote(spoken),
                    quote(expected)
                );
            }
        }
    }
    Ok(())
}

fn check_intentions(affected: &Affected, chains: &BTreeMap<&str, Chain>) -> Verdict {
    for intentions in &affected.intentions {
        if intentions.name == WILDCARD || !intentions.has_permissions() {
            continue;
        }
        let chain = chains.get(intentions.name.as_str());
        let protocol = chain.map_or(DEFAULT, |chain| &chain.protocol);
        if !is_http_like(protocol) {
            refuse!(
                "service {} has protocol {}, which is incompatible with L7 intentions permissions",
                quote(&intentions.name),
                quote(protocol)
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
