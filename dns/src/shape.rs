//! What of an answer this asker can carry. Consul's rules of size, whose every step shows on the wire.
//!
//! A plain client over UDP gets a few answers and 512 bytes, one with EDNS as many bytes as it says, one over TCP
//! 64 KiB. What does not fit goes silently unless truncation is to be told. Additional records that no answer points
//! to any more go with it, the EDNS record and texts included.

use std::collections::{HashMap, HashSet};

use crate::answer::{Draft, Manner};
use crate::limits::{
    PLAIN_UDP_ANSWERS_MAX, PLAIN_UDP_BYTES, TCP_ANSWERS_MAX, TCP_BYTES_MAX, TCP_SRV_ANSWERS_MAX,
    TRIM_SLACK_BYTES, TRIM_STEP_BYTES, UDP_BYTES_MAX, UDP_RESERVE_BYTES,
};
use crate::message::{Header, Reply};
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

/// How messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One datagram.
    Udp,
    /// A stream.
    Tcp,
}

/// What `udp_answer_limit` and the size of a reply are measured with.
struct Trim {
    reply: Reply,
    /// The first additional record of each name, in lower case; empty when there was none at all.
    first: HashMap<Name, Record>,
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
    let Draft { manner, rcode, answer, authority, additional, subnet_matters } = draft;
    let header = header(manner, rcode, asker);
    let question = question.cloned();
    let compress = !settings.disable_compression;
    let mut reply = Reply { header, question, answer, authority, additional, compress };
    if manner != Manner::Refusal {
        reply.additional.extend(edns_record(asker, rcode, subnet_matters));
    }
    match manner {
        Manner::Zone => trim(reply, asker, settings),
        Manner::Reverse | Manner::Refusal => reply,
    }
}

fn header(manner: Manner, rcode: Rcode, asker: &Asker) -> Header {
    Header {
        id: asker.id,
        opcode: asker.opcode,
        authoritative: manner != Manner::Refusal,
        recursion_desired: asker.opcode == OPCODE_QUERY && asker.recursion_desired,
        checking_disabled: asker.opcode == OPCODE_QUERY && asker.checking_disabled,
        rcode,
        ..Header::default()
    }
}

/// The client's own size comes back, whatever it is, and its subnet. The answer holds for every subnet unless one
/// was looked at.
fn edns_record(asker: &Asker, rcode: Rcode, subnet_matters: bool) -> Option<Record> {
    let mut edns = asker.edns.clone()?;
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
            trim.reply.answer.len() < answers
        }
        Transport::Tcp => trim.tcp(kind == Some(Kind::SRV)),
    };
    trim.reply.header.truncated = shortened && settings.enable_truncate;
    trim.reply
}

fn udp_bytes(asker: &Asker) -> usize {
    let said = asker.edns.as_ref().map_or(0, |edns| usize::from(edns.udp_size));
    said.clamp(PLAIN_UDP_BYTES, UDP_BYTES_MAX)
}

// === impl Trim ===

impl Trim {
    fn new(reply: Reply) -> Self {
        let mut first = HashMap::new();
        for record in &reply.additional {
            first.entry(record.owner.to_lower()).or_insert_with(|| record.clone());
        }
        Self { compress: reply.compress, reply, first }
    }

    /// A plain client gets few answers, and then the length is measured without compression: somebody on the way
    /// may undo it.
    fn udp(&mut self, bytes: usize, answer_limit: usize) {
        let answers_max = answer_limit.min(PLAIN_UDP_ANSWERS_MAX);
        if bytes == PLAIN_UDP_BYTES && self.reply.answer.len() > answers_max {
            self.compress = false;
            self.keep(answers_max);
        }
        self.fit(bytes - UDP_RESERVE_BYTES, bytes);
    }

    /// Says whether it was too long, which Consul tells even when all answers stayed.
    fn tcp(&mut self, srv: bool) -> bool {
        self.reply.answer.truncate(if srv { TCP_SRV_ANSWERS_MAX } else { TCP_ANSWERS_MAX });
        self.fit(TCP_BYTES_MAX, TCP_BYTES_MAX)
    }

    /// Drops the authorities, then answers, until at most `bytes_max` are left, or one answer.
    /// The bisection aims at `bytes_aim`: over UDP Consul forgets the reserve there.
    fn fit(&mut self, bytes_max: usize, bytes_aim: usize) -> bool {
        let mut shortened = false;
        while self.reply.answer.len() > 1 && self.length() > bytes_max {
            shortened = true;
            self.reply.authority.clear();
            let length = self.length();
            let keep = if length > bytes_aim + TRIM_STEP_BYTES {
                self.bisect(bytes_aim)
            } else {
                self.reply.answer.len() - 1
            };
            self.keep(keep);
        }
        shortened
    }

    /// How many answers stay so that the message is no longer than `bytes_aim`. May be none, and may be all.
    fn bisect(&mut self, bytes_aim: usize) -> usize {
        let all = std::mem::take(&mut self.reply.answer);
        let (mut fits, mut too_many) = (0, all.len() + 1);
        while too_many - fits > 1 {
            let middle = fits + (too_many - fits) / 2;
            self.reply.answer = all[..middle].to_vec();
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
        self.reply.answer = all;
        fits
    }

    fn length(&self) -> usize {
        self.reply.length(self.compress)
    }

    /// Keeps the first answers, and of the additional records those that they point to: one for each target, and
    /// for what it is another name of.
    fn keep(&mut self, answers: usize) {
        self.reply.answer.truncate(answers);
        if self.first.is_empty() {
            return;
        }
        let mut told = HashSet::new();
        let mut additional = Vec::new();
        for record in &self.reply.answer {
            let Data::Srv { target, .. } = &record.data else { continue };
            let mut next = Some(target.to_lower());
            while let Some(name) = next.take()
                && told.insert(name.clone())
                && let Some(found) = self.first.get(&name)
            {
                additional.push(found.clone());
                if let Data::Cname(canonical) = &found.data {
                    next = Some(canonical.to_lower());
                }
            }
        }
        self.reply.additional = additional;
    }
}

const OPCODE_QUERY: u8 = 0;

#[cfg(test)]
mod tests;
