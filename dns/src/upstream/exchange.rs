//! One message there, one message back.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

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
        let mut reply = vec![0; self.bytes_max + 1];
        loop {
            let length = socket.recv(&mut reply).await?;
            if reply[..length].get(..2) != self.message.get(..2) {
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
        match reply.get(..2) == self.message.get(..2) {
            true => Ok(reply),
            false => Err(io::Error::new(io::ErrorKind::InvalidData, "a reply to something else")),
        }
    }
}
