//! A whole lineage as lines, made while they are sent.

use std::io;

use bytes::Bytes;
use futures_util::stream;
use proconsul_anchors::acl::Authority;
use proconsul_anchors::lineage::export::{Exported, Head, Tail, write_line};
use proconsul_anchors::lineage::query::{PAGE_ENTRIES_MAX, Wanted, Window};
use proconsul_anchors::lineage::tiles::{Lineage, LineageError};
use proconsul_anchors::scope::ScopePath;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_blocking;
use tracing::info;

use super::tells;
use crate::extract::Ask;
use crate::limits::{EXPORTS_AT_ONCE_MAX, SNAPSHOT_PIECE_BYTES, SNAPSHOT_PIECES_AHEAD};
use crate::reject::Reject;
use crate::reply::Reply;

const NDJSON: &str = "application/x-ndjson";

/// Those that are sent now.
static PLACES: Semaphore = Semaphore::const_new(EXPORTS_AT_ONCE_MAX);

/// What is written, and where it goes.
struct Export {
    lineage: Lineage,
    authority: Authority,
    wanted: Wanted,
    note: Box<str>,
    head: Head,
    sender: mpsc::Sender<io::Result<Bytes>>,
}

/// As many entries as the checkpoint signs that is made for it.
pub(super) async fn export(ask: &Ask, scope: ScopePath, wanted: Wanted) -> Result<Reply, Reject> {
    let place = PLACES.acquire().await;
    let note = ask.site.handle.checkpoint(&scope).await?;
    // It is our own: its second line is the size.
    let size = note.lines().nth(1).and_then(|size| size.parse().ok()).unwrap_or_default();
    let lineage = ask.site.handle.lineage(&scope);
    let head = Head {
        lineage: scope.as_str().into(),
        verifier_key: lineage.verifier_key(scope.as_str()).into(),
        size,
        complete: wanted.is_everything(),
    };
    let (sender, receiver) = mpsc::channel(SNAPSHOT_PIECES_AHEAD);
    let export = Export { lineage, authority: ask.authority()?, wanted, note, head, sender };
    spawn_blocking(move || {
        let _place = place;
        if let Err(error) = export.write() {
            info!(%error, "a lineage was not taken to its end");
            // The client learns that what it has is not the whole. It may be gone itself.
            let _ = export.sender.blocking_send(Err(error));
        }
    });
    let pieces = stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|piece| (piece, receiver))
    });
    Ok(Reply::stream(Box::pin(pieces), Some(NDJSON)))
}

impl Export {
    fn write(&self) -> io::Result<()> {
        let mut out = Vec::with_capacity(SNAPSHOT_PIECE_BYTES);
        write_line(&mut out, &self.head);
        let mut from = 0;
        while from < self.head.size {
            from = self.write_page(&mut out, from)?;
        }
        write_line(&mut out, &Tail { checkpoint: self.note.clone() });
        self.hand_on(&mut out)
    }

    /// Returns where the next page begins.
    fn write_page(&self, out: &mut Vec<u8>, from: u64) -> io::Result<u64> {
        let window = Window { from, reverse: false, limit: PAGE_ENTRIES_MAX };
        let failed = |error: LineageError| io::Error::other(error);
        let page = self.lineage.page(&self.wanted, window).map_err(failed)?;
        for line in page.lines.iter().filter(|line| line.entry.seq < self.head.size) {
            write_line(out, &Exported::of(line, tells(&self.authority, line)));
            if out.len() >= SNAPSHOT_PIECE_BYTES {
                self.hand_on(out)?;
            }
        }
        Ok(page.next.unwrap_or(self.head.size))
    }

    fn hand_on(&self, out: &mut Vec<u8>) -> io::Result<()> {
        let piece = std::mem::replace(out, Vec::with_capacity(SNAPSHOT_PIECE_BYTES));
        let sent = self.sender.blocking_send(Ok(piece.into()));
        sent.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the client went away"))
    }
}
