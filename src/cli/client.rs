//! The commands' way to an agent: its address, a token, one request at a time.

mod connect;
mod fault;

use std::borrow::Cow;
use std::fs;
use std::io::{self, Read as _};

use bytes::Bytes;
use clap::Arg;
use http_body_util::StreamBody;
use hyper::body::Frame;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Body, Client, Method, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::json::{self, Tree};
use super::{Call, boolean, text};
use crate::config::SETTINGS;
use connect::connect;
use fault::reason;

/// How much of a file is sent at once.
const UPLOAD_BYTES: usize = 64 << 10;
/// Where an agent is unless said.
const ADDRESS: &str = "127.0.0.1:8500";

/// Flags that say where the agent is and who asks.
const AGENT_FLAGS: &[(&str, &str, &str)] = &[
    ("ca-file", "value", "File of CA certificates for HTTPS. Also CONSUL_CACERT."),
    ("ca-path", "value", "Folder of CA certificates for HTTPS. Also CONSUL_CAPATH."),
    (
        "client-cert",
        "value",
        "File of the client's certificate for HTTPS. Also CONSUL_CLIENT_CERT.",
    ),
    ("client-key", "value", "File of the client's key for HTTPS. Also CONSUL_CLIENT_KEY."),
    (
        "http-addr",
        "address",
        "Address and port of the agent. Also CONSUL_HTTP_ADDR; CONSUL_HTTP_SSL=true makes it HTTPS.",
    ),
    (
        "tls-server-name",
        "value",
        "Name that the agent's certificate must have. Also CONSUL_TLS_SERVER_NAME.",
    ),
    ("token", "value", "ACL token. Also CONSUL_HTTP_TOKEN."),
    ("token-file", "value", "File that holds the ACL token. Also CONSUL_HTTP_TOKEN_FILE."),
];

/// Characters of a path that stay as they are.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b':')
    .remove(b'=')
    .remove(b'@')
    .remove(b',')
    .remove(b';');
/// Characters of a query that stay as they are.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Flags of every command that asks an agent.
pub(super) fn agent_flags() -> Vec<Arg> {
    AGENT_FLAGS.iter().map(|(name, value, help)| text(name, value, help)).collect()
}

/// Those, and the flags of commands that ask a server through it.
pub(super) fn server_flags() -> Vec<Arg> {
    let mut flags = agent_flags();
    flags.push(text("datacenter", "value", "Datacenter to ask; by default the agent's."));
    flags.push(boolean("stale", "Takes an answer from any server.").help_heading(SETTINGS));
    flags
}

/// `-namespace` and `-partition`, which the community edition's agent refuses.
pub(super) fn tenancy_flags() -> [Arg; 2] {
    [
        text("namespace", "default", "(enterprise) Namespace. Also CONSUL_NAMESPACE."),
        partition_flag(),
    ]
}

/// `-partition` alone.
pub(super) fn partition_flag() -> Arg {
    text("partition", "default", "(enterprise) Admin partition. Also CONSUL_PARTITION.")
}

/// All of them: what most commands take.
pub(super) fn all_flags() -> Vec<Arg> {
    let mut flags = server_flags();
    flags.extend(tenancy_flags());
    flags
}

/// Whether a flag is one of the agent's or server's.
pub(super) fn is_common(name: &str) -> bool {
    AGENT_FLAGS.iter().any(|(flag, ..)| *flag == name) || matches!(name, "datacenter" | "stale")
}

/// An agent, and what is sent along with every request.
pub(super) struct Api {
    client: Client,
    runtime: tokio::runtime::Runtime,
    scheme: &'static str,
    host: String,
    /// What stands in URLs instead of the host: the name that the agent's certificate must have.
    server_name: Option<String>,
    /// The Unix socket that is asked instead of the host.
    socket: Option<String>,
    /// Before `/v1`, when the address has a path.
    prefix: String,
    token: String,
    basic: Option<String>,
    /// Parameters of every request.
    common: Vec<(String, String)>,
}

/// An answer that was taken.
pub(super) struct Answer {
    pub(super) status: u16,
    /// Where the data stood, for a read that waits for the next change; 0 when that was not told.
    pub(super) index: u64,
    pub(super) body: Vec<u8>,
}

// === impl Api ===

impl Api {
    /// The agent that flags and environment name.
    ///
    /// # Errors
    /// A sentence that names what cannot be used.
    pub(super) fn of(call: &Call) -> Result<Self, String> {
        Self::at(call, None)
    }

    /// The agent at an address, else the one that flags and environment name.
    ///
    /// # Errors
    /// A sentence that names what cannot be used.
    pub(super) fn at(call: &Call, address: Option<&str>) -> Result<Self, String> {
        let api = connect(call, address.map(str::to_owned));
        api.map_err(|fault| format!("Error connecting to Consul agent: {fault}"))
    }

    /// A read.
    ///
    /// # Errors
    /// Go's sentence: no connection, or a status that is not 200.
    pub(super) fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, String> {
        let answer = self.expect(Method::GET, path, query, Vec::new())?;
        serde_json::from_slice(&answer.body).map_err(|fault| fault.to_string())
    }

    /// A request whose answer must have status 200.
    ///
    /// # Errors
    /// The same.
    pub(super) fn expect(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, String> {
        let answer = self.ask(method, path, query, body)?;
        if answer.status == 200 { Ok(answer) } else { Err(unexpected(&answer)) }
    }

    /// A read of what may not be there: nothing for status 404.
    ///
    /// # Errors
    /// The same, for statuses other than 200 and 404.
    pub(super) fn find(&self, path: &str) -> Result<Option<Value>, String> {
        let answer = self.ask(Method::GET, path, &[], Vec::new())?;
        match answer.status {
            200 => answer.json().map(Some),
            404 => Ok(None),
            _ => Err(unexpected(&answer)),
        }
    }

    /// A write of an object that is answered by one.
    ///
    /// # Errors
    /// The same.
    pub(super) fn send(&self, method: Method, path: &str, body: &Tree) -> Result<Value, String> {
        self.expect(method, path, &[], json::line(body))?.json()
    }

    /// A write whose answer does not matter.
    ///
    /// # Errors
    /// The same.
    pub(super) fn tell(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<(), String> {
        self.expect(method, path, query, Vec::new()).map(|_| ())
    }

    /// A request, whatever its status.
    ///
    /// # Errors
    /// No connection, or none that lasts.
    pub(super) fn ask(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, String> {
        self.runtime.block_on(self.answer(method, path, query, body))
    }

    /// The same for a task of one's own on [`Self::runtime`].
    ///
    /// # Errors
    /// The same.
    pub(super) async fn answer(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, String> {
        let url = self.url(path, query);
        self.answer_of(method, &url, body).await
    }

    async fn answer_of(&self, method: Method, url: &str, body: Vec<u8>) -> Result<Answer, String> {
        let response = self.open(method.clone(), url, body).await?;
        let status = response.status().as_u16();
        let index = index_of(&response);
        let body = response.bytes().await;
        let body = body.map_err(|fault| self.fault(&method, url, &fault))?;
        Ok(Answer { status, index, body: body.to_vec() })
    }

    /// A request beside `/v1`.
    ///
    /// # Errors
    /// The same.
    pub(super) async fn root_answer(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Answer, String> {
        let url = self.url(path, query).replacen("/v1/", "/", 1);
        self.answer_of(method, &url, Vec::new()).await
    }

    /// An answer whose body is read as it comes.
    ///
    /// # Errors
    /// The same, and a status that is not 200.
    pub(super) async fn stream(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Response, String> {
        let url = self.url(path, query);
        let response = self.open(Method::GET, &url, Vec::new()).await?;
        let status = response.status().as_u16();
        if status == 200 {
            return Ok(response);
        }
        let body = response.bytes().await;
        let body = body.map_err(|fault| self.fault(&Method::GET, &url, &fault))?;
        Err(unexpected(&Answer { status, index: 0, body: body.to_vec() }))
    }

    /// Sends a file, as it is read.
    ///
    /// # Errors
    /// The same.
    pub(super) fn upload(&self, path: &str, mut file: fs::File) -> Result<(), String> {
        let mut buffer = vec![0; UPLOAD_BYTES];
        let pieces = std::iter::from_fn(move || match file.read(&mut buffer) {
            Ok(0) => None,
            Ok(count) => Some(Ok(Frame::data(Bytes::copy_from_slice(&buffer[..count])))),
            Err(fault) => Some(Err::<Frame<Bytes>, io::Error>(fault)),
        });
        let body = Body::wrap(StreamBody::new(futures_util::stream::iter(pieces)));
        let url = self.url(path, &[]);
        self.runtime.block_on(async {
            let response = self.open(Method::PUT, &url, body).await?;
            let status = response.status().as_u16();
            let body = response.bytes().await;
            let body = body.map_err(|fault| self.fault(&Method::PUT, &url, &fault))?.to_vec();
            let answer = Answer { status, index: 0, body };
            if status == 200 { Ok(()) } else { Err(unexpected(&answer)) }
        })
    }

    async fn open(
        &self,
        method: Method,
        url: &str,
        body: impl Into<Body>,
    ) -> Result<Response, String> {
        let mut request = self.client.request(method.clone(), &*self.asked(url)).body(body);
        if self.server_name.is_some() {
            request = request.header("Host", &self.host);
        }
        if !self.token.is_empty() {
            request = request.header("X-Consul-Token", &self.token);
        }
        if let Some(basic) = &self.basic {
            request = request.header("Authorization", basic);
        }
        request.send().await.map_err(|fault| self.fault(&method, url, &fault))
    }

    /// Where commands that do several things at once do them.
    pub(super) fn runtime(&self) -> &tokio::runtime::Runtime {
        &self.runtime
    }

    /// Asks without a token from now on.
    pub(super) fn without_token(mut self) -> Self {
        self.token.clear();
        self
    }

    /// Asks in the name of another token from now on.
    pub(super) fn with_token(mut self, token: &str) -> Self {
        token.clone_into(&mut self.token);
        self
    }

    /// Asks another agent from now on: `host:port`, or a URL without a path.
    pub(super) fn elsewhere(mut self, address: &str, token: &str) -> Self {
        let (scheme, host) = match address.split_once("://") {
            Some(("https", host)) => ("https", host),
            Some((_, host)) => ("http", host),
            None => ("http", address),
        };
        (self.scheme, self.host) = (scheme, host.trim_end_matches('/').to_owned());
        self.server_name = None;
        self.prefix.clear();
        self.with_token(token)
    }

    /// Go's sentence for a request that got no answer.
    fn fault(&self, method: &Method, url: &str, fault: &reqwest::Error) -> String {
        let method = match method.as_str() {
            "GET" => "Get",
            "PUT" => "Put",
            "POST" => "Post",
            "DELETE" => "Delete",
            other => other,
        };
        let why = reason(fault, &self.host, self.scheme, self.socket.as_deref());
        format!("{method} {url:?}: {why}")
    }

    /// Parameters are sorted by name, as Go sorts them.
    fn url(&self, path: &str, query: &[(&str, &str)]) -> String {
        let own = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut all: Vec<(String, String)> = self.common.iter().cloned().chain(own).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        let encode = |text: &str| utf8_percent_encode(text, QUERY).to_string().replace("%20", "+");
        let query: Vec<String> =
            all.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        let path = utf8_percent_encode(path, PATH);
        format!("{}://{}{}/v1/{path}{mark}{}", self.scheme, self.host, self.prefix, query.join("&"))
    }

    /// The address that a URL is really asked at.
    fn asked<'a>(&self, url: &'a str) -> Cow<'a, str> {
        let Some(name) = &self.server_name else { return Cow::Borrowed(url) };
        let port = self.host.rsplit_once(':').map(|(_, port)| format!(":{port}"));
        let to = format!("https://{name}{}", port.unwrap_or_default());
        Cow::Owned(url.replacen(&format!("https://{}", self.host), &to, 1))
    }
}

// === impl Answer ===

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn json(&self) -> Result<Value, String> {
        serde_json::from_slice(&self.body).map_err(|fault| fault.to_string())
    }

    /// Whether the body says that something was done.
    pub(super) fn says_true(&self) -> bool {
        String::from_utf8_lossy(&self.body).contains("true")
    }
}

/// Where the data of an answer stood; 0 when that was not told.
pub(super) fn index_of(response: &Response) -> u64 {
    let header = response.headers().get("X-Consul-Index").and_then(|value| value.to_str().ok());
    header.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Go's sentence for a status that was not expected.
pub(super) fn unexpected(answer: &Answer) -> String {
    format!(
        "Unexpected response code: {} ({})",
        answer.status,
        String::from_utf8_lossy(&answer.body).trim()
    )
}
