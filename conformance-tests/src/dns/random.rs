//! Seeded random DNS traffic: a configuration, a catalog and questions about it, asked of two programs at once.
//!
//! ```text
//!   seed, flavour ──▶ world: settings, registrations ──▶ both programs
//!                └──▶ ask: names of every form, near-misses, damaged messages
//!                            │ the same bytes to both
//!                            ▼
//!                          judge: equal, or alike where the real program's own answers vary
//! ```

mod ask;
mod judge;
mod world;

use std::{fmt::Write as _, ops::Range};

use rand::{SeedableRng, rngs::StdRng};

pub use self::judge::{Sides, Verdict};
use super::{
    fixture::{Exchange, Fixture},
    shown::Shown,
};

/// What a configuration is about. Every run has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// Nothing is set.
    Plain,
    /// How many answers a reply may have.
    Limits,
    /// What is left out is told.
    Truncate,
    /// Only passing instances.
    Passing,
    /// Times to live, and the times of the SOA.
    Times,
    /// Other zones.
    Zones,
    /// Names written whole; node meta only when asked for.
    Whole,
    /// Names outside are asked of a server of the test's own.
    Recursors,
    /// Nothing is allowed but what the agent's DNS token may read.
    Denying,
    /// Some of all.
    Mixed,
}

/// One question whose two answers differ.
#[derive(Debug, Clone)]
pub struct Unequal {
    /// Its place in the stream, from 0.
    pub step: usize,
    /// The question for people to read.
    pub ask: String,
    /// The message in hex.
    pub query: String,
    /// What the real program said.
    pub left: Shown,
    /// What the subject said.
    pub right: Shown,
    /// In what they part after many of them.
    pub parting: String,
}

/// What a run showed.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Questions asked.
    pub asked: usize,
    /// Answers that were the same at once.
    pub same: usize,
    /// Answers that vary on both sides, within the same bounds.
    pub alike: usize,
    /// Answers that differ.
    pub unequal: Vec<Unequal>,
}

/// How many instances the largest service of a run has: more than any datagram holds.
pub const CROWD: Range<usize> = 90..320;
/// How many it has in a file: more than a plain datagram holds.
pub const CROWD_IN_A_FILE: Range<usize> = 22..30;

/// The settings and the catalog of a seed, without questions.
#[must_use]
pub fn world(flavour: Flavour, crowd: Range<usize>, seed: u64) -> Fixture {
    world::make(flavour, crowd, &mut StdRng::seed_from_u64(seed))
}

/// Questions about a world, for ever.
pub fn questions(fixture: &Fixture, seed: u64) -> impl Iterator<Item = Exchange> + use<> {
    stream(fixture, DAMAGE, seed)
}

/// The same, each damaged on its way.
pub fn damaged(fixture: &Fixture, seed: u64) -> impl Iterator<Item = Exchange> + use<> {
    stream(fixture, 1.0, seed)
}

fn stream(fixture: &Fixture, damage: f64, seed: u64) -> impl Iterator<Item = Exchange> + use<> {
    let mut asker = ask::Asker::new(fixture, damage, StdRng::seed_from_u64(!seed));
    std::iter::repeat_with(move || asker.next())
}

/// Asks both, question by question.
///
/// # Errors
/// What a socket said.
pub fn play(
    sides: &Sides,
    questions: impl Iterator<Item = Exchange>,
) -> Result<Report, std::io::Error> {
    let mut report = Report::default();
    for (step, exchange) in questions.enumerate() {
        report.asked += 1;
        match sides.judge(&exchange)? {
            Verdict::Same => report.same += 1,
            Verdict::Alike => report.alike += 1,
            Verdict::Different { left, right, parting } => report.unequal.push(Unequal {
                step,
                parting,
                query: super::wire::to_hex(&exchange.query),
                ask: exchange.ask,
                left,
                right,
            }),
        }
    }
    Ok(report)
}

// === impl Flavour ===

impl Flavour {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Plain,
        Self::Limits,
        Self::Truncate,
        Self::Passing,
        Self::Times,
        Self::Zones,
        Self::Whole,
        Self::Recursors,
        Self::Denying,
        Self::Mixed,
    ];

    /// The word for it on a command line.
    #[must_use]
    pub fn word(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// What a word means.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|flavour| flavour.word() == word)
    }
}

// === impl Report ===

impl Report {
    /// Equal answers in ten thousand.
    #[must_use]
    pub fn per_10_000(&self) -> usize {
        (self.asked - self.unequal.len()) * 10_000 / self.asked.max(1)
    }

    /// The first differences, for people to read.
    #[must_use]
    pub fn told(&self, most: usize) -> String {
        let mut text = String::new();
        for Unequal { step, ask, query, left, right, parting } in self.unequal.iter().take(most) {
            let _ = writeln!(text, "{step}: {ask}\n  query {query}\n  part in {parting}");
            for (name, shown) in [("consul", left), ("ours", right)] {
                let _ = writeln!(text, "  {name}: {}, {} B", shown.head, shown.bytes);
                for record in shown.records.iter().take(RECORDS_TOLD) {
                    let _ = writeln!(text, "      {record}");
                }
            }
        }
        text
    }
}

/// So many of all questions are damaged.
const DAMAGE: f64 = 0.08;
/// More records of an answer than these tell nothing new.
const RECORDS_TOLD: usize = 12;
