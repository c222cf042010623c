//! Reads and writes through the door, with Consul's patience.

use std::time::Duration;

use proconsul_anchors::caller::Caller;
use proconsul_anchors::change::Change;
use proconsul_anchors::handle::{Answer, Committed, Wait};
use proconsul_anchors::query::Query;
use proconsul_anchors::scope::ScopePath;
use proconsul_anchors::traversal::{HTTP_PATIENCE, Subject};
use rand::Rng as _;

use crate::Site;
use crate::counts;
use crate::extract::{Consistency, ReadOptions};
use crate::limits::{LEADER_POLL, LEADER_WAIT_MAX, WAIT_JITTER_FRACTION};
use crate::reject::Reject;

/// Answers a read: at once, or when its index is above the one that was asked for, or when the patience is over.
pub(crate) async fn read(
    site: &Site,
    caller: &Caller,
    options: &ReadOptions,
    query: &Query,
) -> Result<Answer, Reject> {
    if site.handle.knows_far(&options.datacenter) {
        return far(site, caller, options, query).await;
    }
    own_datacenter(site, options)?;
    if options.consistency != Consistency::Stale {
        await_leader(site).await?;
    }
    if options.after == 0 {
        let answer = site.handle.lookup(caller, query)?;
        counts::read();
        return Ok(answer);
    }
    // Who waits is counted from the beginning on: whoever is unknown does not wait.
    site.handle.authority(caller)?;
    counts::read();
    let _waiting = counts::Waiting::begin();
    let patience = jittered(options.patience);
    Ok(site.handle.wait(caller, query, options.after, patience).await?)
}

/// Answers a read of another datacenter that adjacencies lead to.
async fn far(
    site: &Site,
    caller: &Caller,
    options: &ReadOptions,
    query: &Query,
) -> Result<Answer, Reject> {
    let target = ScopePath::parse(&options.datacenter).map_err(|_| Reject::NoPathToDatacenter)?;
    if !Subject::Read(query.clone()).travels() {
        return Err(Reject::NoPathToDatacenter);
    }
    counts::read();
    let _waiting = (options.after > 0).then(counts::Waiting::begin);
    let wait =
        Wait { after: options.after, patience: jittered(options.patience), travel: HTTP_PATIENCE };
    Ok(site.handle.lookup_far(caller, &target, query, wait).await?)
}

/// The datacenters that adjacencies lead to, the nearest first.
pub(crate) fn datacenters(site: &Site) -> Vec<Box<str>> {
    let mut reached = site.handle.reached();
    reached.sort_by_key(|reached| reached.path.len());
    reached.iter().filter_map(|reached| Some(reached.path.last()?.as_str().into())).collect()
}

/// Refuses what is neither of the own datacenter nor of one that adjacencies lead to.
pub(crate) fn known_datacenter(site: &Site, options: &ReadOptions) -> Result<(), Reject> {
    if site.handle.knows_far(&options.datacenter) {
        return Ok(());
    }
    own_datacenter(site, options)
}

/// Carries out a write; while there is no leader it waits for one.
pub(crate) async fn write(
    site: &Site,
    caller: &Caller,
    change: Change,
) -> Result<Committed, Reject> {
    await_leader(site).await?;
    counts::write();
    Ok(site.handle.submit(caller, change).await?)
}

/// Waits as long as a read would whose answer never changes and whose index is 1.
pub(crate) async fn for_nothing(site: &Site, options: &ReadOptions) -> Result<(), Reject> {
    own_datacenter(site, options)?;
    if options.after > 0 {
        tokio::time::sleep(jittered(options.patience)).await;
    }
    Ok(())
}

/// Refuses what is another datacenter's.
pub(crate) fn own_datacenter(site: &Site, options: &ReadOptions) -> Result<(), Reject> {
    let own =
        options.datacenter.is_empty() || options.datacenter == *site.settings.identity.datacenter;
    if own { Ok(()) } else { Err(Reject::NoPathToDatacenter) }
}

pub(crate) async fn await_leader(site: &Site) -> Result<(), Reject> {
    let mut waited = Duration::ZERO;
    while !site.handle.has_leader() {
        if waited >= LEADER_WAIT_MAX {
            return Err(Reject::NoLeader);
        }
        tokio::time::sleep(LEADER_POLL).await;
        waited += LEADER_POLL;
    }
    Ok(())
}

/// The patience and a little more, so that waits that began together do not end together.
fn jittered(patience: Duration) -> Duration {
    patience + rand::rng().random_range(Duration::ZERO..=patience / WAIT_JITTER_FRACTION)
}
