//! Asks a subject's DNS listener.

pub mod fixture;
pub mod random;
pub mod shown;
pub mod stub;
pub mod wire;
pub mod world;

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    time::Duration,
};

use hickory_proto::{op::Message, rr::rdata::opt::EdnsOption};

/// DNS over loopback answers at once or not at all.
const ANSWER_MAX: Duration = Duration::from_secs(5);
const MESSAGE_SIZE_MAX: usize = 65_535;
/// The option that carries an extended error.
const EXTENDED_ERROR: u16 = 15;

/// What a question came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The response code's number.
    pub code: u16,
    /// Answer records as zone-file lines.
    pub answers: Vec<String>,
    /// The numbers of its extended errors (RFC 8914).
    pub extended: Vec<u16>,
}

/// Asks for a name and a type (1 A, 33 SRV) over UDP with room for 4096 bytes.
///
/// # Errors
/// What the socket said, or `InvalidData`.
pub fn ask(server: SocketAddr, name: &str, kind: u16) -> io::Result<Found> {
    let socket = UdpSocket::bind(("127.0.0.1", 0))?;
    socket.set_read_timeout(Some(ANSWER_MAX))?;
    socket.send_to(&question(name, kind), server)?;
    let mut buffer = vec![0; MESSAGE_SIZE_MAX];
    let length = socket.recv(&mut buffer)?;
    let message = Message::from_vec(&buffer[..length])
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
    let mut answers: Vec<String> = message.answers.iter().map(ToString::to_string).collect();
    answers.sort();
    let edns = message.edns.as_ref();
    let options = edns.into_iter().flat_map(|edns| edns.options().as_ref());
    let extended = options.filter_map(|(_, option)| match option {
        EdnsOption::Unknown(EXTENDED_ERROR, bytes) => {
            Some(u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]))
        }
        _ => None,
    });
    let extended = extended.collect();
    Ok(Found { code: message.response_code.into(), answers, extended })
}

fn question(name: &str, kind: u16) -> Vec<u8> {
    // id 1, recursion desired, one question, one additional record
    let mut bytes = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    for label in name.trim_end_matches('.').split('.') {
        bytes.push(u8::try_from(label.len()).expect("test labels are short"));
        bytes.extend(label.bytes());
    }
    bytes.push(0);
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0, 1]);
    // OPT, 4096 bytes
    bytes.extend([0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}
