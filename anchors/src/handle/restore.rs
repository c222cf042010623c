//! Saving and restoring a whole scope.

use std::io::{self, Read, Seek};

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::Handle;
use crate::caller::Caller;
use crate::change::{Change, Restore};
use crate::error::Refusal;
use crate::index::{Index, pack};
use crate::snapshot::{self, About, Pieces, SnapshotError};

/// Pieces that are unpacked ahead of the log.
const PIECES_AHEAD: usize = 2;

/// Why a snapshot was not restored. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// It is not whole, or none.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// Its rows were refused, or the log did not take them.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Handle {
    /// What a snapshot of this index tells of itself.
    pub fn about(&self, index: &Index) -> About {
        About {
            scope: self.0.scope.clone(),
            revision: index.revision(),
            term: self.leads().term,
            at: self.now(),
        }
    }

    /// Replaces everything by what a snapshot holds. It is read twice: first to its end, to see that it is whole, then
    /// piece by piece into the log. Readers see the index as it was until all of it is there.
    ///
    /// # Errors
    /// [`RestoreError`]: nothing has changed.
    pub async fn restore<F>(&self, caller: &Caller, file: F) -> Result<(), RestoreError>
    where
        F: Read + Seek + Send + 'static,
    {
        let checked = spawn_blocking(move || check(file)).await;
        let (file, pieces, digest) = checked.unwrap_or_else(|error| Err(lost(error)))?;
        let id: Box<str> = format!("{:032x}", rand::random::<u128>()).into();
        self.step(caller, Restore::Begin { id: id.clone() }).await?;
        let restored = self.restore_rows(caller, &id, file, pieces, digest).await;
        if restored.is_err() {
            // It says why nothing came of it already.
            let _ = self.step(caller, Restore::Abandon { id }).await;
        }
        restored
    }

    async fn restore_rows<F>(
        &self,
        caller: &Caller,
        id: &str,
        file: F,
        pieces: u32,
        digest: Box<str>,
    ) -> Result<(), RestoreError>
    where
        F: Read + Seek + Send + 'static,
    {
        let (sender, mut packed) = mpsc::channel(PIECES_AHEAD);
        let reading = spawn_blocking(move || pack_rows(file, &sender));
        let mut number = 0;
        while let Some(packed) = packed.recv().await {
            self.step(caller, Restore::Rows { id: id.into(), number, packed }).await?;
            number += 1;
        }
        reading.await.unwrap_or_else(|error| Err(lost(error)))?;
        self.step(caller, Restore::Commit { id: id.into(), pieces, digest }).await
    }

    async fn step(&self, caller: &Caller, step: Restore) -> Result<(), RestoreError> {
        self.submit(caller, Change::Restore(step)).await?;
        Ok(())
    }

    /// Forgets a restore that the end of the process interrupted: whoever asked for it was told nothing.
    pub(super) async fn forget_restore(&self) {
        let Some(id) = self.snapshot().restoring().map(Box::from) else { return };
        if let Err(error) = self.step(&Caller::own(), Restore::Abandon { id }).await {
            tracing::warn!(%error, "a restore that was interrupted is still kept");
        }
    }
}

fn lost(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> SnapshotError {
    SnapshotError::Io(io::Error::other(error))
}

/// Reads a snapshot to its end and goes back to its beginning.
fn check<F: Read + Seek>(mut file: F) -> Result<(F, u32, Box<str>), SnapshotError> {
    let mut reader = Pieces::open(&mut file)?;
    let (pieces, digest) = snapshot::digest_of(&mut reader)?;
    drop(reader);
    file.rewind().map_err(SnapshotError::Io)?;
    Ok((file, pieces, digest))
}

/// Packs the rows of a snapshot for as long as somebody takes them.
fn pack_rows<F: Read>(file: F, packed: &mpsc::Sender<Vec<u8>>) -> Result<(), SnapshotError> {
    let mut pieces = Pieces::open(file)?;
    while let Some(piece) = pieces.next_rows()? {
        if packed.blocking_send(pack::deflate(piece)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}
