//! Datagrams that are answered from the address to which they were sent.
//!
//! A socket that is bound to all addresses would otherwise answer from the one that routing prefers, and a client that
//! asked another one drops such a reply.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::limits::RECEIVE_BUFFER_BYTES;

/// A socket that tells for each datagram to which address it was sent.
pub(super) struct Datagrams(UdpSocket);

/// Where a datagram came from, and where it went.
pub(super) struct Way {
    from: SockaddrStorage,
    to: Option<Here>,
}

/// One of our addresses, as the system tells it.
enum Here {
    V4(in_pktinfo),
    V6(in6_pktinfo),
}

// === impl Datagrams ===

impl Datagrams {
    /// Has the system tell destinations from now on, and keep what comes while one is answered.
    pub(super) fn new(socket: UdpSocket) -> io::Result<Self> {
        match socket.local_addr()? {
            SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?,
            SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?,
        }
        // The system gives as much of it as it allows; with less, only bursts are lost sooner.
        if let Err(error) = setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER_BYTES) {
            tracing::debug!(%error, "the receive buffer keeps its size");
        }
        Ok(Self(socket))
    }

    /// Waits for the next one, and says how long it is.
    pub(super) async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Way)> {
        self.0.async_io(Interest::READABLE, || receive(&self.0, buffer)).await
    }

    /// Sends a reply back the way that the query came.
    pub(super) async fn reply(&self, way: &Way, bytes: &[u8]) -> io::Result<()> {
        let to = [IoSlice::new(bytes)];
        let from = way.to.as_ref().map(Here::message);
        let send = || {
            let descriptor = self.0.as_raw_fd();
            sendmsg(descriptor, &to, from.as_slice(), MsgFlags::MSG_NOSIGNAL, Some(&way.from))
                .map_err(Into::into)
        };
        self.0.async_io(Interest::WRITABLE, send).await.map(drop)
    }
}

fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, Way)> {
    let mut space = cmsg_space!(in6_pktinfo);
    let mut into = [IoSliceMut::new(buffer)];
    let received = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut into,
        Some(&mut space),
        MsgFlags::empty(),
    )?;
    let from = received.address.ok_or(io::ErrorKind::AddrNotAvailable)?;
    let to = received.cmsgs()?.find_map(Here::of);
    Ok((received.bytes, Way { from, to }))
}

// === impl Way ===

impl Way {
    /// The client.
    pub(super) fn client(&self) -> Option<IpAddr> {
        let v4 = self.from.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        v4.or_else(|| self.from.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
    }
}

// === impl Here ===

impl Here {
    /// The interface is left to routing: the reply may have to leave by another one.
    fn of(message: ControlMessageOwned) -> Option<Self> {
        match message {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                Some(Self::V4(in_pktinfo { ipi_ifindex: 0, ..info }))
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                Some(Self::V6(in6_pktinfo { ipi6_ifindex: 0, ..info }))
            }
            _ => None,
        }
    }

    fn message(&self) -> ControlMessage<'_> {
        match self {
            Self::V4(info) => ControlMessage::Ipv4PacketInfo(info),
            Self::V6(info) => ControlMessage::Ipv6PacketInfo(info),
        }
    }
}
