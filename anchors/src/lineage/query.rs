//! Looking for entries: by record, actor, kind, time, outcome and credential, a bounded page at a time.

use uuid::Uuid;

use super::split_payload;
use super::tiles::{Lineage, LineageError, Payload};
use crate::clock::Time;
use crate::entry::Entry;
use crate::outcome::Outcome;
use crate::store::Fault;

/// Entries of one page at most.
pub const PAGE_ENTRIES_MAX: usize = 1_000;

/// Entries that are looked at for one page: then it ends, though it is not full, and tells where to go on.
pub const PAGE_LOOKED_AT_MAX: u64 = 20_000;

/// Bytes of leaves and payloads after which a page ends.
pub const PAGE_BYTES_MAX: usize = 4 << 20;

/// What is looked for. All that is said must hold.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Entries that speak of this record.
    pub uid: Option<Uuid>,
    /// What this one asked for.
    pub actor: Option<Box<str>>,
    /// What was done, as [`Kind::text`](crate::entry::Kind::text) tells it, or the part before its colon.
    pub kind: Option<Box<str>>,
    /// What was decided.
    pub outcome: Option<Outcome>,
    /// Under this credential.
    pub credential: Option<Box<str>>,
    /// Not before this moment.
    pub since: Option<Time>,
    /// Before this moment.
    pub until: Option<Time>,
}

/// Where a page begins, and which way it goes.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// The first entry that is looked at; in reverse, all are before it.
    pub from: u64,
    /// Newest first.
    pub reverse: bool,
    /// Entries of the page, at most [`PAGE_ENTRIES_MAX`].
    pub limit: usize,
}

/// An entry as it is kept.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it says.
    pub entry: Entry,
    /// The exact bytes of its leaf.
    pub leaf: Vec<u8>,
    /// What it is about; nothing when that was pruned.
    pub payload: Option<Payload>,
}

/// Entries that were found.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// In the order that was asked for.
    pub lines: Vec<Line>,
    /// Where the next page begins; nothing when there is none.
    pub next: Option<u64>,
    /// How many entries the lineage has.
    pub size: u64,
}

// === impl Wanted ===

impl Wanted {
    /// Whether an entry is one of those that are looked for.
    pub fn admits(&self, entry: &Entry) -> bool {
        let kind = || entry.kind.text();
        let is_kind = |wanted: &str| {
            let kind = kind();
            kind == wanted || kind.split_once(':').is_some_and(|(first, _)| first == wanted)
        };
        self.uid.is_none_or(|uid| entry.uid == Some(uid))
            && self.actor.as_ref().is_none_or(|actor| entry.actor == *actor)
            && self.outcome.is_none_or(|outcome| entry.outcome == outcome)
            && self.credential.as_ref().is_none_or(|id| entry.credential.as_ref() == Some(id))
            && self.since.is_none_or(|since| entry.at >= since)
            && self.until.is_none_or(|until| entry.at < until)
            && self.kind.as_deref().is_none_or(is_kind)
    }

    /// Whether everything is wanted.
    pub fn is_everything(&self) -> bool {
        let Self { uid, actor, kind, outcome, credential, since, until } = self;
        uid.is_none()
            && actor.is_none()
            && kind.is_none()
            && outcome.is_none()
            && credential.is_none()
            && since.is_none()
            && until.is_none()
    }
}

// === impl Lineage ===

impl Lineage {
    /// A page of the entries that are wanted.
    ///
    /// # Errors
    /// [`LineageError::Store`].
    pub fn page(&self, wanted: &Wanted, window: Window) -> Result<Page, LineageError> {
        Ok(self.read(|log| {
            let size = log.size()?;
            let range = match window.reverse {
                true => {
                    window.from.min(size).saturating_sub(PAGE_LOOKED_AT_MAX)..window.from.min(size)
                }
                false => {
                    window.from.min(size)..size.min(window.from.saturating_add(PAGE_LOOKED_AT_MAX))
                }
            };
            let mut page = Page { size, ..Page::default() };
            let mut bytes = 0;
            let mut leaves = log.leaves(range.clone())?;
            let limit = window.limit.clamp(1, PAGE_ENTRIES_MAX);
            // Where it goes on: beyond all that was looked at, unless it ends before.
            page.next = match window.reverse {
                true => (range.start > 0).then_some(range.start),
                false => (range.end < size).then_some(range.end),
            };
            while let Some((seq, leaf)) =
                if window.reverse { leaves.next_back() } else { leaves.next() }.transpose()?
            {
                let entry = read_entry(seq, &leaf)?;
                if !wanted.admits(&entry) {
                    continue;
                }
                if page.lines.len() == limit || bytes >= PAGE_BYTES_MAX {
                    page.next = Some(if window.reverse { seq + 1 } else { seq });
                    break;
                }
                let payload = log.payload(seq)?.map(|kept| read_payload(seq, &kept)).transpose()?;
                bytes += leaf.len() + payload.as_ref().map_or(0, |payload| payload.change.len());
                page.lines.push(Line { entry, leaf, payload });
            }
            Ok(page)
        })?)
    }
}

/// What a leaf says.
pub(crate) fn read_entry(seq: u64, leaf: &[u8]) -> Result<Entry, Fault> {
    let entry = serde_json::from_slice(leaf);
    entry.map_err(|error| Fault::damaged(format!("entry {seq}: {error}")))
}

/// A kept payload, apart.
pub(crate) fn read_payload(seq: u64, kept: &[u8]) -> Result<Payload, Fault> {
    let (salt, change) = split_payload(kept)
        .ok_or_else(|| Fault::damaged(format!("the payload of entry {seq} has no salt")))?;
    Ok(Payload { salt: *salt, change: change.to_owned() })
}
