//! Where entries are looked up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::entries::exported_services::{DEFAULT, ExportedServices};
use crate::entries::proxy_defaults::{GLOBAL, ProxyDefaults};
use crate::entries::service_defaults::ServiceDefaults;
use crate::entries::service_intentions::ServiceIntentions;
use crate::entries::service_resolver::ServiceResolver;
use crate::entries::service_router::ServiceRouter;
use crate::entries::service_splitter::ServiceSplitter;
use crate::entries::{Body, Entry, Kind};

/// All entries that there are.
pub trait Library {
    /// The entry of this kind and name.
    fn entry(&self, kind: Kind, name: &str) -> Option<Arc<Entry>>;

    /// The entries of a kind, by name.
    fn entries(&self, kind: Kind) -> Vec<Arc<Entry>>;
}

/// A library as it would be after one write.
pub(crate) struct Proposed<'a> {
    pub(crate) base: &'a dyn Library,
    pub(crate) kind: Kind,
    pub(crate) name: &'a str,
    /// `None`: it goes.
    pub(crate) entry: Option<Arc<Entry>>,
}

impl Library for Proposed<'_> {
    fn entry(&self, kind: Kind, name: &str) -> Option<Arc<Entry>> {
        if kind == self.kind && name == self.name {
            return self.entry.clone();
        }
        self.base.entry(kind, name)
    }

    fn entries(&self, kind: Kind) -> Vec<Arc<Entry>> {
        let mut entries = self.base.entries(kind);
        if kind == self.kind {
            entries.retain(|entry| entry.name() != self.name);
            entries.extend(self.entry.clone());
            entries.sort_by(|a, b| a.name().cmp(b.name()));
        }
        entries
    }
}

/// Looks an entry up with its type.
macro_rules! typed {
    ($($(#[$doc:meta])* $function:ident: $kind:ident;)*) => { $(
        $(#[$doc])*
        pub(crate) fn $function(library: &dyn Library, name: &str) -> Option<$kind> {
            match &library.entry(Kind::$kind, name)?.body {
                Body::$kind(body) => Some((**body).clone()),
                _ => None,
            }
        }
    )* };
}

typed! {
    router: ServiceRouter;
    splitter: ServiceSplitter;
    resolver: ServiceResolver;
    service_defaults: ServiceDefaults;
    intentions: ServiceIntentions;
    named_proxy_defaults: ProxyDefaults;
    named_exports: ExportedServices;
}

/// The defaults of all proxies.
pub(crate) fn proxy_defaults(library: &dyn Library) -> Option<ProxyDefaults> {
    named_proxy_defaults(library, GLOBAL)
}

/// What is exported.
pub(crate) fn exports(library: &dyn Library) -> Option<ExportedServices> {
    named_exports(library, DEFAULT)
}

/// Each service that other clusters may use, with their names; `named` are the services that a wildcard stands for.
pub fn exported<'a>(
    library: &dyn Library,
    named: impl Iterator<Item = &'a str> + Clone,
) -> BTreeMap<String, BTreeSet<String>> {
    exports(library).map(|exports| exports.resolved(named)).unwrap_or_default()
}

/// Each service with the other clusters that may use it by an intention.
pub fn imported(library: &dyn Library) -> BTreeSet<(String, String)> {
    let mut imported = BTreeSet::new();
    for entry in library.entries(Kind::ServiceIntentions) {
        let Body::ServiceIntentions(body) = &entry.body else { continue };
        let foreign = body.sources.iter().filter(|source| !source.peer.is_empty());
        imported.extend(foreign.map(|source| (body.name.clone(), source.peer.clone())));
    }
    imported
}
