//! Reads that answer when what they show has changed, whatever else moved their index meanwhile.

use proconsul_anchors::caller::Caller;
use proconsul_anchors::handle::Answer;
use proconsul_anchors::query::Query;
use tokio::time::Instant;

use crate::Site;
use crate::blocking;
use crate::extract::ReadOptions;
use crate::reject::Reject;

/// What an answer shows.
pub(crate) struct Seen<T> {
    /// Whether it shows anything at all: what is missing and stays missing wakes nobody.
    pub(crate) found: bool,
    /// Its index; mostly that of the answer.
    pub(crate) index: u64,
    /// It.
    pub(crate) shown: T,
}

/// Answers a read: at once, or when what it shows is another than at first, or when the patience is over. The answer's index is
/// that of what it shows: who waited for nothing is told the index from before.
pub(crate) async fn read_changed<T: PartialEq>(
    site: &Site,
    caller: &Caller,
    options: &ReadOptions,
    query: &Query,
    show: impl Fn(&Answer) -> Seen<T>,
) -> Result<(Answer, T), Reject> {
    let now = ReadOptions { after: 0, ..options.clone() };
    let mut answer = blocking::read(site, caller, &now, query).await?;
    let first = show(&answer);
    let mut woken_above = answer.index;
    answer.index = first.index;
    if options.after == 0 || first.index > options.after {
        return Ok((answer, first.shown));
    }
    drop(answer);
    let end = Instant::now() + options.patience;
    loop {
        let patience = end.saturating_duration_since(Instant::now());
        let next = ReadOptions { after: woken_above, patience, ..options.clone() };
        let mut answer = blocking::read(site, caller, &next, query).await?;
        let seen = show(&answer);
        let same = seen.shown == first.shown || (!seen.found && !first.found);
        if !same && seen.index > options.after {
            answer.index = seen.index;
            return Ok((answer, seen.shown));
        }
        if answer.index <= woken_above || Instant::now() >= end {
            answer.index = first.index;
            return Ok((answer, seen.shown));
        }
        woken_above = answer.index;
    }
}
