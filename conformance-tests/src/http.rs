//! A plain HTTP/1.1 client that hides nothing: header names keep their case, bodies their bytes, and a request may be as
//! wrong as the test wants it.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// Longer than any answer that a test waits for (blocking queries are asked with waits of seconds).
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// A request as it goes out.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `GET`, `PUT` …
    pub method: String,
    /// Path and query, already escaped.
    pub target: String,
    /// Headers beside `Host` and the body's length.
    pub headers: Vec<(String, String)>,
    /// The body; sent in chunks when a header `Transfer-Encoding: chunked` is there.
    pub body: Vec<u8>,
}

impl Request {
    /// A request without headers and body.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        Self { method: method.to_owned(), target: target.to_owned(), ..Self::default() }
    }

    /// The same with a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
    }

    fn head(&self, host: SocketAddr) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self.has("Host") {
            head += &format!("Host: {host}\r\n");
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let carries = !self.body.is_empty() || matches!(self.method.as_str(), "PUT" | "POST");
        if carries && !self.has("Transfer-Encoding") && !self.has("Content-Length") {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        head + "\r\n"
    }
}

/// An answer as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The number of the status line.
    pub status: u16,
    /// Headers in order, names in their case.
    pub headers: Vec<(String, String)>,
    /// The body without its framing.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of that name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.as_str())
    }

    /// `X-Consul-Index`, 0 when absent.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.header("X-Consul-Index").and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// The body as text, broken bytes replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One address, one kept connection.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    kept: Option<BufReader<TcpStream>>,
    patience: Duration,
    token: Option<String>,
}

impl Client {
    /// A client of that address; connects when first asked.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address, kept: None, patience: ANSWER_MAX, token: None }
    }

    /// The same, waiting at most so long for bytes.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The same, showing a token with every request that brings none of its own.
    #[must_use]
    pub fn token(mut self, token: Option<&str>) -> Self {
        self.token = token.map(ToOwned::to_owned);
        self
    }

    /// Sends the request and reads the whole answer; once more on a new connection if a kept one had been closed.
    ///
    /// # Errors
    /// What the socket said, or `InvalidData` when the answer is no HTTP.
    pub fn send(&mut self, request: &Request) -> io::Result<Answer> {
        let named = self.token.as_ref().filter(|_| !request.has("X-Consul-Token"));
        let named = named.map(|token| request.clone().header("X-Consul-Token", token));
        let request = named.as_ref().unwrap_or(request);
        if let Some(mut kept) = self.kept.take()
            && let Ok((answer, keep)) = exchange(&mut kept, self.address, request)
        {
            self.kept = keep.then_some(kept);
            return Ok(answer);
        }
        let mut fresh = self.connect()?;
        let (answer, keep) = exchange(&mut fresh, self.address, request)?;
        self.kept = keep.then_some(fresh);
        Ok(answer)
    }

    /// Sends only what is given, byte for byte, and reads the answer.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<Answer> {
        let mut fresh = self.connect()?;
        // The other side may answer and close before it has read all: the answer counts.
        let _refused = fresh.get_mut().write_all(bytes);
        read_answer(&mut fresh, false).map(|(answer, _)| answer)
    }

    /// A shorthand for a request without headers.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub fn ask(&mut self, method: &str, target: &str, body: &str) -> io::Result<Answer> {
        self.send(&Request::new(method, target).body(body))
    }

    fn connect(&self) -> io::Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect_timeout(&self.address, self.patience)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(self.patience))?;
        stream.set_write_timeout(Some(self.patience))?;
        Ok(BufReader::new(stream))
    }
}

fn exchange(
    wire: &mut BufReader<TcpStream>,
    host: SocketAddr,
    request: &Request,
) -> io::Result<(Answer, bool)> {
    let mut bytes = request.head(host).into_bytes();
    if request.has("Transfer-Encoding") {
        for piece in request.body.chunks(64 * 1024) {
            bytes.extend(format!("{:x}\r\n", piece.len()).bytes());
            bytes.extend(piece);
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"0\r\n\r\n");
    } else {
        bytes.extend(&request.body);
    }
    let sent = wire.get_mut().write_all(&bytes);
    let answer = read_answer(wire, request.method == "HEAD");
    match (sent, answer) {
        (_, Ok(answer)) => Ok(answer),
        (Err(error), Err(_)) | (Ok(()), Err(error)) => Err(error),
    }
}

fn read_answer(wire: &mut BufReader<TcpStream>, only_head: bool) -> io::Result<(Answer, bool)> {
    let status_line = line(wire)?;
    let status = status_line.split(' ').nth(1).and_then(|number| number.parse().ok());
    let mut answer = Answer { status: status.ok_or_else(no_http)?, ..Answer::default() };
    loop {
        let header = line(wire)?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').ok_or_else(no_http)?;
        answer.headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut keep = answer.header("Connection").is_none_or(|v| !v.eq_ignore_ascii_case("close"));
    let chunked = answer.header("Transfer-Encoding").is_some_and(|v| v == "chunked");
    let length = answer.header("Content-Length").and_then(|v| v.parse::<usize>().ok());
    match length {
        _ if only_head || matches!(answer.status, 100..=199 | 204 | 304) => {}
        _ if chunked => read_chunks(wire, &mut answer.body)?,
        Some(length) => {
            answer.body.resize(length, 0);
            wire.read_exact(&mut answer.body)?;
        }
        None => {
            keep = false;
            wire.read_to_end(&mut answer.body)?;
        }
    }
    Ok((answer, keep))
}

fn read_chunks(wire: &mut BufReader<TcpStream>, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let size = usize::from_str_radix(line(wire)?.trim(), 16).map_err(|_| no_http())?;
        let start = body.len();
        body.resize(start + size, 0);
        wire.read_exact(&mut body[start..])?;
        line(wire)?;
        if size == 0 {
            return Ok(());
        }
    }
}

fn line(wire: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut bytes = Vec::new();
    if wire.read_until(b'\n', &mut bytes)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn no_http() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the answer is no HTTP/1.1")
}
