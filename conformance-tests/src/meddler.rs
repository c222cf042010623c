//! Stands between two programs and does harm to the bytes that pass: what comes through must still never be wrong.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering},
    },
    thread,
};

use crate::subject::free_port;

/// What is done to what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Harm {
    /// Nothing.
    None,
    /// One bit of each piece is another one.
    Flip,
    /// Every piece comes twice.
    Repeat,
    /// Nothing comes through, and nobody is told.
    Swallow,
}

/// A listening proxy; it lives as long as the process.
#[derive(Debug, Clone)]
pub struct Meddler {
    /// Where clients connect to.
    pub address: SocketAddr,
    target: SocketAddr,
    harm: Arc<AtomicU8>,
    /// What clients sent over the last connection.
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Meddler {
    /// Listens on a free port and passes on to `target`.
    ///
    /// # Errors
    /// What the socket said.
    pub fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port()))?;
        let meddler = Self {
            address: listener.local_addr()?,
            target,
            harm: Arc::default(),
            sent: Arc::default(),
        };
        let own = meddler.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let own = own.clone();
                // A connection that breaks is the client's matter: it comes again.
                thread::spawn(move || _ = own.pass(&client));
            }
        });
        Ok(meddler)
    }

    /// Does this from now on.
    pub fn set(&self, harm: Harm) {
        self.harm.store(harm as u8, Ordering::Relaxed);
    }

    /// Sends what the last client sent once more, over a connection of its own, and tells how many bytes came back.
    ///
    /// # Errors
    /// What the socket said.
    ///
    /// # Panics
    /// When a passing thread has panicked.
    pub fn replay(&self) -> io::Result<usize> {
        let sent = self.sent.lock().expect("no thread panics while it holds it").clone();
        let mut server = TcpStream::connect(self.target)?;
        server.write_all(&sent)?;
        server.shutdown(Shutdown::Write)?;
        let mut back = Vec::new();
        server.read_to_end(&mut back).or_else(|error| match error.kind() {
            io::ErrorKind::ConnectionReset => Ok(0),
            _ => Err(error),
        })?;
        Ok(back.len())
    }

    fn pass(&self, client: &TcpStream) -> io::Result<()> {
        let server = TcpStream::connect(self.target)?;
        self.sent.lock().expect("no thread panics while it holds it").clear();
        let (from, to, own) = (client.try_clone()?, server.try_clone()?, self.clone());
        thread::spawn(move || _ = own.carry(from, to, true));
        self.carry(server, client.try_clone()?, false)
    }

    fn carry(&self, mut from: TcpStream, mut to: TcpStream, record: bool) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        loop {
            let length = from.read(&mut buffer).unwrap_or(0);
            if length == 0 {
                return to.shutdown(Shutdown::Both);
            }
            let piece = &mut buffer[..length];
            if record {
                let mut sent = self.sent.lock().expect("no thread panics while it holds it");
                sent.extend_from_slice(piece);
            }
            match self.harm.load(Ordering::Relaxed) {
                harm if harm == Harm::Flip as u8 => piece[length / 2] ^= 1,
                harm if harm == Harm::Repeat as u8 => to.write_all(piece)?,
                harm if harm == Harm::Swallow as u8 => continue,
                _ => {}
            }
            to.write_all(piece)?;
        }
    }
}
