//! A UDP client that keeps a window of questions open on each of its sockets.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::Failure;
use crate::load::Load;

/// Sockets, each with a window of its own: together as many open questions as dnsperf's `-c 8 -q 200`.
pub(crate) const SOCKETS: usize = 8;
pub(crate) const WINDOW: usize = 25;
/// A datagram that is not there by then is lost.
const LOST_AFTER: Duration = Duration::from_millis(500);
const DATAGRAM_BYTES_MAX: usize = 4096;
const HEADER_BYTES: usize = 12;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    A = 1,
    Srv = 33,
}

/// A question as it goes over the wire, with an id of zero.
pub(crate) fn question(name: &str, kind: Kind) -> Vec<u8> {
    let mut message = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        message.push(u8::try_from(label.len()).expect("a label has at most 63 bytes"));
        message.extend_from_slice(label.as_bytes());
    }
    message.extend([0, 0, kind as u8, 0, 1]);
    message
}

/// Whether an answer is what was asked for. An echo is, for the loop that can do no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// No error, and this many records.
    Records(u16),
    Echo,
}

impl Expect {
    pub(crate) fn accepts(self, message: &[u8]) -> bool {
        let (is_answer, no_error) = (message[2] & 0x80 != 0, message[3] & 0x0f == 0);
        match self {
            Self::Echo => true,
            Self::Records(count) => is_answer && no_error && message[6..8] == count.to_be_bytes(),
        }
    }
}

/// Asks the questions over and over for this long. What was lost or was another answer than expected counts as refused.
pub(crate) async fn flood(
    address: SocketAddr,
    questions: &Arc<Vec<Vec<u8>>>,
    expect: Expect,
    length: Duration,
) -> Result<Load, Failure> {
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for nth in 0..SOCKETS {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        socket.connect(address).await?;
        let client = Client::new(socket, Arc::clone(questions), nth * questions.len() / SOCKETS);
        clients.spawn(client.run(expect, began + length));
    }
    let mut load = Load::default();
    while let Some(part) = clients.join_next().await {
        let part = part??;
        load.latencies.extend(part.latencies);
        load.refused += part.refused;
    }
    load.elapsed = began.elapsed();
    load.latencies.sort_unstable();
    Ok(load)
}

/// Asks once, and tells how long the answer is.
pub(crate) async fn ask_once(address: SocketAddr, question: &[u8]) -> Result<usize, Failure> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(address).await?;
    socket.send(question).await?;
    let mut message = [0; DATAGRAM_BYTES_MAX];
    Ok(timeout(LOST_AFTER, socket.recv(&mut message)).await??)
}

/// One socket. The low half of an id is the place in the window, the high half tells a late answer from the one that is awaited.
struct Client {
    socket: UdpSocket,
    questions: Arc<Vec<Vec<u8>>>,
    next: usize,
    open: [(u16, Instant); WINDOW],
    load: Load,
}

impl Client {
    fn new(socket: UdpSocket, questions: Arc<Vec<Vec<u8>>>, next: usize) -> Self {
        let open = std::array::from_fn(|_| (0, Instant::now()));
        Self { socket, questions, next, open, load: Load::default() }
    }

    async fn run(mut self, expect: Expect, deadline: Instant) -> io::Result<Load> {
        for place in 0..WINDOW {
            self.ask(place).await?;
        }
        let mut message = [0; DATAGRAM_BYTES_MAX];
        let mut now = Instant::now();
        while now < deadline {
            match timeout(LOST_AFTER, self.socket.recv(&mut message)).await {
                Ok(Ok(length)) if length >= HEADER_BYTES => {
                    self.heard(&message[..length], expect).await?
                }
                // A refused port is a server that does not listen yet.
                Ok(_) | Err(_) => self.ask_again().await?,
            }
            now = Instant::now();
        }
        Ok(self.load)
    }

    async fn heard(&mut self, message: &[u8], expect: Expect) -> io::Result<()> {
        let id = u16::from_be_bytes([message[0], message[1]]);
        let place = usize::from(id & 0xff);
        let Some(&(awaited, asked)) = self.open.get(place) else { return Ok(()) };
        if awaited != id {
            return Ok(());
        }
        match expect.accepts(message) {
            true => self.load.latencies.push(asked.elapsed()),
            false => self.load.refused += 1,
        }
        self.ask(place).await
    }

    async fn ask_again(&mut self) -> io::Result<()> {
        self.load.refused += WINDOW;
        for place in 0..WINDOW {
            self.ask(place).await?;
        }
        Ok(())
    }

    async fn ask(&mut self, place: usize) -> io::Result<()> {
        let id = self.open[place].0 & 0xff00 | place as u16;
        let id = id.wrapping_add(0x100);
        self.open[place] = (id, Instant::now());
        let mut message = self.questions[self.next].clone();
        message[..2].copy_from_slice(&id.to_be_bytes());
        self.next = (self.next + 1) % self.questions.len();
        match self.socket.send(&message).await {
            // The answer to the datagram before this one: nobody listens there yet. This one is lost too, and asked again.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            sent => sent.map(|_| ()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_a_name_and_a_kind() {
        let message = question("web.service.consul.", Kind::Srv);
        assert_eq!(&message[..12], &[0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(&message[12..], b"\x03web\x07service\x06consul\0\0\x21\0\x01");
    }

    #[test]
    fn only_whole_answers_count() {
        let answer =
            |flags: u8, code: u8, count: u8| [0, 0, flags, code, 0, 1, 0, count, 0, 0, 0, 0];
        assert!(Expect::Records(3).accepts(&answer(0x84, 0, 3)));
        assert!(!Expect::Records(3).accepts(&answer(0x84, 0, 2)));
        assert!(!Expect::Records(3).accepts(&answer(0x84, 3, 3)));
        assert!(!Expect::Records(3).accepts(&answer(0x01, 0, 3)));
        assert!(Expect::Echo.accepts(&answer(0x01, 0, 0)));
    }
}
