//! Whether two programs answer a question alike, where one question has many right answers.
//!
//! Consul shuffles instances, and takes some of them where not all fit. So answers that differ are asked for again, on
//! both sides: then neither side may say what the other never says. Of random samples that means: the same codes and
//! flags, sizes and numbers of records in ranges that overlap, and no record which the other side does not have in any
//! of its answers or in its whole answer over TCP. A side that does not vary has to be met exactly.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::SocketAddr,
    ops::RangeInclusive,
    thread,
    time::Duration,
};

use crate::{
    dns::{
        fixture::Exchange,
        shown::{self, Shown},
        wire::{self, Transport},
    },
    subject::Subject,
};

/// Silence for so long is an answer, at first …
const PATIENCE: Duration = Duration::from_millis(400);
/// … and for so long when the other side was not silent.
const PATIENCE_MAX: Duration = Duration::from_secs(3);
/// Answers taken of each side at a time, …
const ROUND: usize = 8;
/// … and so many times before they count as different.
const ROUNDS: usize = 6;

/// A side whose records came once in one case of so many has more of them than it told.
const UNTOLD_MIN_OF: usize = 12;
/// Of three hundred records, of which each side told fifty at random, one in six is common to both; so many are at the least.
const SHARED_MIN_OF: usize = 20;

/// How an extended error is shown, which comes last.
const EXTENDED_ERROR: &str = " Unknown(15, ";
const EXTENDED_ERROR_BYTES: &str = " 15=";

/// The two listeners.
#[derive(Debug, Clone, Copy)]
pub struct Sides {
    /// The real program's.
    pub left: SocketAddr,
    /// The subject's.
    pub right: SocketAddr,
}

/// How the two answers to a question compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Equal at once.
    Same,
    /// They vary, in the same way.
    Alike,
    /// One answer of each.
    Different {
        /// The real program's.
        left: Shown,
        /// The subject's.
        right: Shown,
        /// In what they part after many of them.
        parting: String,
    },
}

/// What one side said to one question, again and again.
#[derive(Default)]
struct Side {
    answers: Vec<Shown>,
    /// Every record that it said, and how often.
    pool: BTreeMap<String, usize>,
}

// === impl Sides ===

impl Sides {
    /// Of the real program and the subject.
    #[must_use]
    pub fn of(left: &Subject, right: &Subject) -> Self {
        Self { left: left.dns_address(), right: right.dns_address() }
    }

    /// Asks both.
    ///
    /// # Errors
    /// What a socket said.
    pub fn judge(&self, exchange: &Exchange) -> io::Result<Verdict> {
        let transport = exchange.transport();
        let once = |transport, patience| self.ask(transport, &exchange.query, patience);
        let (left, right) = once(transport, PATIENCE)?;
        if left == right {
            return Ok(Verdict::Same);
        }
        let (mut lefts, mut rights) = (Side::default(), Side::default());
        for message in [Some(exchange.query.clone()), bare(&exchange.query)].iter().flatten() {
            let (left, right) = self.ask(Transport::Tcp, message, PATIENCE_MAX)?;
            lefts.know(&left);
            rights.know(&right);
        }
        let mut parting = None;
        for _ in 0..ROUNDS {
            for _ in 0..ROUND {
                let (left, right) = once(transport, PATIENCE_MAX)?;
                let settled = left == right && left.bytes == 0;
                lefts.take(left);
                rights.take(right);
                if settled {
                    return Ok(Verdict::Same);
                }
            }
            parting = lefts.parts_in(&rights);
            if parting.is_none() {
                return Ok(Verdict::Alike);
            }
            if lefts.answers.iter().chain(&rights.answers).any(|answer| answer.bytes == 0) {
                break;
            }
        }
        let parting = parting.unwrap_or_default();
        Ok(Verdict::Different { left, right, parting })
    }

    fn ask(
        &self,
        transport: Transport,
        message: &[u8],
        patience: Duration,
    ) -> io::Result<(Shown, Shown)> {
        let ask = |server| match wire::exchange(server, transport, message, patience) {
            Ok(reply) => Ok(plain(shown::show(reply.as_deref()))),
            // A stream that is closed tells as much as silence.
            Err(error)
                if [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset]
                    .contains(&error.kind()) =>
            {
                Ok(shown::show(None))
            }
            Err(error) => Err(error),
        };
        thread::scope(|scope| {
            let left = scope.spawn(|| ask(self.left));
            let right = ask(self.right)?;
            Ok((left.join().expect("asking does not panic")?, right))
        })
    }
}

/// The question alone, whose answer is whole over TCP, and can be shown whatever EDNS brought.
fn bare(message: &[u8]) -> Option<Vec<u8>> {
    let name = message.get(12..)?.iter().position(|byte| *byte == 0)?;
    let mut question = message.get(..12 + name + 5)?.to_vec();
    question[4..12].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
    Some(question)
}

/// Without an extended error (RFC 8914): the real program has none.
fn plain(mut answer: Shown) -> Shown {
    for record in &mut answer.records {
        // Its code, its length, and a number or two digits for each byte.
        if let Some((before, error)) = record.split_once(EXTENDED_ERROR) {
            answer.bytes -= 4 + error.split(',').count();
            *record = before.to_owned();
        } else if let Some((before, error)) = record.split_once(EXTENDED_ERROR_BYTES) {
            answer.bytes -= 4 + error.len() / 2;
            *record = before.to_owned();
        }
    }
    answer
}

// === impl Side ===

impl Side {
    fn take(&mut self, answer: Shown) {
        self.know(&answer);
        self.answers.push(answer);
    }

    fn know(&mut self, answer: &Shown) {
        for record in &answer.records {
            *self.pool.entry(record.clone()).or_insert(0) += 1;
        }
    }

    /// In what the two part; nothing when they do not.
    fn parts_in(&self, other: &Self) -> Option<String> {
        if !self.varies() && !other.varies() {
            let equal = self.answers.first() == other.answers.first();
            return (!equal).then(|| "all".to_owned());
        }
        let (bytes, others) = (self.range(|one| one.bytes), other.range(|one| one.bytes));
        if self.heads() != other.heads() {
            Some(format!("code or flags: {:?}, {:?}", self.heads(), other.heads()))
        } else if !overlap(&bytes, &others) {
            Some(format!("size: {bytes:?}, {others:?}"))
        } else if !self.numbers_overlap(other) {
            Some(format!("number of records: {:?}, {:?}", self.numbers(), other.numbers()))
        } else if !(self.knows(other) && other.knows(self) || self.draws_from_the_same(other)) {
            Some("records".to_owned())
        } else {
            None
        }
    }

    /// Whether it may have said every record of the other side's answers.
    fn knows(&self, other: &Self) -> bool {
        let mut records = other.answers.iter().flat_map(|answer| &answer.records);
        records.all(|record| self.pool.contains_key(record))
    }

    /// Whether both take a few of so many that neither has told all: then much of what one told, the other told, too,
    /// and all of it is of the same kinds.
    fn draws_from_the_same(&self, other: &Self) -> bool {
        let shared = self.pool.keys().filter(|record| other.pool.contains_key(*record)).count();
        let smaller = self.pool.len().min(other.pool.len());
        !self.has_told_all()
            && !other.has_told_all()
            && shared * SHARED_MIN_OF >= smaller
            && self.stems() == other.stems()
    }

    fn has_told_all(&self) -> bool {
        let once = self.pool.values().filter(|count| **count == 1).count();
        once * UNTOLD_MIN_OF < self.pool.len()
    }

    /// Every record without its data.
    fn stems(&self) -> BTreeSet<String> {
        let stem = |record: &String| record.split(' ').take(4).collect::<Vec<_>>().join(" ");
        self.pool.keys().map(stem).collect()
    }

    fn varies(&self) -> bool {
        self.answers.windows(2).any(|pair| pair[0] != pair[1])
    }

    fn heads(&self) -> BTreeSet<&str> {
        self.answers.iter().map(|answer| answer.head.as_str()).collect()
    }

    fn range(&self, number: impl Fn(&Shown) -> usize) -> RangeInclusive<usize> {
        let numbers = || self.answers.iter().map(&number);
        numbers().min().unwrap_or(0)..=numbers().max().unwrap_or(0)
    }

    /// How many records of a kind a section may have.
    fn numbers_overlap(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.numbers(), other.numbers());
        let kinds: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
        let none = 0..=0;
        let of = |numbers: &BTreeMap<String, RangeInclusive<usize>>, kind: &String| {
            numbers.get(kind).unwrap_or(&none).clone()
        };
        kinds.into_iter().all(|kind| overlap(&of(&ours, kind), &of(&theirs, kind)))
    }

    fn numbers(&self) -> BTreeMap<String, RangeInclusive<usize>> {
        let outlines: Vec<Vec<String>> =
            self.answers.iter().map(|answer| answer.outline().1).collect();
        let kinds: BTreeSet<&String> = outlines.iter().flatten().collect();
        let count = |kind: &String, outline: &Vec<String>| {
            outline.iter().filter(|other| *other == kind).count()
        };
        let range = |kind: &String| {
            let counts = || outlines.iter().map(|outline| count(kind, outline));
            counts().min().unwrap_or(0)..=counts().max().unwrap_or(0)
        };
        kinds.into_iter().map(|kind| (kind.clone(), range(kind))).collect()
    }
}

fn overlap(left: &RangeInclusive<usize>, right: &RangeInclusive<usize>) -> bool {
    left.start() <= right.end() && right.start() <= left.end()
}
