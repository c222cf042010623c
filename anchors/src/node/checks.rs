//! Which check is due, which TTL ran out, and when a result counts. Told the time and the dice; performs nothing.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::definition::CheckDefinition;
use crate::clock::Time;
use crate::service::Status;

/// Consul raises shorter intervals to this.
pub const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// Randomness that is handed in once and then told out: the same seed makes the same schedule (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

/// Which names are due when; each name has at most one deadline.
#[derive(Clone, Debug, Default)]
pub struct Deadlines {
    at: HashMap<Arc<str>, Time>,
    order: BTreeSet<(Time, Arc<str>)>,
}

/// The runs of probed checks.
///
/// A check that is being run is not due again until its result was heard: no check ever runs twice at a time.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    plans: HashMap<Arc<str>, Plan>,
    due: Deadlines,
    /// The number of the latest plan: results of runs of an older plan are dropped.
    latest: u64,
}

#[derive(Clone, Debug)]
struct Plan {
    number: u64,
    interval: Duration,
    counters: Counters,
}

/// Counts results in a row, as Consul does.
///
/// They start saturated, so that the first result applies at once; warnings count as successes.
#[derive(Clone, Debug)]
pub struct Counters {
    thresholds: Thresholds,
    successes: i64,
    failures: i64,
}

/// How many results in a row it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// To pass.
    pub success_before_passing: i64,
    /// To warn; 0 means as many as to turn critical.
    pub failures_before_warning: i64,
    /// To turn critical.
    pub failures_before_critical: i64,
}

/// The checks that somebody else performs, and until when each has to be heard of.
#[derive(Clone, Debug, Default)]
pub struct TtlBook {
    due: Deadlines,
    last_output: HashMap<Arc<str>, Box<str>>,
}

// === impl Dice ===

impl Dice {
    /// Dice that fall as the seed says.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A random part of a span, below it.
    pub fn part_of(&mut self, span: Duration) -> Duration {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.roll().checked_rem(nanos).unwrap_or(0))
    }
}

// === impl Deadlines ===

impl Deadlines {
    /// Sets a name's deadline anew.
    pub fn set(&mut self, name: &Arc<str>, at: Time) {
        self.clear(name);
        self.at.insert(Arc::clone(name), at);
        self.order.insert((at, Arc::clone(name)));
    }

    /// Forgets a name.
    pub fn clear(&mut self, name: &str) {
        if let Some((name, at)) = self.at.remove_entry(name) {
            self.order.remove(&(at, name));
        }
    }

    /// A name's deadline.
    pub fn get(&self, name: &str) -> Option<Time> {
        self.at.get(name).copied()
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Time> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes out every name whose deadline is not after now, earliest first.
    pub fn take_due(&mut self, now: Time) -> Vec<Arc<str>> {
        let mut due = Vec::new();
        while self.next().is_some_and(|at| at <= now) {
            let Some((_, name)) = self.order.pop_first() else { break };
            self.at.remove(&name);
            due.push(name);
        }
        due
    }
}

// === impl Schedule ===

impl Schedule {
    /// Plans a check anew: its first run comes after a random part of the interval.
    pub fn plan(
        &mut self,
        id: &Arc<str>,
        definition: &CheckDefinition,
        now: Time,
        dice: &mut Dice,
    ) {
        let interval = definition.interval.max(INTERVAL_MIN);
        self.latest += 1;
        let counters = Counters::new(Thresholds::from(definition));
        self.plans.insert(Arc::clone(id), Plan { number: self.latest, interval, counters });
        self.due.set(id, now + dice.part_of(interval));
    }

    /// A check is no longer run.
    pub fn forget(&mut self, id: &str) {
        self.plans.remove(id);
        self.due.clear(id);
    }

    /// When the next run is due.
    pub fn next_due(&self) -> Option<Time> {
        self.due.next()
    }

    /// The checks to run now, each with the number of its plan.
    pub fn take_due(&mut self, now: Time) -> Vec<(Arc<str>, u64)> {
        let due = self.due.take_due(now);
        due.into_iter().filter_map(|id| Some((id.clone(), self.plans.get(&id)?.number))).collect()
    }

    /// A run ended: the next is due an interval later. Returns the status to set, when the thresholds let it count.
    pub fn heard(
        &mut self,
        id: &Arc<str>,
        number: u64,
        found: Found<'_>,
        now: Time,
    ) -> Option<Status> {
        let plan = self.plans.get_mut(id).filter(|plan| plan.number == number)?;
        self.due.set(id, now + plan.interval);
        match found {
            Found::Counted(status) => plan.counters.count(status),
            Found::Certain(status) => Some(status.clone()),
        }
    }

    /// How many checks are run.
    pub fn len(&self) -> usize {
        self.plans.len()
    }

    /// Whether no check is run.
    pub fn is_empty(&self) -> bool {
        self.plans.is_empty()
    }
}

/// What a run found.
#[derive(Clone, Copy, Debug)]
pub enum Found<'a> {
    /// Counts towards the thresholds.
    Counted(&'a Status),
    /// Applies at once (Consul: a command that could not be started, or took too long).
    Certain(&'a Status),
}

// === impl Counters ===

impl Counters {
    /// Saturated counters.
    pub fn new(thresholds: Thresholds) -> Self {
        let successes = thresholds.success_before_passing;
        Self { thresholds, successes, failures: thresholds.failures_before_critical }
    }

    /// Counts a result; returns the status that it leads to, if any.
    pub fn count(&mut self, found: &Status) -> Option<Status> {
        if matches!(found, Status::Passing | Status::Warning) {
            self.successes = self.successes.saturating_add(1);
            self.failures = 0;
            return (self.successes >= self.thresholds.success_before_passing)
                .then(|| found.clone());
        }
        self.failures = self.failures.saturating_add(1);
        self.successes = 0;
        if self.failures >= self.thresholds.failures_before_critical {
            return Some(found.clone());
        }
        (self.failures >= self.thresholds.failures_before_warning).then_some(Status::Warning)
    }
}

// === impl Thresholds ===

impl From<&CheckDefinition> for Thresholds {
    fn from(definition: &CheckDefinition) -> Self {
        let failures_before_critical = definition.failures_before_critical;
        let failures_before_warning = match definition.failures_before_warning {
            0 => failures_before_critical,
            given => given,
        };
        let success_before_passing = definition.success_before_passing;
        Self { success_before_passing, failures_before_warning, failures_before_critical }
    }
}

// === impl TtlBook ===

impl TtlBook {
    /// A TTL begins, with nothing said yet.
    pub fn start(&mut self, id: &Arc<str>, ttl: Duration, now: Time) {
        self.last_output.remove(id);
        self.due.set(id, now + ttl);
    }

    /// A check was heard of: its TTL begins anew.
    pub fn renew(&mut self, id: &Arc<str>, ttl: Duration, output: &str, now: Time) {
        self.last_output.insert(Arc::clone(id), output.into());
        self.due.set(id, now + ttl);
    }

    /// A check goes.
    pub fn forget(&mut self, id: &str) {
        self.last_output.remove(id);
        self.due.clear(id);
    }

    /// When the next TTL runs out.
    pub fn next_due(&self) -> Option<Time> {
        self.due.next()
    }

    /// The checks whose TTL ran out, with what is to be told of them. Each is told once.
    pub fn take_expired(&mut self, now: Time) -> Vec<(Arc<str>, String)> {
        let expired = self.due.take_due(now);
        expired.into_iter().map(|id| (id.clone(), self.expired_output(&id))).collect()
    }

    fn expired_output(&self, id: &str) -> String {
        match self.last_output.get(id).filter(|output| !output.is_empty()) {
            Some(output) => format!("TTL expired (last output before timeout follows): {output}"),
            None => "TTL expired".into(),
        }
    }
}

/// Cuts what was told of a TTL check, as Consul does: the beginning stays, and how much there was is said.
pub fn cut_note(note: &str, bytes_max: usize) -> String {
    match note.as_bytes().get(..bytes_max) {
        Some(kept) if note.len() > bytes_max => {
            let kept = String::from_utf8_lossy(kept);
            format!("{kept} ... (captured {bytes_max} of {} bytes)", note.len())
        }
        _ => note.into(),
    }
}

/// What a command wrote, cut as Consul does: the end stays (`tail`, of `total` bytes), and how much there was is said.
pub fn cut_script_output(tail: &[u8], total: u64) -> String {
    let kept = String::from_utf8_lossy(tail);
    if total > tail.len() as u64 {
        return format!("Captured {} of {total} bytes\n...\n{kept}", tail.len());
    }
    kept.into_owned()
}

#[cfg(test)]
mod tests;
