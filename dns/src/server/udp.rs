//! Queries by datagram: a thread for a socket, which answers what came together and then sends it together.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::datagrams::Datagrams;
use super::kept::Kept;
use super::{Door, Service};
use crate::limits::ACCEPT_REST;
use crate::settings::Settings;

/// Says that it is over when it is dropped.
struct Over(Arc<AtomicBool>);

/// Answers what arrives at a socket until `stop` says so, or whoever holds it is gone.
pub async fn serve_udp<D: Door>(
    socket: UdpSocket,
    door: D,
    settings: Arc<ArcSwap<Settings>>,
    mut stop: watch::Receiver<bool>,
) {
    let datagrams = match Datagrams::new(socket) {
        Ok(datagrams) => datagrams,
        Err(error) => {
            return tracing::error!(%error, "the system does not tell where datagrams are sent to");
        }
    };
    let over = Over(Arc::default());
    let heard = Arc::clone(&over.0);
    let service = Service::new(door, settings);
    let mut serving =
        tokio::task::spawn_blocking(move || answer_until(&datagrams, &service, &heard));
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
fn answer_until<D: Door>(datagrams: &Datagrams, service: &Service<D>, over: &AtomicBool) {
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
            if service.respond_again(&mut kept, way.client(), query, &mut chance, place) {
                outbox.put(way);
            }
        }
        datagrams.send(&mut outbox);
    }
}

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
