//! The servers for the names that are not ours, as Consul uses them: each once, the next one when one fails.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::BoxFuture;
use metrics::counter;
use rand::Rng as _;
use rand::seq::SliceRandom as _;

use super::exchange::Exchange;
use super::reply::{self, Foreign};
use super::{Asked, Told, Upstream};
use crate::extended::{ErrorCode, ExtendedError};
use crate::limits::{MESSAGE_BYTES_MAX, PLAIN_UDP_BYTES};
use crate::message::Reply;
use crate::name::Name;
use crate::record::{Kind, Rcode, Record};
use crate::settings::{Recursors, Strategy};
use crate::shape::Transport;

/// Why one of them did not help.
enum Fault {
    /// It did not answer, or nothing that can be used.
    Exchange(io::Error),
    /// It answered with a code that helps nobody.
    Rcode(u16),
}

impl Upstream for Recursors {
    fn ask<'a>(&'a self, asked: &'a Asked) -> BoxFuture<'a, Result<Told, ExtendedError>> {
        Box::pin(async {
            let told = self.relay(asked).await;
            let outcome = if told.is_ok() { "answered" } else { "failed" };
            counter!("consul.dns.recursed", "outcome" => outcome).increment(1);
            told.map(Told::Reply)
        })
    }

    fn patience(&self) -> Duration {
        let count = u32::try_from(self.servers.len()).unwrap_or(u32::MAX);
        self.timeout.saturating_mul(count)
    }
}

impl Recursors {
    /// Hands a query on as it came, by the same transport, and the first reply back that is one.
    async fn relay(&self, asked: &Asked) -> Result<Reply, ExtendedError> {
        let Asked { question, asker, .. } = asked;
        let said = asker.edns.as_ref().map_or(0, |edns| usize::from(edns.udp_size));
        let bytes_max = match asker.transport {
            Transport::Udp => said.max(PLAIN_UDP_BYTES),
            Transport::Tcp => MESSAGE_BYTES_MAX,
        };
        let mut code = ErrorCode::NETWORK_ERROR;
        let query = reply::rewritten(&asked.message).unwrap_or_else(|_| asked.message.to_vec());
        for server in self.in_turn() {
            let message = numbered(&query);
            let told = self.exchange(server, &message, asker.transport, bytes_max).await;
            match told.and_then(usable) {
                Ok(reply) => {
                    tracing::debug!(name = %question.name, kind = %question.kind, %server, "recurse succeeded for question");
                    return Ok(reply);
                }
                Err(Fault::Rcode(rcode)) => {
                    code = ErrorCode::NO_REACHABLE_AUTHORITY;
                    tracing::debug!(name = %question.name, kind = %question.kind, %server, rcode, "recurse failed for question");
                }
                Err(Fault::Exchange(error)) => {
                    tracing::error!(%error, %server, "recurse failed");
                }
            }
        }
        tracing::error!(
            name = %question.name,
            kind = %question.kind,
            client = asked.from.map(tracing::field::display),
            "all resolvers failed for question from client"
        );
        Err(ExtendedError::new(code, "no recursor answered"))
    }

    /// What they say about the addresses of a host: only IPv4 ones are asked for, as Consul does. Nothing when none answers.
    pub(crate) async fn addresses(&self, host: &Name) -> Vec<Record> {
        let message = numbered(&address_query(host));
        for server in self.in_turn() {
            let told = self.exchange(server, &message, Transport::Udp, PLAIN_UDP_BYTES).await;
            match told {
                Ok(Foreign { reply, .. }) => return reply.answer,
                Err(Fault::Exchange(error)) => {
                    tracing::error!(%error, name = %host, %server, "cname recurse failed for name");
                }
                Err(Fault::Rcode(_)) => {}
            }
        }
        tracing::error!(name = %host, "all resolvers failed for name");
        Vec::new()
    }

    async fn exchange(
        &self,
        server: SocketAddr,
        message: &[u8],
        transport: Transport,
        bytes_max: usize,
    ) -> Result<Foreign, Fault> {
        let exchange = Exchange { message, bytes_max, transport, timeout: self.timeout };
        let bytes = exchange.with(server).await.map_err(Fault::Exchange)?;
        let unreadable = |_| io::Error::new(io::ErrorKind::InvalidData, "the reply is no message");
        reply::read(&bytes, true).map_err(|error| Fault::Exchange(unreadable(error)))
    }

    fn in_turn(&self) -> Vec<SocketAddr> {
        let mut servers = self.servers.to_vec();
        if self.strategy == Strategy::Random {
            servers.shuffle(&mut rand::rng());
        }
        servers
    }
}

/// Other codes than these mean that another server may know better.
fn usable(foreign: Foreign) -> Result<Reply, Fault> {
    let helps = [Rcode::NoError, Rcode::NxDomain].map(|rcode| u16::from(rcode.number()));
    match helps.contains(&foreign.rcode) {
        true => Ok(foreign.reply),
        false => Err(Fault::Rcode(foreign.rcode)),
    }
}

/// The same message with a number that nobody can guess.
fn numbered(message: &[u8]) -> Vec<u8> {
    let mut numbered = message.to_vec();
    if let Some(number) = numbered.get_mut(..2) {
        rand::rng().fill(number);
    }
    numbered
}

/// A query for the IPv4 addresses of a host, recursion desired.
fn address_query(host: &Name) -> Vec<u8> {
    let head = [0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    [head.as_slice(), host.wire(), &Kind::A.0.to_be_bytes(), &[0, 1]].concat()
}
