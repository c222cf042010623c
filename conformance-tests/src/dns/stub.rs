//! A name server of the test's own, for names outside: the same question always has the same answer.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::OnceLock,
    thread,
};

const MESSAGE_SIZE_MAX: usize = 65_535;
const PLAIN_UDP_SIZE: usize = 512;
const A: u16 = 1;
const CNAME: u16 = 5;
const SOA: u16 = 6;
const TXT: u16 = 16;
const AAAA: u16 = 28;
const ANY: u16 = 255;
const FAILED: u16 = 2;
const NO_NAME: u16 = 3;
const REFUSED: u16 = 5;
const TRUNCATED: u16 = 1 << 9;
/// Response, recursion available.
const RESPONSE: u16 = 1 << 15 | 1 << 7;
/// What comes back of the question's bits: recursion desired, checking disabled.
const KEPT: u16 = 1 << 8 | 1 << 4;
const TTL: u32 = 77;

/// What is known of a name.
struct Said {
    code: u16,
    /// Owner (empty: the name asked for), type, data.
    records: Vec<(Vec<u8>, u16, Vec<u8>)>,
}

/// Where it listens, UDP and TCP; it starts when it is asked for first, and ends with the process.
///
/// # Panics
/// When no port is free.
pub fn address() -> SocketAddr {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    *ADDRESS.get_or_init(|| {
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, crate::subject::free_port()));
        let socket = UdpSocket::bind(at).expect("the port was free");
        let listener = TcpListener::bind(at).expect("the port was free");
        thread::spawn(move || by_datagram(&socket));
        thread::spawn(move || by_stream(&listener));
        at
    })
}

fn by_datagram(socket: &UdpSocket) {
    let mut buffer = vec![0; MESSAGE_SIZE_MAX];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        if let Some(reply) = reply(&buffer[..length], true) {
            // Whoever went away does not miss it.
            let _sent = socket.send_to(&reply, from);
        }
    }
}

fn by_stream(listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        // A client that goes ends its own thread only.
        thread::spawn(move || drop(serve(stream)));
    }
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut message)?;
        let Some(reply) = reply(&message, false) else { continue };
        let length = u16::try_from(reply.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), &reply[..]].concat())?;
    }
}

/// The reply to a message; nothing to what is no query.
fn reply(message: &[u8], datagram: bool) -> Option<Vec<u8>> {
    let bits = u16::from_be_bytes([*message.get(2)?, *message.get(3)?]);
    let end = 12 + message.get(12..)?.iter().position(|byte| *byte == 0)? + 5;
    let question = message.get(12..end)?;
    let kind = u16::from_be_bytes([question[question.len() - 4], question[question.len() - 3]]);
    let name = question[..question.len() - 4].to_ascii_lowercase();
    let said = said(&text(&name), kind);
    let edns = message.get(11).is_some_and(|count| *count > 0);
    let whole = print(message, bits, question, &said, edns);
    if datagram && !edns && whole.len() > PLAIN_UDP_SIZE && !text(&name).starts_with("wide.") {
        let cut = Said { code: said.code, records: said.records.into_iter().take(9).collect() };
        return Some(print(message, bits | TRUNCATED, question, &cut, edns));
    }
    Some(whole)
}

fn print(message: &[u8], bits: u16, question: &[u8], said: &Said, edns: bool) -> Vec<u8> {
    let mut reply = message[..2].to_vec();
    let bits = RESPONSE | bits & (KEPT | TRUNCATED) | said.code;
    let answers = u16::try_from(said.records.len()).unwrap_or(u16::MAX);
    for number in [bits, 1, answers, 0, u16::from(edns)] {
        reply.extend(number.to_be_bytes());
    }
    reply.extend(question);
    for (owner, kind, data) in &said.records {
        match owner.is_empty() {
            true => reply.extend([0xC0, 12]),
            false => reply.extend(owner),
        }
        reply.extend(kind.to_be_bytes());
        reply.extend([0, 1]);
        reply.extend(TTL.to_be_bytes());
        reply.extend(u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
        reply.extend(data);
    }
    if edns {
        reply.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    }
    reply
}

fn said(name: &str, kind: u16) -> Said {
    let of = |code, records| Said { code, records };
    let address = |owner: &[u8], last: u8| (owner.to_vec(), A, vec![192, 0, 2, last]);
    let addresses = |count: u8| (0..count).map(|last| address(&[], last)).collect::<Vec<_>>();
    let asks = |wanted| kind == wanted || kind == ANY;
    match name.split('.').next().unwrap_or_default() {
        "gone" => of(NO_NAME, Vec::new()),
        "refused" => of(REFUSED, Vec::new()),
        "failing" => of(FAILED, Vec::new()),
        "many" | "wide" => of(0, addresses(40)),
        "chain" => {
            let (second, third) = (wire("chain2.example.test"), wire("Chain3.example.test"));
            let links = [(Vec::new(), CNAME, second.clone()), (second, CNAME, third.clone())];
            let ends = [
                address(&third, 34),
                address(&third, 35),
                (third.clone(), TXT, b"\x05hello".to_vec()),
            ];
            of(0, links.into_iter().chain(ends).collect())
        }
        _ if asks(A) => of(0, vec![address(&[], 33)]),
        _ if asks(AAAA) => {
            of(0, vec![(Vec::new(), AAAA, [vec![0x20, 1, 0xD, 0xB8], vec![3; 12]].concat())])
        }
        _ if asks(SOA) => {
            let names = [wire("ns.example.test"), wire("mail.example.test")].concat();
            of(0, vec![(Vec::new(), SOA, [names, vec![0; 20]].concat())])
        }
        _ => of(0, Vec::new()),
    }
}

fn wire(name: &str) -> Vec<u8> {
    let label = |label: &str| {
        let length = u8::try_from(label.len()).expect("labels here are short");
        [&[length], label.as_bytes()].concat()
    };
    name.split('.').map(label).chain([vec![0]]).collect::<Vec<_>>().concat()
}

/// The labels of a name, for comparing.
fn text(name: &[u8]) -> String {
    let (mut at, mut labels) = (0, Vec::new());
    while let Some(length) =
        name.get(at).map(|length| usize::from(*length)).filter(|length| *length > 0)
    {
        let label = name.get(at + 1..at + 1 + length).unwrap_or_default();
        labels.push(String::from_utf8_lossy(label).into_owned());
        at += length + 1;
    }
    labels.join(".")
}
