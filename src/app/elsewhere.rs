//! Who is asked about services that are unknown here, over HTTP or by DNS, as `fallback` says.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use proconsul_compat::{Asking, Elsewhere, Found, HOPS_HEADER, Host, Instances};
use proconsul_dns::name::Name;
use proconsul_dns::upstream::{Fallback, Hosts};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, StatusCode};

use super::fetch::{read, words};
use crate::config::{self, Config, Upstream};

/// A longer answer is refused, in bytes: thousands of instances have some megabytes.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Whoever can be asked; a reload changes them.
#[derive(Clone)]
pub(super) struct Upstreams(Arc<ArcSwap<Known>>);

/// Whom the configuration names.
pub(super) struct Known {
    /// The zones in which names are asked.
    dns: Arc<ArcSwap<proconsul_dns::Settings>>,
    /// In their order.
    all: Vec<One>,
}

/// One of them.
struct One {
    said: config::Fallback,
    /// The same by DNS.
    dns: Arc<Fallback>,
    /// Asks over HTTP.
    client: Client,
}

// === impl Upstreams ===

impl Upstreams {
    /// Those of a configuration.
    pub(super) fn new(known: Known) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(known)))
    }

    /// Takes those of another one.
    pub(super) fn settle(&self, known: Known) {
        self.0.store(Arc::new(known));
    }
}

impl Elsewhere for Upstreams {
    fn source(&self, service: &str, hops: u8) -> Option<Box<str>> {
        let known = self.0.load();
        let at = known.position(service, hops)?;
        Some(source(&known.all[at].said).into())
    }

    fn ask<'a>(&'a self, service: &'a str, hops: u8) -> Asking<'a> {
        let known = self.0.load_full();
        Box::pin(async move {
            let Some(at) = known.position(service, hops) else { return Ok(None) };
            let one = &known.all[at];
            match &one.said.upstream {
                Upstream::Consul { http: Some(url), .. } => one.consul(url, service, hops).await,
                _ => {
                    let settings = known.dns.load_full();
                    let hosts = one.dns.hosts(service, &settings, hops).await;
                    Ok(hosts.map_err(|error| error.text.into_owned())?.map(found))
                }
            }
        })
    }
}

// === impl Known ===

impl Known {
    /// Those of a configuration, with the same by DNS.
    ///
    /// # Errors
    /// The text names the file of certificates that cannot be used.
    pub(super) fn of(
        config: &Config,
        dns: &Arc<ArcSwap<proconsul_dns::Settings>>,
    ) -> Result<Self, String> {
        let by_dns = dns.load().fallbacks.iter().cloned().collect::<Vec<_>>();
        let one = |(place, (said, dns)): (usize, (&config::Fallback, Arc<Fallback>))| {
            let client =
                client(said).map_err(|fault| format!("fallback[{place}].upstream.{fault}"))?;
            Ok(One { said: said.clone(), dns, client })
        };
        let all = config.fallbacks.iter().zip(by_dns).enumerate().map(one);
        Ok(Self { dns: Arc::clone(dns), all: all.collect::<Result<_, String>>()? })
    }

    /// The first that takes a service's name.
    fn position(&self, service: &str, hops: u8) -> Option<usize> {
        if self.all.is_empty() {
            return None;
        }
        let settings = self.dns.load();
        let name = Name::under(&format!("{service}.service"), settings.domain.name()).ok()?;
        let takes = |zone: &Name| name.suffix_like(zone).is_some();
        let at = self.all.iter().position(|one| one.said.zone.as_ref().is_none_or(takes))?;
        (hops < self.all[at].said.depth).then_some(at)
    }
}

// === impl One ===

impl One {
    /// Asks a Consul. Whatever it says of us, it is told how far the question has come.
    async fn consul(&self, url: &str, service: &str, hops: u8) -> Result<Option<Found>, String> {
        let path =
            percent_encoding::utf8_percent_encode(service, percent_encoding::NON_ALPHANUMERIC);
        let url = format!("{url}/v1/health/service/{path}?stale");
        let mut request = self
            .client
            .get(&url)
            .timeout(self.said.timeout)
            .header(HOPS_HEADER, hops.saturating_add(1).to_string());
        if let Upstream::Consul { token: Some(token), .. } = &self.said.upstream {
            request = request.header("x-consul-token", token.expose());
        }
        let response = request.send().await.map_err(|error| words(&error, &url))?;
        if response.status() != StatusCode::OK {
            return Err(format!("the answer is {}", response.status()));
        }
        let body = read(response, ANSWER_BYTES_MAX).await?;
        let known = body.as_ref() != b"[]" && body.as_ref() != b"[]\n";
        let ttl = self.said.ttl_max;
        Ok(known.then_some(Found { ttl, instances: Instances::Consul(body) }))
    }
}

/// Asks over HTTP with the trust that is configured.
fn client(said: &config::Fallback) -> Result<Client, String> {
    let _chosen = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder().redirect(Policy::none());
    if let Upstream::Consul { ca_file: Some(path), .. } = &said.upstream {
        let shown = path.display();
        let pem = std::fs::read(path)
            .map_err(|error| format!("ca_file: {shown}: {}", config::reason(&error)))?;
        let trusted = Certificate::from_pem_bundle(&pem).unwrap_or_default();
        if trusted.is_empty() {
            return Err(format!("ca_file: {shown}: no certificate is found; write a file of PEM"));
        }
        builder = builder.tls_certs_only(trusted);
    }
    builder.build().map_err(|error| format!("http: {error}"))
}

/// Who is asked, without secrets.
fn source(fallback: &config::Fallback) -> String {
    let first =
        |dns: &[std::net::SocketAddr]| dns.first().map(ToString::to_string).unwrap_or_default();
    match &fallback.upstream {
        Upstream::Consul { http: Some(url), .. } => format!("consul@{}", authority(url)),
        Upstream::Consul { dns, .. } => format!("consul@{}", first(dns)),
        Upstream::Recursor { dns } => format!("recursor@{}", first(dns)),
        Upstream::Zone { zone, .. } => format!("zone@{}", zone.to_string().trim_end_matches('.')),
    }
}

/// Host and port of a URL, without who asks.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let place = rest.split(['/', '?', '#']).next().unwrap_or("");
    place.rsplit_once('@').map_or(place, |(_, place)| place)
}

fn found(hosts: Hosts) -> Found {
    let host = |host: proconsul_dns::upstream::Host| Host {
        name: host.name.to_string(),
        address: host.address,
        port: host.port,
        weight: host.weight,
    };
    let ttl = Duration::from_secs(hosts.ttl.into());
    Found { ttl, instances: Instances::Hosts(hosts.hosts.into_iter().map(host).collect()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_tell_no_secret() {
        for (url, shown) in [
            ("http://10.0.0.1:8500", "10.0.0.1:8500"),
            ("https://me:secret@old.example/x?y", "old.example"),
        ] {
            assert_eq!(authority(url), shown);
        }
    }
}
