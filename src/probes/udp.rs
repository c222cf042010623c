//! UDP checks: whoever answers, or says nothing, is fit; whoever is not there is not.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use proconsul_anchors::agent::ProbeResult;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::dial::{DialError, Place};
use super::{critical, os_words, passing};

pub(super) async fn perform(address: &str, patience: Duration) -> ProbeResult {
    match timeout(patience, ask(address)).await {
        Ok(Err(why)) => critical(why),
        // No answer in time is none to complain of: a refusal would have come back.
        Ok(Ok(())) | Err(_) => passing(format!("UDP connect {address}: Success")),
    }
}

/// Sends nothing, as Consul does, and waits for any answer.
async fn ask(address: &str) -> Result<(), String> {
    let words = |error: DialError| error.words("udp");
    let addresses = Place::parse(address).map_err(words)?.addresses().await.map_err(words)?;
    let Some((to, shown)) = addresses.into_iter().next() else {
        return Err(words(DialError::Lookup(String::new())));
    };
    let socket = connect(to).await.map_err(|error| words(DialError::Connect(shown, error)))?;
    let ends = match (socket.local_addr(), socket.peer_addr()) {
        (Ok(own), Ok(peer)) => format!("{own}->{peer}"),
        _ => String::new(),
    };
    let failed =
        |verb: &str, error: &io::Error| format!("{verb} udp {ends}: {verb}: {}", os_words(error));
    socket.send(&[]).await.map_err(|error| failed("write", &error))?;
    let mut answer = [0; 1];
    socket.recv(&mut answer).await.map(drop).map_err(|error| failed("read", &error))
}

async fn connect(to: SocketAddr) -> io::Result<UdpSocket> {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(to).await?;
    Ok(socket)
}
