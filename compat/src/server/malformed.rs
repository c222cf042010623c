//! What Go's server says to a head that it cannot read. The HTTP library has its own, silent answer to these: the guard
//! holds it back on the way out, and this one is sent instead.

/// The whole answer to a head that cannot be read.
pub(super) fn answer(head: &[u8], too_large: bool) -> Vec<u8> {
    let (line, text) = if too_large { TOO_LARGE } else { fault(&String::from_utf8_lossy(head)) };
    format!("HTTP/1.1 {line}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n{text}").into_bytes()
}

/// A status line and a body.
type Words = (&'static str, &'static str);

const TOO_LARGE: Words =
    ("431 Request Header Fields Too Large", "431 Request Header Fields Too Large");
const BAD: Words = ("400 Bad Request", "400 Bad Request");
const BAD_NAME: Words =
    ("400 Bad Request: invalid header name", "400 Bad Request: invalid header name");
const BAD_VALUE: Words =
    ("400 Bad Request: invalid header value", "400 Bad Request: invalid header value");
const BAD_VERSION: Words = (
    "505 HTTP Version Not Supported: unsupported protocol version",
    "505 HTTP Version Not Supported: unsupported protocol version",
);
const BAD_ENCODING: Words = ("501 Not Implemented", "Unsupported transfer encoding");

/// What is wrong with a head, in the order in which Go looks.
fn fault(head: &str) -> Words {
    let mut lines = head.split('\n').map(|line| line.trim_end_matches('\r'));
    let mut words = lines.next().unwrap_or("").splitn(3, ' ');
    match (words.next(), words.next(), words.next().and_then(version)) {
        (Some(_), Some(_), Some((1, 0 | 1))) => {}
        (Some(_), Some(_), Some(_)) => return BAD_VERSION,
        _ => return BAD,
    }
    let headers: Vec<(&str, &str)> = lines
        .take_while(|line| !line.is_empty())
        .map(|line| line.split_once(':').unwrap_or((line, "")))
        .collect();
    let odd_encoding = |(name, value): &(&str, &str)| {
        name.eq_ignore_ascii_case("transfer-encoding")
            && !value.trim().eq_ignore_ascii_case("chunked")
    };
    let odd_value = |(_, value): &(&str, &str)| {
        value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t')
    };
    match () {
        () if headers
            .iter()
            .any(|(name, _)| !name.bytes().all(|byte| is_token(byte) || byte == b' ')) =>
        {
            BAD
        }
        () if headers.iter().any(odd_encoding) => BAD_ENCODING,
        () if headers.iter().any(|(name, _)| name.contains(' ')) => BAD_NAME,
        () if headers.iter().any(odd_value) => BAD_VALUE,
        () => BAD,
    }
}

/// Major and minor of `HTTP/1.1`.
fn version(text: &str) -> Option<(u8, u8)> {
    let (major, minor) = text.strip_prefix("HTTP/")?.split_once('.')?;
    let digit = |text: &str| text.parse().ok().filter(|number| *number < 10);
    Some((digit(major)?, digit(minor)?))
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_in_gos_words() {
        let cases = [
            ("GET / HTTP/9.9\r\nHost: a\r\n\r\n", BAD_VERSION),
            ("GET /v1/kv/a\r\n\r\n", BAD),
            ("GET / HTTP/x\r\n\r\n", BAD),
            ("GET / HTTP/1.1\r\nBad Name: x\r\n\r\n", BAD_NAME),
            ("GET / HTTP/1.1\r\nBad(Name: x\r\n\r\n", BAD),
            ("GET / HTTP/1.1\r\nName: a\u{1}b\r\n\r\n", BAD_VALUE),
            ("PUT / HTTP/1.1\r\nTransfer-Encoding: zz\r\n\r\n", BAD_ENCODING),
            ("PUT / HTTP/1.1\r\nContent-Length: x\r\n\r\n", BAD),
            ("\u{16}\u{3}", BAD),
        ];
        for (head, words) in cases {
            assert_eq!(fault(head), words, "{head:?}");
        }
    }
}
