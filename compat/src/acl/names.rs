//! Which names the records of the access control may have.

const SERVICE_BYTES_MAX: usize = 256;
const POLICY_BYTES_MAX: usize = 128;
const ROLE_BYTES_MAX: usize = 256;
const METHOD_BYTES_MAX: usize = 128;

/// Why a policy may not have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PolicyNameFault {
    #[error("Length must be greater than 0 and less than 128")]
    Length,
    #[error("Names cannot be prefixed with '/' or 'builtin/'")]
    Prefix,
    #[error("Only alphanumeric characters, a single '/', '-' and '_' are allowed")]
    Letter,
}

/// Whether a service or a node may be spoken for by this name: lower case, with `-` and `_` inside.
pub(crate) fn is_identity(name: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let inner = |byte: &u8| plain(byte) || matches!(byte, b'-' | b'_');
    let bytes = name.as_bytes();
    name.len() <= SERVICE_BYTES_MAX
        && bytes.first().is_some_and(plain)
        && bytes.last().is_some_and(plain)
        && bytes.iter().all(inner)
}

/// Whether a role may have this name; a policy that a login binds to, too.
pub(crate) fn is_role(name: &str) -> bool {
    is_word(name, ROLE_BYTES_MAX)
}

/// Whether an auth method may have this name.
pub(crate) fn is_method(name: &str) -> bool {
    is_word(name, METHOD_BYTES_MAX)
}

fn is_word(name: &str, max: usize) -> bool {
    (1..=max).contains(&name.len()) && name.bytes().all(is_letter)
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Whether a policy may have this name.
pub(crate) fn check_policy(name: &str) -> Result<(), PolicyNameFault> {
    if !(1..=POLICY_BYTES_MAX).contains(&name.len()) {
        return Err(PolicyNameFault::Length);
    }
    if name.starts_with('/') || name.starts_with("builtin/") {
        return Err(PolicyNameFault::Prefix);
    }
    let (head, tail) = name.split_once('/').unwrap_or((name, ""));
    if !head.is_empty() && head.bytes().chain(tail.bytes()).all(is_letter) {
        Ok(())
    } else {
        Err(PolicyNameFault::Letter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_consul_takes() {
        let long = "a".repeat(257);
        let cases: [(&str, bool, bool, bool); 10] = [
            ("web", true, true, true),
            ("web-1_x", true, true, true),
            ("Web", false, true, true),
            ("-web", false, true, true),
            ("a/b", false, false, true),
            ("a/b/c", false, false, false),
            ("builtin/x", false, false, false),
            ("/x", false, false, false),
            ("", false, false, false),
            (&long, false, false, false),
        ];
        for (name, identity, role, policy) in cases {
            assert_eq!(is_identity(name), identity, "{name}");
            assert_eq!(is_role(name), role, "{name}");
            assert_eq!(check_policy(name).is_ok(), policy, "{name}");
        }
    }
}
