//! What an attestation tells of a request.

use http::Uri;

use crate::extract::params;

/// Parameters that say who asks and how to wait, not what for.
const UNTOLD: [&str; 3] = ["token", "index", "wait"];

/// What a request asks for: its path, and its parameters in order, without those that are secret or only say how to wait.
pub(crate) fn asked(uri: &Uri) -> Box<str> {
    let params = params::read(uri.query().unwrap_or_default());
    let query = params.map(|params| params.encode_without(&UNTOLD)).unwrap_or_default();
    if query.is_empty() { uri.path().into() } else { format!("{}?{query}", uri.path()).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_secrets_nor_how_to_wait_are_told() {
        for (uri, told) in [
            ("/v1/health/service/web", "/v1/health/service/web"),
            ("/v1/kv/a?token=secret", "/v1/kv/a"),
            ("/v1/kv/a?x=1&token=s&raw&index=7&wait=1m", "/v1/kv/a?raw=&x=1"),
            ("http://h/v1/kv/a?b=%20", "/v1/kv/a?b=+"),
            ("/v1/kv/a?token=s;x", "/v1/kv/a"),
        ] {
            assert_eq!(&*asked(&uri.parse().unwrap()), told, "{uri}");
        }
    }
}
