//! What a query string asks of a lineage.

use proconsul_anchors::clock::Time;
use proconsul_anchors::lineage::query::{PAGE_ENTRIES_MAX, Wanted, Window};
use proconsul_anchors::outcome::Outcome;

use crate::extract::params::Params;
use crate::go::text::parse_bool;
use crate::go::time;
use crate::reject::LineageFault;

/// Entries of a page where nothing is said.
const PAGE_ENTRIES: usize = 100;

/// What is asked.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) wanted: Wanted,
    pub(super) window: Window,
    pub(super) payloads: bool,
}

/// What `?cursor=` takes for the page that begins here.
pub(super) fn cursor(at: u64, reverse: bool) -> String {
    format!("{}{at}", if reverse { "-" } else { "" })
}

// === impl Question ===

impl Question {
    pub(super) fn read(params: &Params) -> Result<Self, LineageFault> {
        let text = |name| params.given(name).filter(|value| !value.is_empty());
        let uid =
            text("uid").map(|uid| uid.parse().map_err(|error: uuid::Error| fault("uid", error)));
        let wanted = Wanted {
            uid: uid.transpose()?,
            actor: text("actor").map(Into::into),
            kind: text("kind").map(Into::into),
            outcome: text("outcome").map(outcome).transpose()?,
            credential: text("credential").map(Into::into),
            since: text("since").map(|value| moment("since", value)).transpose()?,
            until: text("until").map(|value| moment("until", value)).transpose()?,
        };
        let payloads = flag(params, "payload")?;
        Ok(Self { wanted, window: window(params)?, payloads })
    }
}

fn window(params: &Params) -> Result<Window, LineageFault> {
    let limit = match params.first("limit") {
        "" => PAGE_ENTRIES,
        text => text.parse().unwrap_or_default(),
    };
    if !(1..=PAGE_ENTRIES_MAX).contains(&limit) {
        return Err(fault("limit", format!("it must be a number from 1 to {PAGE_ENTRIES_MAX}")));
    }
    let asked = flag(params, "reverse")?;
    let (from, reverse) = match params.first("cursor") {
        "" => (if asked { u64::MAX } else { 0 }, asked),
        text => {
            let (digits, reverse) = match text.strip_prefix('-') {
                Some(digits) => (digits, true),
                None => (text, false),
            };
            let from: Option<u64> = digits.parse().ok();
            let bad = || fault("cursor", "it must be what Next of an earlier page told");
            (from.ok_or_else(bad)?, reverse)
        }
    };
    Ok(Window { from, reverse, limit })
}

fn flag(params: &Params, name: &'static str) -> Result<bool, LineageFault> {
    match params.given(name) {
        None => Ok(false),
        Some("") => Ok(true),
        Some(text) => parse_bool(text).ok_or_else(|| fault(name, "it must be true or false")),
    }
}

fn outcome(text: &str) -> Result<Outcome, LineageFault> {
    let all = [Outcome::Resolve, Outcome::Attest, Outcome::Defer, Outcome::Refuse];
    let known = all.into_iter().find(|outcome| outcome.as_str() == text);
    known.ok_or_else(|| fault("outcome", "it must be resolve, attest, defer or refuse"))
}

/// A moment as RFC 3339 writes it, or in nanoseconds since 1970.
pub(in crate::routes::anchor) fn moment(
    name: &'static str,
    text: &str,
) -> Result<Time, LineageFault> {
    if let Ok(nanoseconds) = text.parse() {
        return Ok(Time(nanoseconds));
    }
    let moment = time::parse(text).ok().and_then(|moment| u64::try_from(moment).ok());
    moment.map(Time).ok_or_else(|| fault(name, "it must be a time as 2026-11-20T17:00:00Z"))
}

fn fault(name: &'static str, why: impl ToString) -> LineageFault {
    LineageFault::Parameter { name, why: why.to_string() }
}
