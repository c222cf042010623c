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
    /// It.
    pub(crate) shown: T,
}

/// Answers a read: at once, or when what it shows is another than at first, or when the patience is over.
pub(crate) async fn read_changed<T: PartialEq>(
    site: &Site,
    caller: &Caller,
    options: &ReadOptions,
    query: &Query,
    show: impl Fn(&Answer) -> Seen<T>,
) -> Result<(Answer, T), Reject> {
    let now = ReadOptions { after: 0, ..options.clone() };
    let answer = blocking::read(site, caller, &now, query).await?;
    let first = show(&answer);
    if options.after == 0 || answer.index > options.after {
        return Ok((answer, first.shown));
    }
    let end = Instant::now() + options.patience;
    let mut after = options.after;
    drop(answer);
    loop {
        let patience = end.saturating_duration_since(Instant::now());
        let next = ReadOptions { after, patience, ..options.clone() };
        let answer = blocking::read(site, caller, &next, query).await?;
        let seen = show(&answer);
        let moved = answer.index > after;
        let same = seen.shown == first.shown || (!seen.found && !first.found);
        if !moved || !same || Instant::now() >= end {
            return Ok((answer, seen.shown));
        }
        after = answer.index;
    }
}
