//! Stands between a client and a subject, passes every byte on, and remembers what was asked.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use crate::subject::free_port;

/// A listening proxy; it lives as long as the process.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Where clients connect to.
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Listens on a free port and passes on to `target`.
    ///
    /// # Errors
    /// What the socket said.
    pub fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port()))?;
        let proxy = Self { address: listener.local_addr()?, asked: Arc::default() };
        let asked = proxy.asked.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let asked = asked.clone();
                // A connection that breaks is the client's matter: it asks again.
                thread::spawn(move || _ = pass(client, target, &asked));
            }
        });
        Ok(proxy)
    }

    /// How many requests have come: a mark to count from.
    ///
    /// # Panics
    /// When a passing thread has panicked.
    #[must_use]
    pub fn mark(&self) -> usize {
        self.asked.lock().expect("no thread panics while it holds the list").len()
    }

    /// The request lines since a mark that begin so.
    ///
    /// # Panics
    /// As [`Proxy::mark`].
    #[must_use]
    pub fn since(&self, mark: usize, beginning: &str) -> Vec<String> {
        let asked = self.asked.lock().expect("no thread panics while it holds the list");
        asked[mark..].iter().filter(|line| line.starts_with(beginning)).cloned().collect()
    }
}

fn pass(client: TcpStream, target: SocketAddr, asked: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut server = TcpStream::connect(target)?;
    let (mut back_from, mut back_to) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        // Ends when either side closes; then the other is to see it too.
        let _ended = io::copy(&mut back_from, &mut back_to);
        let _closed = back_to.shutdown(Shutdown::Both);
    });
    let mut requests = BufReader::new(client);
    let passed = pass_requests(&mut requests, &mut server, asked);
    server.shutdown(Shutdown::Both)?;
    passed
}

fn pass_requests(
    from: &mut BufReader<TcpStream>,
    to: &mut TcpStream,
    asked: &Mutex<Vec<String>>,
) -> io::Result<()> {
    loop {
        let mut head = Vec::new();
        let mut length = 0;
        let mut first = None;
        loop {
            let start = head.len();
            if from.read_until(b'\n', &mut head)? == 0 {
                return Ok(());
            }
            let line = String::from_utf8_lossy(&head[start..]).trim_end().to_owned();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                length = value.parse().unwrap_or(0);
            }
            first.get_or_insert(line);
        }
        let line = first.unwrap_or_default();
        asked.lock().expect("no thread panics while it holds the list").push(line);
        to.write_all(&head)?;
        io::copy(&mut from.by_ref().take(length), to)?;
    }
}
