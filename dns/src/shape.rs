//! What of an answer this asker can carry. Consul's rules of size, whose every step shows on the wire.
//!
//! A plain client over UDP gets a few answers and 512 bytes, one with EDNS as many bytes as it says, one over TCP
//! 64 KiB. What does not fit goes silently unless truncation is to be told. Additional records that no answer points
//! to any more go with it, the EDNS record and texts included.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::answer::{Draft, Manner};
use crate::extended::ExtendedError;
use crate::limits::{
    PLAIN_UDP_ANSWERS_MAX, PLAIN_UDP_BYTES, TCP_ANSWERS_MAX, TCP_BYTES_MAX, TCP_SRV_ANSWERS_MAX,
    TRIM_SLACK_BYTES, TRIM_STEP_BYTES, UDP_BYTES_MAX, UDP_RESERVE_BYTES,
};
use crate::message::{Header, Reply, compressed_length, plain_length};
use crate::name::Name;
use crate::question::Question;
use crate::record::{Data, Edns, Kind, Rcode, Record};
use crate::settings::Settings;

/// Who asks, as far as it decides what a reply may look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// How the query came, and the reply goes.
    pub transport: Transport,
    /// What it said by EDNS.
    pub edns: Option<Edns>,
    /// The query's number.
    pub id: u16,
    /// The query's operation: a query, or a notification, which is answered alike.
    pub opcode: u8,
    /// Whether it desired recursion.
    pub recursion_desired: bool,
    /// Whether it disabled checking.
    pub checking_disabled: bool,
}

impl Asker {
    /// The network that it told of itself.
    pub fn source(&self) -> Option<IpAddr> {
        let subnet = self.edns.as_ref()?.subnet.as_ref()?;
        let byte = |at: usize| subnet.address.get(at).copied().unwrap_or(0);
        match subnet.family {
            1 => Some(IpAddr::from(std::array::from_fn::<u8, 4, _>(byte))),
            2 => Some(IpAddr::from(std::array::from_fn::<u8, 16, _>(byte))),
            _ => None,
        }
    }
}

/// How messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// One datagram.
    Udp,
    /// A stream.
    Tcp,
}

/// A reply that is being cut: what stays of it.
struct Trim {
    reply: Reply,
    /// How many of its answers stay.
    answers: usize,
    /// Once something was cut, additional records stay only for answers that point to them: which answer, which record.
    beside: Option<Vec<(usize, usize)>>,
    /// Whether lengths are measured with compression, which is not always what is sent.
    compress: bool,
}

/// Makes the reply out of a draft.
pub fn shape(
    draft: Draft,
    question: Option<&Question>,
    asker: &Asker,
    settings: &Settings,
) -> Reply {
    let Draft { manner, rcode, answer, authority, additional, subnet_matters, error, .. } = draft;
    let header = header(manner, rcode, asker, settings);
    let question = question.cloned();
    let compress = !settings.disable_compression;
    let mut reply = Reply { header, question, answer, authority, additional, compress };
    if manner != Manner::Refusal {
        reply.additional.extend(edns_record(asker, rcode, subnet_matters, error));
    }
    match manner {
        Manner::Zone => trim(reply, asker, settings),
        Manner::Reverse | Manner::Refusal | Manner::Failure => reply,
    }
}

fn header(manner: Manner, rcode: Rcode, asker: &Asker, settings: &Settings) -> Header {
    Header {
        id: asker.id,
        opcode: asker.opcode,
        authoritative: matches!(manner, Manner::Zone | Manner::Reverse),
        recursion_available: manner != Manner::Refusal && settings.recursors.is_some(),
        recursion_desired: asker.opcode == OPCODE_QUERY && asker.recursion_desired,
        checking_disabled: asker.opcode == OPCODE_QUERY && asker.checking_disabled,
        rcode,
        ..Header::default()
    }
}

/// The client's own size comes back, whatever it is, and its subnet. The answer holds for every subnet unless one
/// was looked at.
fn edns_record(
    asker: &Asker,
    rcode: Rcode,
    subnet_matters: bool,
    error: Option<ExtendedError>,
) -> Option<Record> {
    let mut edns = asker.edns.clone()?;
    edns.error = error.map(Box::new);
    if let Some(subnet) = &mut edns.subnet {
        let narrow = subnet_matters && rcode == Rcode::NoError;
        subnet.scope = if narrow { subnet.source } else { 0 };
    }
    Some(Record { owner: Name::root(), ttl: 0, data: Data::Opt(edns) })
}

fn trim(reply: Reply, asker: &Asker, settings: &Settings) -> Reply {
    let answers = reply.answer.len();
    let kind = reply.question.as_ref().map(|question| question.kind);
    let mut trim = Trim::new(reply);
    let shortened = match asker.transport {
        Transport::Udp => {
            trim.udp(udp_bytes(asker), settings.udp_answer_limit);
            trim.answers < answers
        }
        Transport::Tcp => trim.tcp(kind == Some(Kind::SRV)),
    };
    let mut reply = trim.finish();
    reply.header.truncated = shortened && settings.enable_truncate;
    reply
}

fn udp_bytes(asker: &Asker) -> usize {
    let said = asker.edns.as_ref().map_or(0, |edns| usize::from(edns.udp_size));
    said.clamp(PLAIN_UDP_BYTES, UDP_BYTES_MAX)
}

// === impl Trim ===

impl Trim {
    fn new(reply: Reply) -> Self {
        Self { answers: reply.answer.len(), beside: None, compress: reply.compress, reply }
    }

    /// A plain client gets few answers, and then the length is measured without compression: somebody on the way
    /// may undo it.
    fn udp(&mut self, bytes: usize, answer_limit: usize) {
        let answers_max = answer_limit.min(PLAIN_UDP_ANSWERS_MAX);
        if bytes == PLAIN_UDP_BYTES && self.answers > answers_max {
            self.compress = false;
            self.keep(answers_max);
        }
        self.fit(bytes - UDP_RESERVE_BYTES, bytes);
    }

    /// Says whether it was too long, which Consul tells even when all answers stayed.
    fn tcp(&mut self, srv: bool) -> bool {
        self.answers = self.answers.min(if srv { TCP_SRV_ANSWERS_MAX } else { TCP_ANSWERS_MAX });
        self.fit(TCP_BYTES_MAX, TCP_BYTES_MAX)
    }

    /// Drops the authorities, then answers, until at most `bytes_max` are left, or one answer.
    /// The bisection aims at `bytes_aim`: over UDP Consul forgets the reserve there.
    fn fit(&mut self, bytes_max: usize, bytes_aim: usize) -> bool {
        let mut shortened = false;
        while self.answers > 1 && self.is_longer_than(bytes_max) {
            shortened = true;
            self.reply.authority.clear();
            let keep = if self.is_longer_than(bytes_aim + TRIM_STEP_BYTES) {
                self.bisect(bytes_aim)
            } else {
                self.answers - 1
            };
            self.keep(keep);
        }
        shortened
    }

    /// How many answers stay so that the message is no longer than `bytes_aim`. May be none, and may be all.
    fn bisect(&mut self, bytes_aim: usize) -> usize {
        let (mut fits, mut too_many) = (0, self.answers + 1);
        while too_many - fits > 1 {
            let middle = fits + (too_many - fits) / 2;
            self.keep(middle);
            let length = self.length();
            if length > bytes_aim {
                too_many = middle;
                continue;
            }
            fits = middle;
            if bytes_aim - length < TRIM_SLACK_BYTES {
                break;
            }
        }
        fits
    }

    /// Keeps the first answers, and of the additional records those that they point to.
    fn keep(&mut self, answers: usize) {
        self.answers = answers;
        if self.beside.is_none() && !self.reply.additional.is_empty() {
            self.beside = Some(pointed_to(&self.reply));
        }
    }

    fn is_longer_than(&self, bytes: usize) -> bool {
        // Compression only ever shortens, and measuring without it costs next to nothing.
        self.plain_length() > bytes && self.length() > bytes
    }

    fn length(&self) -> usize {
        match self.compress {
            true => compressed_length(self.reply.question.as_ref(), self.records()),
            false => self.plain_length(),
        }
    }

    fn plain_length(&self) -> usize {
        plain_length(self.reply.question.as_ref(), self.records())
    }

    fn records(&self) -> impl Iterator<Item = &Record> {
        let answer = &self.reply.answer[..self.answers];
        let whole = self.reply.additional.iter().filter(|_| self.beside.is_none());
        answer.iter().chain(&self.reply.authority).chain(whole).chain(self.additional())
    }

    /// What stays beside the answers that stay.
    fn additional(&self) -> impl Iterator<Item = &Record> {
        let kept = self.beside.iter().flatten().take_while(|(answer, _)| *answer < self.answers);
        kept.filter_map(|(_, at)| self.reply.additional.get(*at))
    }

    fn finish(mut self) -> Reply {
        if self.beside.is_some() {
            self.reply.additional = self.additional().cloned().collect();
        }
        self.reply.answer.truncate(self.answers);
        self.reply
    }
}

/// Which answer is the first to point to which additional record: one record for each target, and for what that is
/// another name of.
fn pointed_to(reply: &Reply) -> Vec<(usize, usize)> {
    let mut first = HashMap::new();
    for (at, record) in reply.additional.iter().enumerate() {
        first.entry(record.owner.to_lower()).or_insert(at);
    }
    let mut pointed = Vec::new();
    for (answer, record) in reply.answer.iter().enumerate() {
        let Data::Srv { target, .. } = &record.data else { continue };
        let mut next = Some(target.to_lower());
        // Each name is told once: it leaves the map when it is.
        while let Some(at) = next.take().and_then(|name| first.remove(&name)) {
            pointed.push((answer, at));
            if let Data::Cname(canonical) = &reply.additional[at].data {
                next = Some(canonical.to_lower());
            }
        }
    }
    pointed
}

const OPCODE_QUERY: u8 = 0;

#[cfg(test)]
mod tests;
