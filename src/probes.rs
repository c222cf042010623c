//! Performs checks: I/O only. What is due, and what a result means, is the leaf's to say.
//!
//! Outputs are worded as Consul words them, down to the errors of its runtime: people and programs read them.

mod dial;
mod docker;
mod grpc;
mod h2ping;
mod http;
mod proxy;
mod script;
mod tcp;
mod tls;
mod udp;
mod url;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use proconsul_anchors::agent::{ProbeResult, Run};
use proconsul_anchors::node::definition::CheckSpec;
use proconsul_anchors::service::Status;

use self::proxy::Proxies;
pub(crate) use self::tls::{Proof, Trust, tls_words};

/// What performing checks needs: whom to trust, and who is there.
pub(crate) struct Probes {
    trust: Arc<ArcSwap<Trust>>,
    around: Surroundings,
}

/// What the environment says of those that checks go through.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    /// Where containers are (`DOCKER_HOST`); empty means the usual place.
    docker_host: String,
    /// Whom HTTP goes through.
    proxies: Proxies,
}

/// The end of an output: what came before is forgotten and counted.
pub(crate) struct Tail {
    kept: Vec<u8>,
    bytes_max: usize,
    total: u64,
}

// === impl Probes ===

impl Probes {
    /// Each check trusts whom it is told to trust then.
    pub(crate) fn new(trust: Arc<ArcSwap<Trust>>, around: Surroundings) -> Self {
        Self { trust, around }
    }

    /// Performs a check; never takes much longer than it may.
    pub(crate) async fn perform(&self, run: &Run) -> ProbeResult {
        let trust = &*self.trust.load_full();
        match &run.spec {
            CheckSpec::Http(spec) => {
                http::perform(spec, run.timeout, run.output_max, trust, &self.around.proxies).await
            }
            CheckSpec::Tcp { address, tls } => {
                tcp::perform(address, tls.as_ref(), run.timeout, trust).await
            }
            CheckSpec::Grpc { target, tls } => {
                grpc::perform(target, tls.as_ref(), run.timeout, trust).await
            }
            CheckSpec::Script { args } => script::perform(args, run.timeout, run.output_max).await,
            CheckSpec::Udp { address } => udp::perform(address, run.timeout).await,
            CheckSpec::H2ping { address, tls } => {
                h2ping::perform(address, tls.as_ref(), run.timeout, trust).await
            }
            CheckSpec::Docker { container, args } => {
                docker::perform(&self.around.docker_host, container, args, run.output_max).await
            }
            // The leaf plans no runs of these: they are heard of, follow others, or were refused.
            CheckSpec::Ttl(_) | CheckSpec::Alias { .. } | CheckSpec::OsService => {
                critical("checks of this kind are not performed")
            }
        }
    }
}

// === impl Surroundings ===

impl Surroundings {
    /// What the environment of the process says.
    pub(crate) fn of_the_process() -> Self {
        let said = |name: &str| std::env::var(name).unwrap_or_default();
        Self { docker_host: said("DOCKER_HOST"), proxies: Proxies::read(said) }
    }
}

// === impl Tail ===

impl Tail {
    fn new(bytes_max: usize) -> Self {
        Self { kept: Vec::new(), bytes_max, total: 0 }
    }

    /// Takes the next piece. Memory stays within twice the bound.
    fn push(&mut self, piece: &[u8]) {
        self.total += piece.len() as u64;
        let piece = &piece[piece.len().saturating_sub(self.bytes_max)..];
        self.kept.extend_from_slice(piece);
        let surplus = self.kept.len().saturating_sub(self.bytes_max);
        self.kept.drain(..surplus);
    }
}

fn passing(output: impl Into<String>) -> ProbeResult {
    ProbeResult::counted(Status::Passing, output)
}

fn critical(output: impl Into<String>) -> ProbeResult {
    ProbeResult::counted(Status::Critical, output)
}

/// An error of the operating system as Go words it: `connection refused`.
pub(crate) fn os_words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = match error.raw_os_error() {
        Some(code) => text.strip_suffix(&format!(" (os error {code})")).unwrap_or(&text),
        None => &text,
    };
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// A span as Go prints it.
fn span(duration: Duration) -> String {
    proconsul_anchors::duration::show_wait(duration)
}

#[cfg(test)]
mod tests;
