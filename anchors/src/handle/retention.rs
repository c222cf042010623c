//! Payloads go when their time is over, or when they are asked to.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use uuid::Uuid;

use super::{Handle, actor};
use crate::acl::vet;
use crate::caller::Caller;
use crate::change::{Change, Prune};
use crate::clock::Time;
use crate::entry::Kind;
use crate::error::Refusal;
use crate::group::Proposal;
use crate::lineage::prune::{PRUNED_AT_ONCE_MAX, Prunable};
use crate::lineage::tiles::LineageError;
use crate::outcome::Outcome;
use crate::scope::{Scope, ScopePath};

/// How often it is looked for payloads whose time is over.
pub const RETENTION_INTERVAL: Duration = Duration::from_secs(30);

/// Why payloads were not pruned.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// The lineage cannot be read.
    #[error(transparent)]
    Lineage(#[from] LineageError),
    /// What was to be recorded was refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The reader did not come to its end.
    #[error("the lineage was not read to its end: {0}")]
    Lost(String),
}

/// What a step leaves for the next one.
#[derive(Clone, Debug, Default)]
pub struct Pruning {
    /// By lineage: where the next step goes on.
    from: HashMap<ScopePath, u64>,
}

impl Handle {
    /// One step: of each lineage with a bound in time, the payloads that are older than it, a bounded number of them. Returns
    /// how many went, and whether there is more to look at.
    ///
    /// # Errors
    /// [`PruneError`]: the rest is left for the next step.
    pub async fn prune_step(
        &self,
        pruning: &mut Pruning,
        now: Time,
    ) -> Result<(u64, bool), PruneError> {
        let index = self.snapshot();
        if index.restoring().is_some() {
            return Ok((0, false));
        }
        let bounded: Vec<(ScopePath, Duration)> = index
            .records::<Scope>()
            .filter(|row| row.record.retention_seconds > 0)
            .map(|row| (row.record.path.clone(), Duration::from_secs(row.record.retention_seconds)))
            .collect();
        drop(index);
        let (mut pruned, mut more) = (0, false);
        for (scope, kept_for) in bounded {
            let before =
                Time(now.0.saturating_sub(kept_for.as_nanos().try_into().unwrap_or(now.0)));
            let from = pruning.from.remove(&scope).unwrap_or_default();
            let found = self.find_prunable(&scope, from, before).await?;
            if let Some(next) = found.next {
                pruning.from.insert(scope.clone(), next);
                more = true;
            }
            pruned += self.prune(&Caller::own(), &scope, &found, None).await?;
        }
        if pruned > 0 {
            self.0.group.compact().await;
        }
        Ok((pruned, more))
    }

    async fn find_prunable(
        &self,
        scope: &ScopePath,
        from: u64,
        before: Time,
    ) -> Result<Prunable, PruneError> {
        let (lineage, index) = (self.lineage(scope), self.snapshot());
        let finding = tokio::task::spawn_blocking(move || {
            let in_force = index.entries_in_force();
            lineage.read(|log| Prunable::find(log, from, before, &in_force))
        });
        let found = finding.await.map_err(|error| PruneError::Lost(error.to_string()))?;
        Ok(found.map_err(LineageError::from)?)
    }

    /// Prunes what an earlier history of a record says: what was written before a moment and is not in force any more.
    /// Payloads of entries that tell of other records, too, go with it. Returns how many went.
    ///
    /// # Errors
    /// [`PruneError`]: some may have gone.
    pub async fn prune_record(
        &self,
        caller: &Caller,
        uid: Uuid,
        before: Time,
    ) -> Result<u64, PruneError> {
        let handle = self.clone();
        let finding = tokio::task::spawn_blocking(move || handle.versions_before(uid, before));
        let found = finding.await.map_err(|error| PruneError::Lost(error.to_string()))??;
        let mut pruned = 0;
        for (scope, prunable) in found {
            pruned += self.prune(caller, &scope, &prunable, Some(uid)).await?;
        }
        if pruned > 0 {
            self.0.group.compact().await;
        }
        Ok(pruned)
    }

    /// The entries of a record's versions, by lineage, but for the one in force.
    fn versions_before(
        &self,
        uid: Uuid,
        before: Time,
    ) -> Result<BTreeMap<ScopePath, Prunable>, LineageError> {
        let lineage = self.0.group.lineage();
        let (index, root) = (self.snapshot(), self.root());
        let mut found: BTreeMap<ScopePath, Prunable> = BTreeMap::new();
        let mut from = 0;
        loop {
            let versions = lineage.versions(uid, from)?;
            let Some((last, _)) = versions.last() else { return Ok(found) };
            from = last + 1;
            for (_, version) in versions {
                let in_force = index.stamp_of(&version.row) == Some((uid, version.order));
                let Some((scope, line)) = lineage.entry_at(version.order)? else { continue };
                let gone = line.payload.is_none() || line.entry.kind == Kind::Prune;
                if in_force || gone || line.entry.at >= before {
                    continue;
                }
                let of_scope = found.entry(scope.unwrap_or_else(|| root.clone())).or_default();
                of_scope.add(line.entry.seq);
                of_scope.order = of_scope.order.max(version.order);
            }
        }
    }

    /// Records that payloads go, which makes them go.
    async fn prune(
        &self,
        caller: &Caller,
        scope: &ScopePath,
        found: &Prunable,
        uid: Option<Uuid>,
    ) -> Result<u64, PruneError> {
        if found.ranges.is_empty() {
            return Ok(0);
        }
        let lineage = self.lineage(scope);
        let reading = tokio::task::spawn_blocking(move || lineage.base());
        let kept = reading.await.map_err(|error| PruneError::Lost(error.to_string()))??;
        let base = match kept.filter(|base| base.order > found.order) {
            Some(base) => base,
            None => self.0.group.seal().await?,
        };
        let mut pruned = 0;
        for seqs in found.ranges.chunks(PRUNED_AT_ONCE_MAX) {
            let prune = Prune { seqs: seqs.to_vec(), base: base.clone(), uid };
            self.record_prune(caller, scope, prune).await?;
            pruned += seqs.iter().map(|(from, end)| end - from).sum::<u64>();
        }
        Ok(pruned)
    }

    /// In the lineage whose payloads go. The rules of access control decide; there is no name that a scope would own.
    async fn record_prune(
        &self,
        caller: &Caller,
        scope: &ScopePath,
        prune: Prune,
    ) -> Result<(), Refusal> {
        let (index, change) = (self.snapshot(), Change::Prune(Box::new(prune)));
        let authority = self.authority_at(caller, &index)?;
        let rule = vet::admit(&authority, &index, &change)?.into();
        let proposal = Proposal {
            actor: actor(caller, &authority).into(),
            at: self.now(),
            salt: rand::random(),
            outcome: Outcome::Resolve,
            rule,
            cause: None,
            scope: Some(scope.clone()),
            credential: None,
            change,
        };
        self.0.group.propose(proposal).await.map(drop)
    }

    /// Prunes what is due, for ever.
    pub async fn prune_due(&self) {
        let mut pruning = Pruning::default();
        loop {
            match self.prune_step(&mut pruning, self.now()).await {
                Ok((_, true)) => {}
                Ok((_, false)) => tokio::time::sleep(RETENTION_INTERVAL).await,
                Err(error) => {
                    tracing::warn!(%error, "payloads whose time is over are still kept");
                    tokio::time::sleep(RETENTION_INTERVAL).await;
                }
            }
        }
    }
}
