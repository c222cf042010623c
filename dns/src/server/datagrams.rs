//! Datagrams, many at a time, answered from the address to which they were sent.
//!
//! A socket that is bound to all addresses would otherwise answer from the one that routing prefers, and a client that
//! asked another one drops such a reply.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::counter;
use nix::cmsg_space;
use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg,
    sendmmsg, sendmsg, setsockopt, sockopt,
};
use nix::sys::time::TimeSpec;

use crate::limits::{
    DATAGRAMS_AT_ONCE, QUERY_WAIT_MAX, RECEIVE_BUFFER_BYTES, REQUEST_BYTES_MAX, STOP_HEARD_MAX,
};

/// A socket that tells for each datagram to which address it was sent.
pub(super) struct Datagrams {
    socket: UdpSocket,
    v6: bool,
}

/// What came together.
pub(super) struct Inbox {
    headers: MultiHeaders<SockaddrStorage>,
    buffers: Vec<Vec<u8>>,
    came: Vec<Came>,
}

/// One of them: in which buffer, how long, and when, as far as the system tells.
struct Came {
    buffer: usize,
    bytes: usize,
    way: Way,
    at: Option<Duration>,
}

/// What goes together.
pub(super) struct Outbox {
    headers: MultiHeaders<SockaddrStorage>,
    replies: Vec<Vec<u8>>,
    ways: Vec<Way>,
}

/// Where a datagram came from, and where it went.
#[derive(Clone, Copy)]
pub(super) struct Way {
    from: SockaddrStorage,
    to: Option<Here>,
}

/// One of our addresses, as the system tells it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Here {
    V4(in_pktinfo),
    V6(in6_pktinfo),
}

// === impl Datagrams ===

impl Datagrams {
    /// Has the system tell destinations from now on, and keep what comes while one is answered.
    pub(super) fn new(socket: UdpSocket) -> io::Result<Self> {
        let v6 = match socket.local_addr()? {
            SocketAddr::V4(_) => {
                setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
                false
            }
            SocketAddr::V6(_) => {
                setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
                true
            }
        };
        // Without it, old queries are answered as new ones are.
        if let Err(error) = setsockopt(&socket, sockopt::ReceiveTimestampns, &true) {
            tracing::debug!(%error, "the system does not tell when datagrams come");
        }
        // The system gives as much of it as it allows; with less, only bursts are lost sooner.
        if let Err(error) = setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER_BYTES) {
            tracing::debug!(%error, "the receive buffer keeps its size");
        }
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(STOP_HEARD_MAX))?;
        Ok(Self { socket, v6 })
    }

    /// Room for what comes.
    pub(super) fn inbox() -> Inbox {
        let space = cmsg_space!(in6_pktinfo, TimeSpec);
        Inbox {
            headers: MultiHeaders::preallocate(DATAGRAMS_AT_ONCE, Some(space)),
            buffers: vec![vec![0; REQUEST_BYTES_MAX]; DATAGRAMS_AT_ONCE],
            came: Vec::with_capacity(DATAGRAMS_AT_ONCE),
        }
    }

    /// Room for what goes. The room for our own address has to be of its size.
    pub(super) fn outbox(&self) -> Outbox {
        let space = if self.v6 { cmsg_space!(in6_pktinfo) } else { cmsg_space!(in_pktinfo) };
        Outbox {
            headers: MultiHeaders::preallocate(DATAGRAMS_AT_ONCE, Some(space)),
            replies: vec![Vec::new(); DATAGRAMS_AT_ONCE],
            ways: Vec::with_capacity(DATAGRAMS_AT_ONCE),
        }
    }

    /// Waits for the next ones, for a while.
    pub(super) fn receive(&self, inbox: &mut Inbox) -> io::Result<()> {
        inbox.take(self.socket.as_raw_fd())?;
        inbox.forget_late(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        Ok(())
    }

    /// Sends replies back the way that the queries came. What cannot be sent is told, and the others go.
    pub(super) fn send(&self, outbox: &mut Outbox) {
        let mut at = 0;
        while at < outbox.ways.len() {
            at += match outbox.give(self.socket.as_raw_fd(), at) {
                Ok(sent) => sent,
                Err(error) => {
                    let bytes = outbox.replies[at].len();
                    tracing::warn!(%error, bytes, "failed to respond");
                    1
                }
            };
        }
        outbox.ways.clear();
    }
}

impl Datagrams {
    /// Sends one reply that had to wait. It never waits for room: what does not go now is asked for again.
    pub(super) fn send_one(&self, reply: &[u8], way: Way) {
        let from = way.to.as_ref().map(Here::message);
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        let (descriptor, what) = (self.socket.as_raw_fd(), [IoSlice::new(reply)]);
        if let Err(error) = sendmsg(descriptor, &what, from.as_slice(), flags, Some(&way.from)) {
            tracing::warn!(%error, bytes = reply.len(), "failed to respond");
        }
    }
}

// === impl Inbox ===

impl Inbox {
    fn take(&mut self, descriptor: i32) -> io::Result<()> {
        self.came.clear();
        let mut into: Vec<_> =
            self.buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let flags = MsgFlags::MSG_WAITFORONE;
        let received = recvmmsg(descriptor, &mut self.headers, into.iter_mut(), flags, None)?;
        for (buffer, message) in received.enumerate() {
            let Some(from) = message.address else { continue };
            let (mut to, mut at) = (None, None);
            for told in message.cmsgs()? {
                match told {
                    ControlMessageOwned::ScmTimestampns(time) => at = Some(time.into()),
                    told => to = to.or(Here::of(told)),
                }
            }
            self.came.push(Came { buffer, bytes: message.bytes, way: Way { from, to }, at });
        }
        Ok(())
    }

    /// Leaves out what came so long ago that nobody waits for its answer any more: answering would only keep those
    /// waiting who still do. The clock may have been set; then nothing came long ago.
    fn forget_late(&mut self, now: Duration) {
        let before = self.came.len();
        let age = |at: Duration| now.checked_sub(at).unwrap_or_default();
        self.came.retain(|came| came.at.is_none_or(|at| age(at) <= QUERY_WAIT_MAX));
        let late = before - self.came.len();
        if late > 0 {
            counter!("consul.dns.late_queries").increment(late as u64);
            tracing::debug!(late, "queries waited longer than their clients do");
        }
    }

    /// What came last, each with its way.
    pub(super) fn queries(&self) -> impl Iterator<Item = (&[u8], Way)> {
        self.came.iter().map(|came| (&self.buffers[came.buffer][..came.bytes], came.way))
    }
}

// === impl Outbox ===

impl Outbox {
    /// An empty place for the next reply. It goes when [`Outbox::put`] says where.
    pub(super) fn place(&mut self) -> &mut Vec<u8> {
        let next = &mut self.replies[self.ways.len()];
        next.clear();
        next
    }

    /// Sends what was written to the last place this way.
    pub(super) fn put(&mut self, way: Way) {
        self.ways.push(way);
    }

    /// Sends what is left from a place on, as far as it goes out from one address of ours.
    fn give(&mut self, descriptor: i32, at: usize) -> io::Result<usize> {
        let ways = &self.ways[at..];
        let here = ways[0].to;
        let together = ways.iter().take_while(|way| way.to == here).count();
        let what: Vec<_> =
            self.replies[at..at + together].iter().map(|reply| [IoSlice::new(reply)]).collect();
        let whither: Vec<_> = ways[..together].iter().map(|way| Some(way.from)).collect();
        let from = here.as_ref().map(Here::message);
        let flags = MsgFlags::MSG_NOSIGNAL;
        let sent =
            sendmmsg(descriptor, &mut self.headers, what.iter(), whither, from.as_slice(), flags)?;
        Ok(sent.count())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_waits_for_any_more_is_left_out() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = socket.local_addr().unwrap();
        let datagrams = Datagrams::new(socket).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut inbox = Datagrams::inbox();
        client.send_to(b"query", to).unwrap();
        datagrams.receive(&mut inbox).unwrap();
        assert_eq!(inbox.queries().map(|(query, _)| query).collect::<Vec<_>>(), [b"query"]);
        let came = inbox.came[0].at.unwrap();
        for (now, left) in [
            (came + QUERY_WAIT_MAX, 1),
            (came - QUERY_WAIT_MAX, 1),
            (came + QUERY_WAIT_MAX + Duration::from_millis(1), 0),
        ] {
            inbox.forget_late(now);
            assert_eq!(inbox.queries().count(), left);
        }
    }
}
