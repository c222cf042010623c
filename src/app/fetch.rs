//! Asks other servers over HTTP what logins need to know (keys, and who a token's bearer is), and hands on what the web
//! interface asks for.

use std::error::Error;
use std::io;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use proconsul_compat::{Fetch, FetchError, FetchRequest, Fetched, Fetching, Forward, Forwarded};
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Response};

use crate::probes::{os_words, tls_words};

/// An answer that takes longer is not waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// A connection that takes longer is not waited for.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// A longer answer is refused, in bytes: key sets have some kilobytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Asks with a client of its own for each question: they are rare, and each may trust somebody else.
pub(super) struct Web;

impl Fetch for Web {
    fn fetch(&self, request: FetchRequest) -> Fetching<'_> {
        Box::pin(ask(request))
    }
}

async fn ask(request: FetchRequest) -> Result<Fetched, FetchError> {
    let client = client(request.ca.as_deref())?;
    let (verb, mut asked) = match request.body {
        None => ("Get", client.get(&request.url)),
        Some(body) => {
            let json = client.post(&request.url).header(CONTENT_TYPE, "application/json");
            ("Post", json.body(body))
        }
    };
    if let Some(bearer) = &request.bearer {
        asked = asked.bearer_auth(bearer.expose());
    }
    let shown = without_password(&request.url);
    let failed = |told: String| FetchError::Failed(format!("{verb} {shown:?}: {told}"));
    let response = asked.send().await.map_err(|error| failed(words(&error, &request.url)))?;
    let status = response.status();
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    Ok(Fetched {
        status: status.as_u16(),
        reason: status.canonical_reason().unwrap_or_default().to_owned(),
        content_type: kind.unwrap_or_default().to_owned(),
        body: read(response, ANSWER_BYTES_MAX).await.map_err(failed)?,
    })
}

// === handing on ===

/// One client for all that is handed on: a page asks for many metrics at once. What its connections say is not followed.
static FORWARDING: LazyLock<Option<Client>> = LazyLock::new(|| {
    let _chosen = rustls::crypto::ring::default_provider().install_default();
    // The `Host` may be another than the URL's: only HTTP/1.1 tells it as it is said.
    let builder = Client::builder().http1_only().connect_timeout(CONNECT_PATIENCE);
    let builder = builder.redirect(Policy::none());
    builder.build().ok()
});

/// Hands a question on. Its answer may take as long as the client waits for it.
///
/// # Errors
/// Why there is none.
pub(super) async fn forward(question: Forward) -> Result<Forwarded, String> {
    let Forward { url, headers } = question;
    let client = FORWARDING.as_ref().ok_or("no certificates of whom to trust can be read")?;
    let asked = client.get(&url).headers(headers).send().await;
    let response = asked.map_err(|error| words(&error, &url))?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = stream::unfold(response, |mut response| async {
        let piece = response.chunk().await.map_err(io::Error::other).transpose()?;
        Some((piece, response))
    });
    Ok(Forwarded { status, headers, body: Box::pin(body) })
}

/// A URL as it may be shown.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((user, host)) => {
            let user =
                user.split_once(':').map_or(user.to_owned(), |(name, _)| format!("{name}:***"));
            format!("{scheme}://{user}@{host}{path}")
        }
        None => url.to_owned(),
    }
}

fn client(ca: Option<&str>) -> Result<Client, FetchError> {
    // Another part of the process may have chosen one before: then that one is used.
    let _chosen = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder().timeout(PATIENCE).connect_timeout(CONNECT_PATIENCE);
    if let Some(pem) = ca {
        let trusted = Certificate::from_pem_bundle(pem.as_bytes()).unwrap_or_default();
        if trusted.is_empty() {
            return Err(FetchError::Ca);
        }
        builder = builder.tls_certs_only(trusted);
    }
    builder.build().map_err(|_| FetchError::Ca)
}

/// The body of an answer, of so many bytes at most.
pub(super) async fn read(mut response: Response, bytes_max: usize) -> Result<Bytes, String> {
    let mut body = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(|error| error.to_string())? {
        if body.len() + piece.len() > bytes_max {
            return Err(format!("the answer is longer than {bytes_max} bytes"));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

/// What went wrong, in the words of Go's library where they are known.
pub(super) fn words(error: &reqwest::Error, url: &str) -> String {
    let mut cause = error.source();
    let mut last = error.to_string();
    while let Some(inner) = cause {
        if let Some(os) = inner.downcast_ref::<io::Error>().filter(|os| os.raw_os_error().is_some())
        {
            return format!("dial tcp {}: connect: {}", place(url), os_words(os));
        }
        if let Some(fault) = handshake_fault(inner) {
            return tls_words(&io::Error::other(fault.clone()), &place(url));
        }
        last = inner.to_string();
        cause = inner.source();
    }
    if error.is_timeout() {
        return "context deadline exceeded (Client.Timeout exceeded while awaiting headers)".into();
    }
    if error.is_builder() {
        let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
        return format!("unsupported protocol scheme {scheme:?}");
    }
    last
}

/// What TLS found wrong, however often it is wrapped.
fn handshake_fault<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.downcast_ref().or_else(|| handshake_fault(inside?))
}

/// Host and port of a URL.
fn place(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let host = rest.split(['/', '?', '#']).next().unwrap_or("");
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    match (host.rsplit_once(':'), scheme) {
        (Some(_), _) => host.to_owned(),
        (None, "https") => format!("{host}:443"),
        (None, _) => format!("{host}:80"),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        for (url, shown, at) in [
            ("http://they/keys", "http://they/keys", "they:80"),
            ("https://they:8443", "https://they:8443", "they:8443"),
            ("https://me:secret@they/k@y", "https://me:***@they/k@y", "they:443"),
            ("nope", "nope", "nope:80"),
        ] {
            assert_eq!((without_password(url).as_str(), place(url).as_str()), (shown, at));
        }
    }

    /// Answers one request with a redirect, and tells what it was asked.
    async fn redirecting(listener: TcpListener) -> String {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            let read = stream.read_buf(&mut asked).await.unwrap();
            assert!(read > 0, "the request is cut off");
        }
        let answer = "HTTP/1.1 302 Found\r\nLocation: /else\r\nContent-Length: 4\r\n\r\nthey";
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(asked).unwrap()
    }

    #[tokio::test]
    async fn questions_are_handed_on_as_they_are() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(redirecting(listener));
        let pairs = [("host", "they"), ("accept-encoding", "gzip")];
        let pairs = pairs
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let url = format!("http://{address}/a%20b?q=%2B+1");
        let headers = pairs.into_iter().collect();
        let answer = forward(Forward { url: url.clone(), headers }).await.unwrap();
        assert_eq!(
            (answer.status.as_u16(), &answer.headers["location"]),
            (302, &HeaderValue::from_static("/else"))
        );
        let body: Vec<_> = answer.body.collect().await;
        let body: Vec<u8> = body.into_iter().flat_map(Result::unwrap).collect();
        assert_eq!(body, b"they");
        let asked = server.await.unwrap();
        assert!(asked.starts_with("GET /a%20b?q=%2B+1 HTTP/1.1\r\n"), "{asked}");
        for line in ["host: they\r\n", "accept-encoding: gzip\r\n"] {
            assert!(asked.contains(line), "{asked}");
        }
        // Nobody listens there any more.
        let gone = forward(Forward { url, headers: HeaderMap::new() }).await;
        assert!(gone.is_err());
    }
}
