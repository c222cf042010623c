//! Whole zones for secondaries (RFC 5936), in as many messages as they take.

use std::net::IpAddr;

use super::decode::{self, Incoming};
use super::{Door, Service};
use crate::limits::TRANSFER_MESSAGE_BYTES;
use crate::message::{Header, Reply};
use crate::question::Question;
use crate::record::{Kind, Record};
use crate::shape::{Asker, Transport};

/// What changed in a zone (RFC 1995); the answer may be all of it.
pub(crate) const IXFR: Kind = Kind(251);

impl<D: Door> Service<D> {
    /// The messages of a transfer, when one is asked for by who may have it.
    pub(super) fn transfer(&self, from: Option<IpAddr>, bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
        let Incoming::Query { question: Some(question), asker } =
            decode::decode(bytes, Transport::Tcp)
        else {
            return None;
        };
        if ![Kind::AXFR, IXFR].contains(&question.kind) {
            return None;
        }
        let image = self.settings.load().images.of(&question.name)?;
        (image.zone().is(&question.name) && image.is_for(from))
            .then(|| messages(&question, &asker, image.transfer()))
    }
}

fn messages(question: &Question, asker: &Asker, records: Vec<Record>) -> Vec<Vec<u8>> {
    let message = |question: Option<Question>, answer: Vec<Record>| {
        let header = Header { id: asker.id, authoritative: true, ..Header::default() };
        let (authority, additional) = (Vec::new(), Vec::new());
        Reply { header, question, answer, authority, additional, compress: true }.to_bytes()
    };
    let (mut messages, mut pending, mut length) = (Vec::new(), Vec::new(), 0);
    let mut question = Some(question.clone());
    for record in records {
        length += record.plain_length();
        pending.push(record);
        if length > TRANSFER_MESSAGE_BYTES {
            messages.push(message(question.take(), std::mem::take(&mut pending)));
            length = 0;
        }
    }
    if !pending.is_empty() {
        messages.push(message(question.take(), pending));
    }
    messages
}
