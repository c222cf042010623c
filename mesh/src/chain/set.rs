//! The entries that have a say in a chain.

use std::collections::{BTreeMap, BTreeSet};

use crate::entries::proxy_defaults::ProxyDefaults;
use crate::entries::service_defaults::ServiceDefaults;
use crate::entries::service_resolver::ServiceResolver;
use crate::entries::service_router::ServiceRouter;
use crate::entries::service_splitter::ServiceSplitter;
use crate::library::{self, Library};

/// The entries, by the services' names.
#[derive(Debug, Default)]
pub(crate) struct Set {
    pub(crate) router: Option<ServiceRouter>,
    pub(crate) splitters: BTreeMap<String, ServiceSplitter>,
    pub(crate) resolvers: BTreeMap<String, ServiceResolver>,
    pub(crate) services: BTreeMap<String, ServiceDefaults>,
    pub(crate) proxies: Option<ProxyDefaults>,
}

// === impl Set ===

impl Set {
    /// Those that can be reached from a service's name.
    pub(crate) fn of(service: &str, library: &dyn Library) -> Self {
        let mut set = Self {
            router: library::router(library, service),
            proxies: library::proxy_defaults(library),
            ..Self::default()
        };
        let to_split = match &set.router {
            Some(router) => router.related(),
            None => BTreeSet::from([service.to_owned()]),
        };
        let split = reach(to_split, |name| {
            let splitter = library::splitter(library, name);
            let next = splitter.as_ref().map(ServiceSplitter::related).unwrap_or_default();
            set.splitters.extend(splitter.map(|splitter| (name.to_owned(), splitter)));
            next
        });
        let resolved = reach(split, |name| {
            let resolver = library::resolver(library, name);
            let next = resolver.as_ref().map(ServiceResolver::related).unwrap_or_default();
            set.resolvers.extend(resolver.map(|resolver| (name.to_owned(), resolver)));
            next
        });
        for name in resolved.into_iter().chain([service.to_owned()]) {
            let defaults = library::service_defaults(library, &name);
            set.services.extend(defaults.map(|defaults| (name, defaults)));
        }
        set
    }

    /// Whether no entry has a say.
    pub(crate) fn is_empty(&self) -> bool {
        self.has_no_way() && self.services.is_empty() && self.proxies.is_none()
    }

    /// Whether no entry leads anywhere.
    pub(crate) fn has_no_way(&self) -> bool {
        self.router.is_none() && self.splitters.is_empty() && self.resolvers.is_empty()
    }
}

/// All names that can be reached, each looked at once.
fn reach(
    mut todo: BTreeSet<String>,
    mut look: impl FnMut(&str) -> BTreeSet<String>,
) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    while let Some(name) = todo.pop_first() {
        if seen.contains(&name) {
            continue;
        }
        todo.extend(look(&name));
        seen.insert(name);
    }
    seen
}
