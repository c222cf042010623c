//! Answers that are proven: signed, by a chain of keys from one that is trusted (RFC 4035), as the DNS library verifies it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::dnssec::{Proof, TrustAnchors};
use hickory_proto::rr::{Name as WireName, Record as WireRecord, RecordType};
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::{Resolver, TokioResolver};

use super::reply;
use crate::message::Reply;
use crate::question::Question;

/// Chains of keys that are kept, so that not every answer costs a walk from the root.
const CACHE_ENTRIES_MAX: u64 = 1024;

/// A resolver that verifies.
pub struct Proofs(TokioResolver);

/// Why an answer is not proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotProven {
    /// The signatures do not hold.
    Bogus,
    /// There are none.
    Unsigned,
    /// Nobody answered.
    Unreachable,
    /// The network failed.
    Network,
}

/// Why nothing can be verified.
#[derive(Debug, thiserror::Error)]
pub enum ProofsError {
    /// The file of trusted keys.
    #[error("the trusted keys cannot be read: {0}; the file must hold DNSKEY records, one a line")]
    Anchors(String),
    /// The resolver.
    #[error("a resolver that verifies cannot be made: {0}")]
    Resolver(String),
}

impl Proofs {
    /// Asks these servers, and trusts the root's keys, or those of a file instead.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn new(
        servers: &[SocketAddr],
        anchors: Option<&Path>,
        timeout: Duration,
    ) -> Result<Self, ProofsError> {
        let anchors = match anchors {
            Some(path) => TrustAnchors::from_file(path)
                .map_err(|error| ProofsError::Anchors(error.to_string()))?,
            None => TrustAnchors::default(),
        };
        let servers = servers.iter().map(|server| {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
            let connections = connections.map(|mut connection| {
                connection.port = server.port();
                connection
            });
            NameServerConfig::new(server.ip(), true, connections.into())
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
        let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_trust_anchor(Arc::new(anchors));
        let options = builder.options_mut();
        options.validate = true;
        options.timeout = timeout;
        options.attempts = 1;
        options.cache_size = CACHE_ENTRIES_MAX;
        options.use_hosts_file = ResolveHosts::Never;
        options.try_tcp_on_error = true;
        let resolver = builder.build().map_err(|error| ProofsError::Resolver(error.to_string()))?;
        Ok(Self(resolver))
    }

    /// The proven answer, or the proof that there is none.
    pub(super) async fn ask(&self, question: &Question) -> Result<Reply, NotProven> {
        let mut name =
            WireName::from_labels(question.name.labels()).map_err(|_| NotProven::Unreachable)?;
        name.set_fqdn(true);
        let lookup = self.0.lookup(name, RecordType::from(question.kind.0)).await;
        let lookup = match lookup {
            Ok(lookup) => lookup,
            Err(error) => return absent(&error).map(|()| nothing(question)),
        };
        let answers = lookup.answers();
        proven(answers)?;
        if answers.is_empty() {
            proven(lookup.authorities())?;
        }
        let bytes = lookup.message().to_vec().map_err(|_| NotProven::Unreachable)?;
        let mut reply = reply::read(&bytes, true).map_err(|_| NotProven::Unreachable)?.reply;
        // Signatures are for us alone: nobody here can verify what stands under another name.
        reply.answer.retain(|record| record.data.kind() != SIGNATURE);
        reply.additional.clear();
        Ok(reply)
    }
}

/// A signature (RFC 4034 §3).
const SIGNATURE: crate::record::Kind = crate::record::Kind(46);

/// Whether all records are.
fn proven(records: &[WireRecord]) -> Result<(), NotProven> {
    match records.iter().map(|record| record.proof).min() {
        Some(Proof::Secure) | None => Ok(()),
        Some(Proof::Bogus) => Err(NotProven::Bogus),
        Some(Proof::Insecure | Proof::Indeterminate) => Err(NotProven::Unsigned),
    }
}

/// Whether an error proves that there is nothing.
fn absent(error: &NetError) -> Result<(), NotProven> {
    match error {
        NetError::Dns(DnsError::Nsec { proof: Proof::Secure, .. }) => Ok(()),
        NetError::Dns(DnsError::DnssecBogus | DnsError::Nsec { proof: Proof::Bogus, .. }) => {
            Err(NotProven::Bogus)
        }
        NetError::Dns(DnsError::Nsec { .. }) => Err(NotProven::Unsigned),
        NetError::Dns(DnsError::NoRecordsFound(found)) => match found.authorities.as_deref() {
            Some(records) if !records.is_empty() => proven(records),
            _ => Err(NotProven::Unsigned),
        },
        NetError::Io(_) | NetError::NoConnections => Err(NotProven::Network),
        _ => Err(NotProven::Unreachable),
    }
}

fn nothing(question: &Question) -> Reply {
    Reply {
        header: crate::message::Header::default(),
        question: Some(question.clone()),
        answer: Vec::new(),
        authority: Vec::new(),
        additional: Vec::new(),
        compress: true,
    }
}
