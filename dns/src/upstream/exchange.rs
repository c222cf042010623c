//! One message there, one message back.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::question::Question;
use crate::reader::{Reader, Unreadable};
use crate::shape::Transport;

/// What is sent, and which reply counts.
pub(super) struct Exchange<'a> {
    /// The message.
    pub(super) message: &'a [u8],
    /// The largest reply by datagram that is taken.
    pub(super) bytes_max: usize,
    pub(super) transport: Transport,
    pub(super) timeout: Duration,
}

impl Exchange<'_> {
    /// Sends the message to a server and waits for a reply with its number. Nothing is sent twice.
    pub(super) async fn with(&self, server: SocketAddr) -> io::Result<Vec<u8>> {
        let exchange = async {
            match self.transport {
                Transport::Udp => self.by_datagram(server).await,
                Transport::Tcp => self.by_stream(server).await,
            }
        };
        timeout(self.timeout, exchange)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// A socket of its own for each query: its port is as hard to guess as the number.
    async fn by_datagram(&self, server: SocketAddr) -> io::Result<Vec<u8>> {
        let socket = Socket::new(Domain::for_address(server), Type::DGRAM, None)?;
        socket.set_nonblocking(true)?;
        // The system takes a free port, and drops what others send there.
        socket.connect(&server.into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        socket.send(self.message).await?;
        loop {
            // Whoever waits for long needs no room yet.
            arrival(&socket).await?;
            let mut reply = vec![0; self.bytes_max + 1];
            let length = match socket.try_recv(&mut reply) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            };
            if !is_to(&reply[..length], self.message) {
                continue;
            }
            if length > self.bytes_max {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the reply is too large"));
            }
            reply.truncate(length);
            return Ok(reply);
        }
    }

    async fn by_stream(&self, server: SocketAddr) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(server).await?;
        let length = u16::try_from(self.message.len())
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        stream.write_all(&[&length.to_be_bytes(), self.message].concat()).await?;
        let mut reply = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut reply).await?;
        match is_to(&reply, self.message) {
            true => Ok(reply),
            false => Err(io::Error::new(io::ErrorKind::InvalidData, "a reply to something else")),
        }
    }
}

/// Waits for a datagram, or for the system to tell that the server is not there.
async fn arrival(socket: &UdpSocket) -> io::Result<()> {
    loop {
        let ready = socket.ready(Interest::READABLE | Interest::ERROR).await?;
        if ready.is_readable() {
            return Ok(());
        }
        if let Some(error) = socket.take_error()? {
            return Err(error);
        }
        // It was told before: what comes next is waited for.
        let nothing = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
        let _told = socket.try_io(Interest::ERROR, nothing);
    }
}

/// Whether a message has the number of a query, and its question where it has one.
fn is_to(reply: &[u8], query: &[u8]) -> bool {
    let told = |message: &[u8]| {
        let mut reader = Reader::new(message);
        let head = reader.head()?;
        let question = if head.counts[0] == 0 { None } else { reader.question()? };
        Ok::<_, Unreadable>((head.id, question))
    };
    let (Ok((id, told)), Ok((asked_id, asked))) = (told(reply), told(query)) else { return false };
    let same =
        |told: &Question, asked: &Question| told.name.is(&asked.name) && told.kind == asked.kind;
    id == asked_id && told.zip(asked).is_none_or(|(told, asked)| same(&told, &asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waiting for a server that is not there would cost its whole time.
    #[tokio::test]
    async fn who_is_not_there_is_told_at_once() {
        let gone = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for transport in [Transport::Udp, Transport::Tcp] {
            let timeout = Duration::from_secs(60);
            let exchange = Exchange { message: &[0; 12], bytes_max: 512, transport, timeout };
            let told = exchange.with(gone).await;
            assert_eq!(told.unwrap_err().kind(), io::ErrorKind::ConnectionRefused, "{transport:?}");
        }
    }

    #[test]
    fn a_reply_has_the_number_and_the_question_of_its_query() {
        let message = |id: u8, bits: u8, question: &[u8]| {
            let count = u8::from(!question.is_empty());
            [&[0, id, bits, 0, 0, count, 0, 0, 0, 0, 0, 0], question].concat()
        };
        let query = message(7, 1, b"\x03www\x00\x00\x01\x00\x01");
        for (reply, expected) in [
            (message(7, 0x81, b"\x03WWW\x00\x00\x01\x00\x01"), true),
            (message(7, 0x81, b""), true),
            (message(8, 0x81, b"\x03www\x00\x00\x01\x00\x01"), false),
            (message(7, 0x81, b"\x03wwx\x00\x00\x01\x00\x01"), false),
            (message(7, 0x81, b"\x03www\x00\x00\x1c\x00\x01"), false),
            (message(7, 0x81, b"\x03www\x00")[..14].to_vec(), false),
        ] {
            assert_eq!(is_to(&reply, &query), expected, "{reply:?}");
        }
    }
}
