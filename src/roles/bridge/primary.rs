//! The server that holds a bridged zone, and what it is known to have.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use proconsul_dns::bridge::{Content, Step, divide, steps};
use proconsul_dns::server::update::{self, Done, UpdateError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tracing::warn;

use super::RETRY;

/// How long the server may take for each message.
const PATIENCE: Duration = Duration::from_secs(10);

/// The server.
pub(crate) struct Primary {
    address: SocketAddr,
    zone: update::Primary,
    owner_text: String,
    interval: Duration,
    /// What it is known to have of ours; nothing before it was looked at.
    has: Option<Has>,
    due: Instant,
}

/// What a server has.
struct Has {
    ours: Content,
    /// Names that are somebody else's, and are left alone.
    others: BTreeSet<Box<str>>,
}

/// What kept a zone from being brought up to date.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The way there.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The server.
    #[error("{0}")]
    Update(#[from] UpdateError),
}

/// A connection to it.
struct Talk(TcpStream);

impl Primary {
    /// The zone on a server; looked at this often.
    pub(crate) fn new(
        address: SocketAddr,
        zone: update::Primary,
        owner_text: String,
        interval: Duration,
    ) -> Self {
        Self { address, zone, owner_text, interval, has: None, due: Instant::now() }
    }

    /// Where it is.
    pub(crate) fn server(&self) -> SocketAddr {
        self.address
    }

    /// When it is to be looked at again.
    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// Brings it up to date; tells how many names were changed.
    pub(crate) async fn keep(&mut self, want: &Content, now: u64) -> Result<usize, Fault> {
        let kept = self.try_keep(want, now).await;
        if kept.is_err() {
            // What was done of it is not known.
            self.has = None;
            self.due = Instant::now() + RETRY;
        }
        kept
    }

    async fn try_keep(&mut self, want: &Content, now: u64) -> Result<usize, Fault> {
        let is_due = Instant::now() >= self.due;
        let has = match self.has.take() {
            Some(has) if !is_due => has,
            _ => self.look(now).await?,
        };
        let Has { mut ours, others } = has;
        let (taken, todo): (Vec<Step>, Vec<Step>) =
            steps(&ours, want).into_iter().partition(|step| others.contains(labels(step)));
        if is_due {
            for step in &taken {
                warn!(
                    name = labels(step),
                    "a public name is somebody else's in the bridged zone, and is left alone"
                );
            }
        }
        let mut done = 0;
        if !todo.is_empty() {
            let mut talk = Talk::with(self.address).await?;
            for step in todo {
                match self.send(&mut talk, &step, now).await? {
                    Done::Yes => {
                        record(&mut ours, step);
                        done += 1;
                    }
                    Done::NotOurs => {
                        warn!(
                            name = labels(&step),
                            "a bridged name is not what it was; the zone is looked at again"
                        );
                        self.due = Instant::now() + RETRY;
                    }
                }
            }
        }
        self.has = Some(Has { ours, others });
        Ok(done)
    }

    async fn send(&self, talk: &mut Talk, step: &Step, now: u64) -> Result<Done, Fault> {
        let sent = self.zone.step(step, rand::random(), now)?;
        let answer = talk.exchange(&sent.bytes).await?;
        Ok(sent.judge(&answer)?)
    }

    /// What it has.
    async fn look(&mut self, now: u64) -> Result<Has, Fault> {
        let (message, mut transfer) = self.zone.transfer(rand::random(), now)?;
        let mut talk = Talk::with(self.address).await?;
        let mut answer = talk.exchange(&message).await?;
        let zone = loop {
            if let Some(zone) = transfer.take(&answer)? {
                break zone;
            }
            answer = talk.receive().await?;
        };
        self.due = Instant::now() + self.interval;
        let (ours, others) = divide(zone, &self.owner_text);
        Ok(Has { ours, others })
    }
}

fn labels(step: &Step) -> &str {
    let (Step::Add(labels, _) | Step::Replace(labels, _) | Step::Remove(labels)) = step;
    labels
}

fn record(ours: &mut Content, step: Step) {
    match step {
        Step::Add(labels, facts) | Step::Replace(labels, facts) => drop(ours.insert(labels, facts)),
        Step::Remove(labels) => drop(ours.remove(&labels)),
    }
}

// === impl Talk ===

impl Talk {
    async fn with(server: SocketAddr) -> io::Result<Self> {
        within(TcpStream::connect(server)).await.map(Self)
    }

    async fn exchange(&mut self, message: &[u8]) -> io::Result<Vec<u8>> {
        let length = u16::try_from(message.len())
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let framed = [&length.to_be_bytes(), message].concat();
        within(self.0.write_all(&framed)).await?;
        self.receive().await
    }

    async fn receive(&mut self) -> io::Result<Vec<u8>> {
        let length = within(self.0.read_u16()).await?;
        let mut message = vec![0; usize::from(length)];
        within(self.0.read_exact(&mut message)).await?;
        Ok(message)
    }
}

async fn within<T>(step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(PATIENCE, step).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
