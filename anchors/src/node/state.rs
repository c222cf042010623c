//! What checks say: results, TTLs, what is due, and what follows from the passing of time.

use std::sync::Arc;

use super::checks::{Found, cut_note};
use super::{Leaf, LeafCheck, Moved, NodeError, ProbeResult, Run};
use crate::clock::Time;
use crate::service::Status;

impl Leaf {
    /// A TTL check is heard of.
    ///
    /// # Errors
    /// [`NodeError::UnknownCheck`], or [`NodeError::NoTtl`] for a check of another kind.
    pub fn update_ttl(
        &mut self,
        id: &str,
        status: Status,
        output: &str,
        now: Time,
    ) -> Result<Moved, NodeError> {
        let Some((id, entry)) = self.checks.get_key_value(id) else {
            return Err(NodeError::UnknownCheck(id.into()));
        };
        let Some(ttl) = entry.ttl() else { return Err(NodeError::NoTtl(id.as_ref().into())) };
        let (id, output) = (Arc::clone(id), cut_note(output, self.output_max(entry)));
        self.ttls.renew(&id, ttl, &output, now);
        let mut moved = Moved::default();
        moved.check_row(&id);
        self.set_state(&id, status, output, now, &mut moved);
        self.amend(&id, |check| check.valid_until = Some(now + ttl));
        self.follow_aliases(now, &mut moved);
        Ok(moved)
    }

    /// When the leaf wants to be asked again: for runs ([`Leaf::take_due`]) or for the time itself ([`Leaf::tick`]).
    pub fn next_due(&self) -> Option<Time> {
        let timers =
            [self.schedule.next_due(), self.ttls.next_due(), self.held.next(), Some(self.reap_at)];
        timers.into_iter().flatten().min()
    }

    /// The checks to perform now. Each is due again only after its result was [`heard`](Leaf::heard).
    pub fn take_due(&mut self, now: Time) -> Vec<Run> {
        let due = self.schedule.take_due(now);
        due.into_iter().filter_map(|(id, number)| self.run(id, number)).collect()
    }

    fn run(&self, id: Arc<str>, number: u64) -> Option<Run> {
        let entry = self.checks.get(&id)?;
        let definition = entry.definition.as_deref()?;
        let spec = definition.spec()?;
        let timeout = match definition.timeout {
            given if given.is_zero() => spec.default_timeout(),
            given => given,
        };
        Some(Run { check: id, number, spec, timeout, output_max: self.output_max(entry) })
    }

    /// A run ended. Results of checks that were changed or removed meanwhile are dropped.
    pub fn heard(&mut self, id: &Arc<str>, number: u64, result: ProbeResult, now: Time) -> Moved {
        let mut moved = Moved::default();
        let found = match result.certain {
            true => Found::Certain(&result.status),
            false => Found::Counted(&result.status),
        };
        if let Some(status) = self.schedule.heard(id, number, found, now) {
            self.set_state(id, status, result.output, now, &mut moved);
            self.follow_aliases(now, &mut moved);
        }
        moved
    }

    /// What the passing of time brings: TTLs run out, held outputs are told, services critical for too long go.
    pub fn tick(&mut self, now: Time) -> Moved {
        let mut moved = Moved::default();
        for (id, output) in self.ttls.take_expired(now) {
            self.set_state(&id, Status::Critical, output, now, &mut moved);
            self.amend(&id, |check| check.valid_until = None);
        }
        for id in self.held.take_due(now) {
            if let Some(check) = self.checks.get(&id) {
                moved.check(&id, check.service_id());
            }
        }
        if self.reap_at <= now {
            self.reap_at = now + self.settings.reap_interval;
            self.reap(now, &mut moved);
            // Outputs move no alias by themselves: they are followed here, once in a while.
            self.follow_all_aliases(now, &mut moved);
        }
        self.follow_aliases(now, &mut moved);
        moved
    }

    fn reap(&mut self, now: Time, moved: &mut Moved) {
        let overdue = |check: &&Arc<LeafCheck>| self.is_overdue(check, now);
        let services: Vec<Box<str>> = self
            .checks
            .values()
            .filter(overdue)
            .filter_map(|check| check.service_id())
            .map(Box::from)
            .collect();
        for id in services {
            self.drop_service(&id, moved);
            self.drop_sidecar(&id, moved);
        }
    }

    fn is_overdue(&self, check: &LeafCheck, now: Time) -> bool {
        let after = check.definition.as_deref().map(|one| one.deregister_critical_service_after);
        let (Some(after), Some(since)) = (after, check.critical_since) else { return false };
        !after.is_zero() && now.since(since) > after.max(self.settings.deregister_after_min)
    }

    /// Sets what a check says. A change of nothing but the output may wait before it is told upwards.
    pub(super) fn set_state(
        &mut self,
        id: &Arc<str>,
        status: Status,
        output: String,
        now: Time,
        moved: &mut Moved,
    ) {
        let Some(entry) = self.checks.get(id) else { return };
        let output = if self.settings.discard_check_output { String::new() } else { output };
        let critical_since = match status {
            Status::Critical => entry.critical_since.or(Some(now)),
            _ => None,
        };
        let same_status = entry.check.status == status;
        let same_output = *entry.check.output == *output;
        let of = entry.service_id().map(Box::<str>::from);
        self.amend(id, |check| {
            check.critical_since = critical_since;
            check.check.status = status;
            check.check.output = output.into();
        });
        match (same_status, same_output) {
            (true, true) => {}
            (true, false) if !self.settings.check_update_interval.is_zero() => self.hold(id, now),
            _ => {
                self.held.clear(id);
                moved.check(id, of.as_deref());
            }
        }
    }

    /// Output that changes at each run is told once in a while: after half the interval and a random part of it.
    fn hold(&mut self, id: &Arc<str>, now: Time) {
        if self.held.get(id).is_none() {
            let span = self.settings.check_update_interval;
            self.held.set(id, now + span / 2 + self.dice.part_of(span));
        }
    }

    /// Whether a check's output is being held back from upwards.
    pub(super) fn holds_output(&self, id: &str) -> bool {
        self.held.get(id).is_some()
    }

    fn amend(&mut self, id: &str, write: impl FnOnce(&mut LeafCheck)) {
        if let Some(entry) = self.checks.get_mut(id) {
            write(Arc::make_mut(entry));
        }
    }

    fn output_max(&self, entry: &LeafCheck) -> usize {
        let own = entry.definition.as_deref().map_or(0, |definition| definition.output_max_size);
        let own = usize::try_from(own).ok().filter(|&bytes| bytes > 0);
        own.map_or(self.settings.check_output_max, |bytes| {
            bytes.min(self.settings.check_output_max)
        })
    }
}
