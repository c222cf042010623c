//! Messages as bytes: made from a line, sent as they are.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

const MESSAGE_SIZE_MAX: usize = 65_535;
const RECURSION_DESIRED: u16 = 1 << 8;
const AUTHENTIC: u16 = 1 << 5;
const CHECKING_DISABLED: u16 = 1 << 4;
const NOTIFY: u16 = 4 << 11;
const DNSSEC_OK: u32 = 1 << 15;

/// How a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// One datagram.
    Udp,
    /// A stream.
    Tcp,
}

/// Sends a message and takes the reply; `None` is silence for so long.
///
/// # Errors
/// What the socket said.
pub fn exchange(
    server: SocketAddr,
    transport: Transport,
    message: &[u8],
    patience: Duration,
) -> io::Result<Option<Vec<u8>>> {
    let reply = match transport {
        Transport::Udp => by_datagram(server, message, patience),
        Transport::Tcp => by_stream(server, message, patience),
    };
    match reply {
        Ok(reply) => Ok(Some(reply)),
        Err(error)
            if [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut].contains(&error.kind()) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn by_datagram(server: SocketAddr, message: &[u8], patience: Duration) -> io::Result<Vec<u8>> {
    let socket = UdpSocket::bind(("127.0.0.1", 0))?;
    socket.set_read_timeout(Some(patience))?;
    socket.send_to(message, server)?;
    let mut buffer = vec![0; MESSAGE_SIZE_MAX];
    let length = socket.recv(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

fn by_stream(server: SocketAddr, message: &[u8], patience: Duration) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(patience))?;
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), message].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply)?;
    Ok(reply)
}

/// The message of a line such as `udp edns=1232 version=1 ecs=1,24,c63364 opt=00030000 class=3 web.service.consul SRV rd cd ad do notify`,
/// or `udp hex=0100… x x` for what comes after the id; `None` when it cannot be understood.
#[must_use]
pub fn question(line: &str, id: u16) -> Option<Vec<u8>> {
    let (options, words): (Vec<&str>, Vec<&str>) =
        line.split(' ').partition(|word| word.contains('='));
    let option = |key: &str| {
        options.iter().find_map(|word| {
            word.split_once('=').filter(|(name, _)| *name == key).map(|(_, value)| value)
        })
    };
    let [_, name, kind, flags @ ..] = words.as_slice() else { return None };
    let mut message = id.to_be_bytes().to_vec();
    if let Some(hex) = option("hex") {
        message.extend(from_hex(hex)?);
        return Some(message);
    }
    let flag = |word: &str, bits: u16| if flags.contains(&word) { bits } else { 0 };
    let bits = flag("rd", RECURSION_DESIRED)
        | flag("ad", AUTHENTIC)
        | flag("cd", CHECKING_DISABLED)
        | flag("notify", NOTIFY);
    let size = option("edns");
    for number in [bits, 1, 0, 0, u16::from(size.is_some())] {
        message.extend(number.to_be_bytes());
    }
    push_name(&mut message, name)?;
    message.extend(kind_number(kind)?.to_be_bytes());
    message
        .extend(option("class").map_or(Some(1), |class| class.parse::<u16>().ok())?.to_be_bytes());
    if let Some(size) = size {
        let flags = if flags.contains(&"do") { DNSSEC_OK } else { 0 };
        let version = option("version").map_or(Some(0), |version| version.parse::<u8>().ok())?;
        let mut more = option("ecs").map_or(Some(Vec::new()), subnet)?;
        more.extend(option("opt").map_or(Some(Vec::new()), from_hex)?);
        message.extend([0, 0, 41]);
        message.extend(size.parse::<u16>().ok()?.to_be_bytes());
        message.extend((flags | u32::from(version) << 16).to_be_bytes());
        message.extend(u16::try_from(more.len()).ok()?.to_be_bytes());
        message.extend(more);
    }
    Some(message)
}

/// A client subnet: family, bits, address in hex.
fn subnet(text: &str) -> Option<Vec<u8>> {
    let [family, bits, address] = text.split(',').collect::<Vec<_>>().try_into().ok()?;
    let address = from_hex(address)?;
    let mut option = vec![0, 8];
    option.extend(u16::try_from(4 + address.len()).ok()?.to_be_bytes());
    option.extend(family.parse::<u16>().ok()?.to_be_bytes());
    option.extend([bits.parse().ok()?, 0]);
    option.extend(address);
    Some(option)
}

/// Labels between dots; `\032` is a byte.
fn push_name(message: &mut Vec<u8>, name: &str) -> Option<()> {
    for label in name.split('.').filter(|label| !label.is_empty()) {
        let mut pieces = label.split('\\');
        let mut bytes = pieces.next()?.as_bytes().to_vec();
        for piece in pieces {
            bytes.push(piece.get(..3)?.parse().ok()?);
            bytes.extend(piece.get(3..)?.bytes());
        }
        message.push(u8::try_from(bytes.len()).ok()?);
        message.extend(bytes);
    }
    message.push(0);
    Some(())
}

fn kind_number(kind: &str) -> Option<u16> {
    let known = [
        ("A", 1),
        ("NS", 2),
        ("CNAME", 5),
        ("SOA", 6),
        ("PTR", 12),
        ("MX", 15),
        ("TXT", 16),
        ("AAAA", 28),
        ("SRV", 33),
        ("DS", 43),
        ("IXFR", 251),
        ("AXFR", 252),
        ("ANY", 255),
    ];
    let number = known.iter().find(|(name, _)| *name == kind).map(|(_, number)| *number);
    number.or_else(|| kind.strip_prefix("TYPE")?.parse().ok())
}

/// Reads hexadecimal digits; `None` when they are none.
#[must_use]
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect()
}

/// Writes hexadecimal digits.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
