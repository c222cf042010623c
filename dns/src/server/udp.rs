//! Queries by datagram: a thread for a socket, which answers what came together and then sends it together.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::datagrams::Datagrams;
use super::kept::Kept;
use super::{Again, Door, Service};
use crate::limits::ACCEPT_REST;

/// Says that it is over when it is dropped.
struct Over(Arc<AtomicBool>);

/// Answers what arrives at a socket until `stop` says so, or whoever holds it is gone.
pub async fn serve_udp<D: Door>(
    socket: UdpSocket,
    service: Arc<Service<D>>,
    mut stop: watch::Receiver<bool>,
) {
    let datagrams = match Datagrams::new(socket) {
        Ok(datagrams) => Arc::new(datagrams),
        Err(error) => {
            return tracing::error!(%error, "the system does not tell where datagrams are sent to");
        }
    };
    let over = Over(Arc::default());
    let heard = Arc::clone(&over.0);
    let runtime = Handle::current();
    let mut serving =
        tokio::task::spawn_blocking(move || answer_until(&datagrams, &service, &runtime, &heard));
    tokio::select! {
        _ = &mut serving => return,
        _ = stop.wait_for(|stop| *stop) => {}
    }
    drop(over);
    if let Err(error) = serving.await {
        tracing::error!(%error, "the thread of a DNS listener ended badly");
    }
}

/// Many queries a system call: what waits in the socket is taken together, and goes together.
/// What has to wait for others is handed to the runtime, and sent when it is there.
fn answer_until<D: Door>(
    datagrams: &Arc<Datagrams>,
    service: &Arc<Service<D>>,
    runtime: &Handle,
    over: &AtomicBool,
) {
    let mut waiting = JoinSet::new();
    let (mut inbox, mut outbox) = (Datagrams::inbox(), datagrams.outbox());
    let mut kept = Kept::default();
    let mut chance = rand::rng();
    while !over.load(Ordering::Relaxed) {
        match datagrams.receive(&mut inbox) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                continue;
            }
            Err(error) => {
                // A client that went away may be told here; anything else must not make the loop spin.
                tracing::debug!(%error, "receiving failed");
                std::thread::sleep(ACCEPT_REST);
                continue;
            }
        }
        service.turn(&mut kept);
        for (query, way) in inbox.queries() {
            let place = outbox.place();
            match service.respond_again(&mut kept, way.client(), query, &mut chance, place) {
                Again::Silence => {}
                Again::Now => outbox.put(way),
                Again::Later(reply) => {
                    let datagrams = Arc::clone(datagrams);
                    waiting.spawn_on(async move { datagrams.send_one(&reply.await, way) }, runtime);
                }
            }
        }
        datagrams.send(&mut outbox);
        while !waiting.is_empty() && waiting.try_join_next().is_some() {}
    }
}

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
