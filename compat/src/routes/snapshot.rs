//! `/v1/snapshot`: everything, out and in.

use std::fs::File;
use std::io::{self, Seek as _, Write};

use bytes::Bytes;
use futures_util::stream;
use http::Method;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use proconsul_anchors::acl::Act;
use proconsul_anchors::error::Refusal;
use proconsul_anchors::handle::{Handle, RestoreError};
use proconsul_anchors::snapshot::archive::{self, Server, State};
use proconsul_anchors::snapshot::{About, SnapshotError};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_blocking;
use tracing::info;

use crate::extract::Ask;
use crate::limits::{
    SNAPSHOT_BYTES_MAX, SNAPSHOT_PIECE_BYTES, SNAPSHOT_PIECES_AHEAD, SNAPSHOTS_AT_ONCE_MAX,
};
use crate::reject::{OperatorFault, Reject};
use crate::reply::{Meta, Reply};

/// The type that Go guesses for gzip.
const GZIP: &str = "application/x-gzip";

/// `GET` and `PUT /v1/snapshot`.
pub(crate) async fn snapshot(ask: Ask) -> Result<Reply, Reject> {
    ask.own_datacenter(ask.params.first("dc"))?;
    let stale = ask.params.has("stale");
    if !stale && !ask.site.handle.has_leader() {
        return Err(Reject::NoLeader);
    }
    ask.demand(Act::acl_write())?;
    if ask.method == Method::GET {
        return save(&ask).await;
    }
    if stale {
        return Err(OperatorFault::StaleRestore.into());
    }
    restore(ask).await
}

// === saving ===

/// Those that are sent now.
static PLACES: Semaphore = Semaphore::const_new(SNAPSHOTS_AT_ONCE_MAX);

/// The index as it is now. It is spooled first, because its archive tells how long it is before it comes: a client that
/// takes it slowly keeps a file, and nobody waits.
async fn save(ask: &Ask) -> Result<Reply, Reject> {
    let place = PLACES.acquire().await;
    let handle = &ask.site.handle;
    let known_leader = handle.has_leader();
    let unkept = |error| told(RestoreError::from(SnapshotError::Io(error)));
    let spooling = spool(ask).map(|file| spool_state(handle.clone(), file)).map_err(unkept)?;
    let (file, state, about) = spooling.await.map_err(unkept)?;
    let meta = Meta { index: about.revision, known_leader, ..Meta::default() };
    let servers = [server(ask)];
    let (sender, receiver) = mpsc::channel(SNAPSHOT_PIECES_AHEAD);
    spawn_blocking(move || {
        let _place = place;
        let mut out = Outlet { sender, piece: Vec::with_capacity(SNAPSHOT_PIECE_BYTES) };
        if let Err(error) = archive::finish(&mut out, file, &state, (&about, &servers)) {
            info!(%error, "a snapshot was not taken to its end");
            // The client learns that what it has is not the whole. It may be gone itself.
            let _ = out.sender.blocking_send(Err(error));
        }
    });
    let pieces = stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|piece| (piece, receiver))
    });
    Ok(Reply::stream(Box::pin(pieces), Some(GZIP)).meta(meta))
}

async fn spool_state(handle: Handle, mut file: File) -> io::Result<(File, State, About)> {
    let spooled = spawn_blocking(move || {
        let index = handle.snapshot();
        let about = handle.about(&index);
        let state = archive::write_state(&mut file, &index, &about)?;
        Ok((file, state, about))
    });
    spooled.await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// This one, as the group's server.
fn server(ask: &Ask) -> Server {
    let identity = &ask.site.settings.identity;
    let address = identity.server_address().into();
    Server { suffrage: 0, id: identity.node_id.clone(), address }
}

/// Hands on what is written, in larger pieces.
struct Outlet {
    sender: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Outlet {
    fn hand_on(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(SNAPSHOT_PIECE_BYTES));
        let sent = self.sender.blocking_send(Ok(piece.into()));
        sent.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the client went away"))
    }
}

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= SNAPSHOT_PIECE_BYTES {
            self.hand_on()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hand_on()
    }
}

// === restoring ===

/// What came is kept in a file first: nothing is touched before all of it was found to be whole.
async fn restore(mut ask: Ask) -> Result<Reply, Reject> {
    let file = spool(&ask).map_err(|error| told(RestoreError::from(SnapshotError::Io(error))))?;
    let file = receive(ask.take_body(), file).await?;
    ask.site.handle.restore(&ask.caller, file).await.map_err(told)?;
    ask.site.control.restored();
    info!("a snapshot was restored");
    Ok(Reply::nothing())
}

fn spool(ask: &Ask) -> io::Result<File> {
    ask.site.control.spool()
}

async fn receive(body: Option<Incoming>, mut file: File) -> Result<File, Reject> {
    let (sender, mut receiver) = mpsc::channel::<Bytes>(SNAPSHOT_PIECES_AHEAD);
    let writing = spawn_blocking(move || {
        while let Some(piece) = receiver.blocking_recv() {
            file.write_all(&piece)?;
        }
        file.rewind()?;
        Ok(file)
    });
    let mut length = 0;
    if let Some(mut body) = body {
        while let Some(frame) = body.frame().await {
            let cut = |_| told(RestoreError::from(SnapshotError::Cut));
            let Ok(data) = frame.map_err(cut)?.into_data() else { continue };
            length += data.len() as u64;
            if length > SNAPSHOT_BYTES_MAX {
                return Err(Reject::BodyTooLarge { max: SNAPSHOT_BYTES_MAX });
            }
            if sender.send(data).await.is_err() {
                break;
            }
        }
    }
    drop(sender);
    let written = writing.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    written.map_err(|error| told(RestoreError::from(SnapshotError::Io(error))))
}

/// As near to Consul's words as the format allows.
fn told(error: RestoreError) -> Reject {
    let text = match error {
        RestoreError::Refused(Refusal::Snapshot(reason)) => {
            format!("failed to restore snapshot: {reason}")
        }
        RestoreError::Refused(refusal) => return refusal.into(),
        RestoreError::Snapshot(error) => match error {
            SnapshotError::NotGzip => format!("failed to decompress snapshot: {error}"),
            SnapshotError::Empty => "failed to decompress snapshot: EOF".to_owned(),
            SnapshotError::Short => "failed to decompress snapshot: unexpected EOF".to_owned(),
            SnapshotError::Cut
            | SnapshotError::Foreign
            | SnapshotError::Consul
            | SnapshotError::Newer(_)
            | SnapshotError::Damaged(_) => format!("failed to read snapshot file: {error}"),
            SnapshotError::Io(error) => format!("failed to read or write snapshot data: {error}"),
        },
    };
    OperatorFault::Snapshot(text).into()
}
