//! `/v1/anchor/lineage`: the history of a scope, as people read it and as C2SP `tlog-tiles` serves it.
//!
//! A scope's path has slashes. What follows the last of its labels tells what is asked for:
//!
//! ```text
//! /v1/anchor/lineage                                    which lineages there are
//! /v1/anchor/lineage/<scope>                            its entries (?uid= ?actor= ?kind= … ?format=ndjson)
//! /v1/anchor/lineage/<scope>/                           the same, also where the scope's last label is one of the words below
//! /v1/anchor/lineage/<scope>/checkpoint                 the signed note
//! /v1/anchor/lineage/<scope>/tile/<L>/<N>[.p/<W>]       hashes
//! /v1/anchor/lineage/<scope>/tile/entries/<N>[.p/<W>]   leaves
//! ```

mod export;
mod payloads;
mod window;

use http::header::CACHE_CONTROL;
use http::{HeaderValue, Method};
use proconsul_anchors::acl::Act;
use proconsul_anchors::lineage::tiles::{LineageError, TilePath};
use proconsul_anchors::scope::ScopePath;
use tokio::task::spawn_blocking;

pub(crate) use self::payloads::tells;
use self::window::Question;
pub(super) use self::window::moment;
use crate::extract::Ask;
use crate::reject::{LineageFault, Reject};
use crate::reply::{Reply, TEXT_UTF8};
use crate::wire::anchor::lineage::{EntryOut, ListedOut, PageOut};

/// The type of tiles.
const OCTETS: &str = "application/octet-stream";
/// What a tile holds never changes. Only who may read it may keep it.
const FOR_EVER: HeaderValue = HeaderValue::from_static("private, max-age=604800, immutable");
/// A checkpoint is another with each entry.
const NEVER: HeaderValue = HeaderValue::from_static("no-cache");

/// What is asked of a lineage.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Entries,
    Checkpoint,
    Tile(String),
}

/// `GET /v1/anchor/lineage`.
pub(crate) async fn list(ask: Ask) -> Result<Reply, Reject> {
    ask.demand(Act::operator_read())?;
    let handle = ask.site.handle.clone();
    let listed = blocking(move || {
        let scopes = handle.scopes_with_lineage()?.into_iter();
        let of = |scope: ScopePath| {
            let lineage = handle.lineage(&scope);
            let (size, verifier_key) = (lineage.size()?, lineage.verifier_key(scope.as_str()));
            Ok(ListedOut { scope, size, verifier_key })
        };
        scopes.map(of).collect::<Result<Vec<_>, LineageError>>()
    });
    Ok(Reply::json(&listed.await?))
}

/// `GET /v1/anchor/lineage/…`.
pub(crate) async fn one(ask: Ask) -> Result<Reply, Reject> {
    debug_assert_eq!(ask.method, Method::GET, "the only one of its route");
    let (path, asked) = split(ask.rest());
    may_read(&ask, path)?;
    let scope = known(&ask, path).await?;
    match asked {
        Asked::Checkpoint => {
            let note = ask.site.handle.checkpoint(&scope).await?;
            let note: String = note.into();
            Ok(Reply::plain(note, TEXT_UTF8).header(CACHE_CONTROL, NEVER))
        }
        Asked::Tile(tile) => self::tile(&ask, scope, &tile).await,
        Asked::Entries => entries(&ask, scope).await,
    }
}

async fn entries(ask: &Ask, scope: ScopePath) -> Result<Reply, Reject> {
    let question = Question::read(&ask.params)?;
    match ask.params.first("format") {
        "" | "json" => page(ask, scope, question).await,
        "ndjson" => export::export(ask, scope, question.wanted).await,
        other => {
            let why = format!("{other:?} is neither \"json\" nor \"ndjson\"");
            Err(LineageFault::Parameter { name: "format", why }.into())
        }
    }
}

async fn page(ask: &Ask, scope: ScopePath, question: Question) -> Result<Reply, Reject> {
    let lineage = ask.site.handle.lineage(&scope);
    let verifier_key = lineage.verifier_key(scope.as_str());
    let Question { wanted, window, payloads } = question;
    let page = blocking(move || lineage.page(&wanted, window)).await?;
    let authority = ask.authority()?;
    let out = |line| {
        let tells = payloads && tells(&authority, &line);
        EntryOut::of(line, tells)
    };
    Ok(Reply::json(&PageOut {
        scope,
        size: page.size,
        verifier_key,
        entries: page.lines.into_iter().map(out).collect(),
        next: page.next.map(|next| window::cursor(next, window.reverse)),
    }))
}

async fn tile(ask: &Ask, scope: ScopePath, tile: &str) -> Result<Reply, Reject> {
    let Some(path) = TilePath::parse(tile) else {
        return Err(LineageFault::TilePath(shortened(tile)).into());
    };
    let lineage = ask.site.handle.lineage(&scope);
    let bytes = blocking(move || lineage.at(path)).await;
    match bytes {
        Ok(bytes) => Ok(Reply::plain(bytes, OCTETS).header(CACHE_CONTROL, FOR_EVER)),
        Err(Unread::Beyond { size }) => {
            let (scope, asked) = (scope.to_string(), tile.to_owned());
            Err(LineageFault::Beyond { scope, size, asked }.into())
        }
        Err(other) => Err(other.into()),
    }
}

/// A path's scope, and what is asked of its lineage.
fn split(rest: &str) -> (&str, Asked) {
    if let Some(scope) = rest.strip_suffix('/') {
        return (scope, Asked::Entries);
    }
    if let Some(scope) = rest.strip_suffix("/checkpoint") {
        return (scope, Asked::Checkpoint);
    }
    // From the right: a label may be the word, too.
    let is_tile = |at: &usize| {
        let first = rest[at + 1..].split('/').nth(1).unwrap_or_default();
        first == "entries" || first.bytes().all(|byte| byte.is_ascii_digit())
    };
    let at = rest.rmatch_indices("/tile/").map(|(at, _)| at).find(is_tile);
    match at {
        Some(at) => (&rest[..at], Asked::Tile(rest[at + 1..].to_owned())),
        None => (rest, Asked::Entries),
    }
}

/// Operators read every lineage; whoever speaks for a scope reads that one and those under it.
fn may_read(ask: &Ask, path: &str) -> Result<(), Reject> {
    let read = ask.demand(Act::operator_read());
    let own = || {
        let scope = ScopePath::parse(path);
        scope.is_ok_and(|scope| ask.site.handle.speaks_for(&ask.caller, &scope))
    };
    if read.is_err() && own() { Ok(()) } else { read }
}

/// The scope of a path, if it has a lineage.
pub(super) async fn known(ask: &Ask, path: &str) -> Result<ScopePath, Reject> {
    let scope = ScopePath::parse(path);
    if scope.as_ref().is_ok_and(|scope| *scope == ask.site.handle.root()) {
        return Ok(ask.site.handle.root());
    }
    let handle = ask.site.handle.clone();
    let known = blocking(move || handle.scopes_with_lineage()).await?;
    match scope {
        Ok(scope) if known.contains(&scope) => Ok(scope),
        _ => {
            let known = known.iter().map(ToString::to_string).collect();
            Err(LineageFault::UnknownScope { scope: shortened(path), known }.into())
        }
    }
}

/// What was asked for, as far as an error repeats it.
fn shortened(text: &str) -> String {
    const SHOWN_MAX: usize = 200;
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Why a lineage was not read.
#[derive(Debug)]
pub(super) enum Unread {
    Beyond { size: u64 },
    Failed(String),
}

impl From<Unread> for Reject {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Beyond { size } => LineageFault::Unreadable(format!("it has {size} entries")),
            Unread::Failed(why) => LineageFault::Unreadable(why),
        }
        .into()
    }
}

/// Reads the store where that may take a while.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LineageError> + Send + 'static,
) -> Result<T, Unread> {
    match spawn_blocking(work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(LineageError::Beyond { size, .. })) => Err(Unread::Beyond { size }),
        Ok(Err(error)) => Err(Unread::Failed(error.to_string())),
        Err(error) => Err(Unread::Failed(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_the_scope_and_what_is_asked_of_it() {
        let tile = |tile: &str| Asked::Tile(tile.to_owned());
        let cases = [
            ("dc1", "dc1", Asked::Entries),
            ("dc1/payments", "dc1/payments", Asked::Entries),
            ("dc1/payments/", "dc1/payments", Asked::Entries),
            ("dc1/checkpoint", "dc1", Asked::Checkpoint),
            ("dc1/payments/checkpoint", "dc1/payments", Asked::Checkpoint),
            ("dc1/checkpoint/", "dc1/checkpoint", Asked::Entries),
            ("dc1/checkpoint/checkpoint", "dc1/checkpoint", Asked::Checkpoint),
            ("dc1/tile/0/000", "dc1", tile("tile/0/000")),
            ("dc1/a/tile/0/x001/x234/067.p/8", "dc1/a", tile("tile/0/x001/x234/067.p/8")),
            ("dc1/a/tile/entries/000.p/8", "dc1/a", tile("tile/entries/000.p/8")),
            ("dc1/tile/tile/1/000", "dc1/tile", tile("tile/1/000")),
            ("dc1/tile/a", "dc1/tile/a", Asked::Entries),
            ("dc1/tile", "dc1/tile", Asked::Entries),
            ("", "", Asked::Entries),
        ];
        for (rest, scope, asked) in cases {
            assert_eq!(split(rest), (scope, asked), "{rest}");
        }
    }
}
