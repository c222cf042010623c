//! Many clients at once: each takes the next request as soon as it has the answer to its last.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::Failure;
use crate::http::Connection;

/// The requests of a round, shared by its clients.
#[derive(Debug)]
pub(crate) struct Script {
    requests: Vec<Vec<u8>>,
    next: AtomicUsize,
    repeat: Repeat,
    length_max: Duration,
}

/// Whether a script ends with its last request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeat {
    Once,
    Endless,
}

impl Script {
    /// The same requests over and over, for this long.
    pub(crate) fn lasting(requests: Vec<Vec<u8>>, length: Duration) -> Arc<Self> {
        Arc::new(Self {
            requests,
            next: AtomicUsize::new(0),
            repeat: Repeat::Endless,
            length_max: length,
        })
    }

    /// Each request once, but no longer than this.
    pub(crate) fn once(requests: Vec<Vec<u8>>, length_max: Duration) -> Arc<Self> {
        Arc::new(Self { requests, next: AtomicUsize::new(0), repeat: Repeat::Once, length_max })
    }

    fn next(&self) -> Option<&[u8]> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let turn = if self.repeat == Repeat::Endless { turn % self.requests.len() } else { turn };
        self.requests.get(turn).map(Vec::as_slice)
    }
}

/// What came of a round.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// Shortest first; only of requests answered with 200.
    pub(crate) latencies: Vec<Duration>,
    /// Answers other than 200.
    pub(crate) refused: usize,
    pub(crate) elapsed: Duration,
}

impl Load {
    /// Requests answered with 200 in a second.
    pub(crate) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }
}

/// Connections to one server that stay open from round to round.
#[derive(Debug)]
pub(crate) struct Crowd {
    connections: Vec<Connection>,
}

impl Crowd {
    pub(crate) async fn connect(address: SocketAddr, size: usize) -> Result<Self, Failure> {
        let mut connections = Vec::with_capacity(size);
        for _ in 0..size {
            connections.push(Connection::open(address).await?);
        }
        Ok(Self { connections })
    }

    /// Plays the script on all connections; a broken connection fails the whole.
    pub(crate) async fn play(&mut self, script: &Arc<Script>) -> Result<Load, Failure> {
        let began = Instant::now();
        let deadline = began + script.length_max;
        let mut clients = JoinSet::new();
        for connection in self.connections.drain(..) {
            clients.spawn(client(connection, Arc::clone(script), deadline));
        }
        let mut load = Load::default();
        while let Some(done) = clients.join_next().await {
            let (connection, part) = done??;
            self.connections.push(connection);
            load.latencies.extend(part.latencies);
            load.refused += part.refused;
        }
        load.elapsed = began.elapsed();
        load.latencies.sort_unstable();
        Ok(load)
    }
}

async fn client(
    mut connection: Connection,
    script: Arc<Script>,
    deadline: Instant,
) -> Result<(Connection, Load), Failure> {
    let mut load = Load::default();
    let mut began = Instant::now();
    while began < deadline
        && let Some(request) = script.next()
    {
        let frame = connection.exchange(request).await?;
        let now = Instant::now();
        match frame.status {
            200 => load.latencies.push(now - began),
            _ => load.refused += 1,
        }
        began = now;
    }
    Ok((connection, load))
}
