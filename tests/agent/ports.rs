//! Ports for the programs that tests start.

use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the ports that the system gives to outgoing connections: none of them can take one before its program does.
const FIRST: u32 = 10_000;
/// How many there are.
const COUNT: u32 = 20_000;
/// How far apart two processes that run tests begin to look.
const STRIDE: u32 = 64;

/// A port on which nothing listens, handed out once by this process.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(STRIDE);
    (0..COUNT)
        .map(|_| FIRST + begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT)
        .map(|port| u16::try_from(port).expect("all of them are below 65536"))
        .find(|&port| {
            let place = ("127.0.0.1", port);
            TcpListener::bind(place).is_ok() && UdpSocket::bind(place).is_ok()
        })
        .expect("one of them is free")
}
