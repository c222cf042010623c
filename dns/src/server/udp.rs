//! Queries by datagram: one loop for a socket, an answer before the next question.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::net::UdpSocket;
use tokio::sync::watch;

use super::datagrams::Datagrams;
use super::{Door, Service};
use crate::limits::{ACCEPT_REST, REQUEST_BYTES_MAX};
use crate::settings::Settings;
use crate::shape::Transport;

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
    let service = Service::new(door, settings);
    let mut buffer = vec![0; REQUEST_BYTES_MAX];
    tokio::select! {
        () = answer_for_ever(&datagrams, &service, &mut buffer) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

async fn answer_for_ever<D: Door>(datagrams: &Datagrams, service: &Service<D>, buffer: &mut [u8]) {
    loop {
        let (length, way) = match datagrams.receive(buffer).await {
            Ok(received) => received,
            Err(error) => {
                // A client that went away may be told here; anything else must not make the loop spin.
                tracing::debug!(%error, "receiving failed");
                tokio::time::sleep(ACCEPT_REST).await;
                continue;
            }
        };
        let Some(reply) =
            service.respond(Transport::Udp, way.client(), &buffer[..length], &mut rand::rng())
        else {
            continue;
        };
        if let Err(error) = datagrams.reply(&way, &reply).await {
            tracing::warn!(%error, bytes = reply.len(), "failed to respond");
        }
    }
}
