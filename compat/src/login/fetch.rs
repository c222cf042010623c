//! What logins ask of the network, and who asks it.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use proconsul_anchors::caller::Secret;

/// Whoever can ask other servers over HTTP.
pub trait Fetch: Send + Sync + 'static {
    /// Asks one question. Answers are bounded in length and in time by whoever asks.
    fn fetch(&self, request: FetchRequest) -> Fetching<'_>;
}

/// A question under way.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send + 'a>>;

/// A question: a `GET`, or a `POST` when it has a body. No `Debug`: it may hold secrets.
#[derive(Clone)]
pub struct FetchRequest {
    /// Where.
    pub url: String,
    /// Certificates of whom to trust alone, PEM; nothing for whom the machine trusts.
    pub ca: Option<String>,
    /// A bearer token.
    pub bearer: Option<Secret>,
    /// JSON.
    pub body: Option<Bytes>,
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Its status.
    pub status: u16,
    /// The words of its status.
    pub reason: String,
    /// Its type; empty for none.
    pub content_type: String,
    /// All of it.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The certificates of whom to trust cannot be read.
    #[error("could not parse CA PEM value successfully")]
    Ca,
    /// The server was not reached, or broke off. The text names the request, no secret.
    #[error("{0}")]
    Failed(String),
}

impl FetchRequest {
    /// A `GET` of a page.
    pub(crate) fn get(url: &str, ca: &str) -> Self {
        let ca = (!ca.is_empty()).then(|| ca.to_owned());
        Self { url: url.to_owned(), ca, bearer: None, body: None }
    }
}
