//! The listeners' side: connections, their bounds, and the end.

pub(crate) mod api;
mod clients;
mod connection;
pub(crate) mod course;
pub(crate) mod gate;
mod guard;
mod malformed;
mod secure;
mod socket;
pub(crate) mod tracked;

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::warn;

pub use self::api::Api;
use self::connection::{Counter, connection};
pub use self::secure::Certificates;
pub use self::socket::Listener;
use crate::limits::{ACCEPT_PAUSE, DRAIN_MAX};

/// Serves the API on a listener until `stop` says so; then what is on its way gets a moment, and everything else ends.
/// With certificates it speaks TLS.
pub async fn serve(
    api: Arc<Api>,
    listener: impl Into<Listener>,
    certificates: Option<Certificates>,
    mut stop: watch::Receiver<bool>,
) {
    let listener = listener.into();
    let counter = Arc::new(Counter::new(api, listener.name()));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match (accepted, &certificates) {
            (Ok((socket, peer)), None) => connections.spawn(connection(&counter, socket, peer)),
            (Ok((socket, peer)), Some(certificates)) => {
                connections.spawn(secure::connection(&counter, certificates, socket, peer))
            }
            (Err(error), _) => {
                warn!(%error, "no connection could be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
    }
    drop(listener);
    tokio::time::sleep(DRAIN_MAX).await;
}
