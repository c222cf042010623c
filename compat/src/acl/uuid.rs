//! UUIDs as Consul's two readers of them take them: one for what is written, a laxer one for what is looked up.

use crate::go::text::quote_byte;
use crate::go::uuid::uuid_key;

/// Why a text is no UUID, in the words of whoever reads it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UuidFault {
    #[error("uuid string is wrong length")]
    Length,
    #[error("uuid is improperly formatted")]
    Format,
    #[error("encoding/hex: invalid byte: {0}")]
    Digit(String),
    #[error("index error: {0}")]
    Key(String),
}

/// How long a UUID is written.
const LENGTH: usize = 36;

/// Whether a text is a UUID.
///
/// # Errors
/// Where it is not.
pub(crate) fn check(text: &str) -> Result<(), UuidFault> {
    if text.len() != LENGTH {
        return Err(UuidFault::Length);
    }
    let bytes = text.as_bytes();
    if ![8, 13, 18, 23].into_iter().all(|at| bytes[at] == b'-') {
        return Err(UuidFault::Format);
    }
    odd_digit(text).map_or(Ok(()), |digit| Err(UuidFault::Digit(digit)))
}

/// What a record is looked up by: the id in lower case.
///
/// # Errors
/// Where it cannot be an id.
pub(crate) fn key(text: &str) -> Result<String, UuidFault> {
    uuid_key(text).map_err(UuidFault::Key)
}

/// The first byte that is no hexadecimal digit, as Go tells it.
fn odd_digit(text: &str) -> Option<String> {
    let odd = text.bytes().find(|byte| *byte != b'-' && !byte.is_ascii_hexdigit())?;
    Some(format!("U+{odd:04X} {}", quote_byte(odd)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reader_has_its_words() {
        let fine = "22222222-2222-2222-2222-2222222222AB";
        assert_eq!(check(fine), Ok(()));
        assert_eq!(key(fine).as_deref(), Ok("22222222-2222-2222-2222-2222222222ab"));
        let cases = [
            ("x", "uuid string is wrong length", "index error: UUID must be 36 characters"),
            (
                "22222222-2222-2222-2222-22222222222z",
                "encoding/hex: invalid byte: U+007A 'z'",
                "index error: Invalid UUID: encoding/hex: invalid byte: U+007A 'z'",
            ),
            (
                "2222222-22222-2222-2222-2-2222222222",
                "uuid is improperly formatted",
                "index error: UUID should have maximum of 4 \"-\"; got 5",
            ),
        ];
        for (text, written, looked_up) in cases {
            assert_eq!(check(text).map_err(|fault| fault.to_string()), Err(written.into()));
            assert_eq!(key(text).map_err(|fault| fault.to_string()), Err(looked_up.into()));
        }
    }
}
