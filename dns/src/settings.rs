//! What can be set about DNS. Names and defaults are those of Consul's `dns_config`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::bridge::Images;
use crate::name::{Name, NameError};
use crate::upstream::Fallback;

/// How names are answered. A reload puts another one in its place.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The node's name, told in metrics.
    pub node_name: Box<str>,
    /// The datacenter for which this server answers.
    pub datacenter: Box<str>,
    /// The zone.
    pub domain: Zone,
    /// A second zone with the same names.
    pub alt_domain: Option<Zone>,
    /// How long answers about nodes may be kept.
    pub node_ttl: Duration,
    /// How long answers about services may be kept.
    pub service_ttl: ServiceTtl,
    /// Whether an instance with a warning is left out.
    pub only_passing: bool,
    /// Answers over UDP to a client without EDNS; counts up to 8.
    pub udp_answer_limit: usize,
    /// Address answers of a service, all transports; 0 for no limit.
    pub a_record_limit: usize,
    /// Whether a shortened answer says so (TC).
    pub enable_truncate: bool,
    /// Whether names are written whole each time.
    pub disable_compression: bool,
    /// What the zone's SOA says.
    pub soa: SoaTimes,
    /// Whether node meta is added to answers that did not ask for it.
    pub enable_additional_node_meta_txt: bool,
    /// Whether addresses of other datacenters are told as seen from outside.
    pub translate_wan_addrs: bool,
    /// Whether what is known here is told while the scope has no leader.
    pub allow_stale: bool,
    /// How long it is told then.
    pub max_stale: Duration,
    /// Who is asked about names outside of the zones; nothing when nobody is.
    pub recursors: Option<Arc<Recursors>>,
    /// Who is asked about names of the zones that are unknown here; the first that takes a name.
    pub fallbacks: Arc<[Arc<Fallback>]>,
    /// Further zones, in which public names appear.
    pub images: Arc<Images>,
}

/// Servers for the names that are not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recursors {
    /// Where they are. There is one at least.
    pub servers: Box<[SocketAddr]>,
    /// Who is asked first.
    pub strategy: Strategy,
    /// How long each of them may take.
    pub timeout: Duration,
}

/// In which order several servers are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// As configured, each time.
    #[default]
    Sequential,
    /// In any order, another one each time.
    Random,
}

/// A zone by its name, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    name: Name,
    server: Name,
    mailbox: Name,
}

/// The times in an SOA record, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoaTimes {
    /// How often a secondary looks.
    pub refresh: u32,
    /// How soon it looks again when that failed.
    pub retry: u32,
    /// When it gives up.
    pub expire: u32,
    /// How long an absence may be kept, and the TTL of the record itself.
    pub min_ttl: u32,
}

/// Times by service name: exact names, and beginnings (written with a `*` at their end).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceTtl {
    exact: BTreeMap<Box<str>, Duration>,
    beginnings: BTreeMap<Box<str>, Duration>,
}

/// Ten years, as in Consul.
const MAX_STALE_DEFAULT: Duration = Duration::from_secs(87_600 * 3600);

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self {
            node_name: "".into(),
            datacenter: "dc1".into(),
            domain: Zone::parse("consul").expect("a label of six letters is a name"),
            alt_domain: None,
            node_ttl: Duration::ZERO,
            service_ttl: ServiceTtl::default(),
            only_passing: false,
            udp_answer_limit: 3,
            a_record_limit: 0,
            enable_truncate: false,
            disable_compression: false,
            soa: SoaTimes::default(),
            enable_additional_node_meta_txt: true,
            translate_wan_addrs: false,
            allow_stale: true,
            max_stale: MAX_STALE_DEFAULT,
            recursors: None,
            fallbacks: Arc::default(),
            images: Arc::default(),
        }
    }
}

impl Settings {
    /// Whether it is the name of one of our zones.
    pub fn is_zone(&self, name: &Name) -> bool {
        let mut zones = std::iter::once(&self.domain).chain(&self.alt_domain);
        zones.any(|zone| zone.name().is(name))
    }
}

// === impl Zone ===

impl Zone {
    /// Reads a zone's name, with or without the last dot; case is not kept.
    ///
    /// # Errors
    /// [`NameError`] when it is no name, or so long that none of its own fits in front of it.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let name = Name::parse(text)?.to_lower();
        let (server, mailbox) = (Name::under("ns", &name)?, Name::under("hostmaster", &name)?);
        Ok(Self { name, server, mailbox })
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The primary name server that its SOA tells, which has no address.
    pub fn server(&self) -> &Name {
        &self.server
    }

    /// Who is responsible for it.
    pub fn mailbox(&self) -> &Name {
        &self.mailbox
    }
}

// === impl SoaTimes ===

impl Default for SoaTimes {
    fn default() -> Self {
        Self { refresh: 3600, retry: 600, expire: 86_400, min_ttl: 0 }
    }
}

// === impl ServiceTtl ===

impl ServiceTtl {
    /// The time for a service: its own, else that of the longest beginning, else none at all.
    ///
    /// Names are asked in lower case; keys are compared as written, so one with a capital never matches, as in Consul.
    pub fn of(&self, service: &str) -> Duration {
        let longest = || {
            let fitting = self
                .beginnings
                .iter()
                .filter(|(beginning, _)| service.starts_with(beginning.as_ref()));
            fitting.max_by_key(|(beginning, _)| beginning.len()).map(|(_, ttl)| *ttl)
        };
        self.exact.get(service).copied().or_else(longest).unwrap_or_default()
    }
}

impl<K: AsRef<str>> FromIterator<(K, Duration)> for ServiceTtl {
    fn from_iter<I: IntoIterator<Item = (K, Duration)>>(pairs: I) -> Self {
        let mut all = Self::default();
        for (key, ttl) in pairs {
            match key.as_ref().strip_suffix('*') {
                Some(beginning) => all.beginnings.insert(beginning.into(), ttl),
                None => all.exact.insert(key.as_ref().into(), ttl),
            };
        }
        all
    }
}

/// Whole seconds, as a record tells them; what does not fit is the most that fits.
pub(crate) fn seconds(ttl: Duration) -> u32 {
    u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_name_wins_then_the_longest_beginning() {
        let ttl: ServiceTtl = [("d*", 42), ("db", 10), ("db*", 66), ("*", 4), ("UP", 9)]
            .map(|(key, seconds)| (key, Duration::from_secs(seconds)))
            .into_iter()
            .collect();
        for (service, expected) in [("db", 10), ("dblb", 66), ("dk", 42), ("api", 4), ("up", 4)] {
            assert_eq!(ttl.of(service).as_secs(), expected, "{service}");
        }
        assert_eq!(ServiceTtl::default().of("db"), Duration::ZERO);
    }
}
