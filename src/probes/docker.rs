//! Docker checks: a command inside a container, by the engine's API. Exit 0 is fit, 1 a warning, anything else not fit.

use std::fmt;
use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use proconsul_anchors::agent::ProbeResult;
use proconsul_anchors::node::checks::cut_script_output;
use proconsul_anchors::service::Status;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout};

use super::dial::dial;
use super::{Tail, critical, os_words};

/// Where an engine listens unless the environment says otherwise.
const USUAL_HOST: &str = "unix:///var/run/docker.sock";

/// Consul waits for an engine for ever; here a check gives its place back after this time.
const PATIENCE: Duration = Duration::from_secs(3600);

/// What Go leaves as it is in the host of a URL.
const HOST_SAFE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'[')
    .remove(b']');
/// What Go leaves as it is in a query.
const QUERY_SAFE: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b' ');

/// An engine.
enum Engine<'a> {
    Unix(&'a str),
    Tcp(&'a str),
}

/// An answer of the engine: its status, and the end of what it said.
struct Said {
    status: u16,
    tail: Tail,
}

/// The id of a command that an engine was asked to run.
#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    id: String,
}

/// How a command ended.
#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Ended {
    #[serde(default)]
    exit_code: i64,
}

pub(super) async fn perform(
    host: &str,
    container: &str,
    args: &[Box<str>],
    output_max: usize,
) -> ProbeResult {
    let engine = match Engine::parse(if host.is_empty() { USUAL_HOST } else { host }) {
        Ok(engine) => engine,
        Err(why) => return critical(why),
    };
    match timeout(PATIENCE, engine.run(container, args, output_max)).await {
        Ok(Ok((code, output))) => ProbeResult::counted(verdict(code), output),
        Ok(Err(why)) => critical(why),
        Err(_) => critical(format!("the engine at {engine} did not end the check in time")),
    }
}

fn verdict(code: i64) -> Status {
    match code {
        0 => Status::Passing,
        1 => Status::Warning,
        _ => Status::Critical,
    }
}

// === impl Engine ===

impl<'a> Engine<'a> {
    fn parse(host: &'a str) -> Result<Self, String> {
        match host.split_once("://") {
            Some(("unix", path)) => Ok(Self::Unix(path)),
            Some(("tcp", address)) => Ok(Self::Tcp(address.split('/').next().unwrap_or(address))),
            Some((_, address)) => Ok(Self::Tcp(address)),
            None => Err(format!("unable to parse docker host `{host}`")),
        }
    }

    /// Runs a command; returns its exit code and what it wrote.
    async fn run(
        &self,
        container: &str,
        args: &[Box<str>],
        output_max: usize,
    ) -> Result<(i64, String), String> {
        let command = self.create(container, args, output_max).await?;
        let tail = self.start(container, &command, output_max).await?;
        let code = self.inspect(container, &command, output_max).await?;
        Ok((code, cut_script_output(&tail.kept, tail.total)))
    }

    async fn create(
        &self,
        container: &str,
        args: &[Box<str>],
        output_max: usize,
    ) -> Result<String, String> {
        let asked = json!({
            "AttachStdin": false, "AttachStdout": true, "AttachStderr": true, "Tty": false, "Cmd": args,
        });
        let escaped = utf8_percent_encode(container, QUERY_SAFE).to_string().replace(' ', "+");
        let path = format!("/containers/{escaped}/exec");
        let said = self
            .call("POST", &path, Some(asked.to_string()), output_max)
            .await
            .map_err(|why| format!("create exec failed for container {container}: {why}"))?;
        match said.status {
            201 => said.read::<Created>().map(|created| created.id).map_err(|error| {
                format!("create exec response for container {container} cannot be parsed: {error}")
            }),
            404 => Err(format!("create exec failed for unknown container {container}")),
            409 => {
                Err(format!("create exec failed since container {container} is paused or stopped"))
            }
            status => Err(format!(
                "create exec failed for container {container} with status {status}: {said}"
            )),
        }
    }

    async fn start(
        &self,
        container: &str,
        command: &str,
        output_max: usize,
    ) -> Result<Tail, String> {
        // With a terminal, what the command writes comes as it is.
        let asked = json!({ "Detach": false, "Tty": true }).to_string();
        let said = self
            .call("POST", &format!("/exec/{command}/start"), Some(asked), output_max)
            .await
            .map_err(|why| format!("start exec failed for container {container}: {why}"))?;
        match said.status {
            200 => Ok(said.tail),
            404 => Err(format!(
                "start exec failed for container {container}: invalid exec id {command}"
            )),
            409 => {
                Err(format!("start exec failed since container {container} is paused or stopped"))
            }
            status => Err(format!(
                "start exec failed for container {container} with status {status}: body: {said} err: <nil>"
            )),
        }
    }

    async fn inspect(
        &self,
        container: &str,
        command: &str,
        output_max: usize,
    ) -> Result<i64, String> {
        let said = self
            .call("GET", &format!("/exec/{command}/json"), None, output_max)
            .await
            .map_err(|why| format!("inspect exec failed for container {container}: {why}"))?;
        match said.status {
            200 => said.read::<Ended>().map(|ended| ended.exit_code).map_err(|error| {
                format!("inspect exec response for container {container} cannot be parsed: {error}")
            }),
            404 => Err(format!(
                "inspect exec failed for container {container}: invalid exec id {command}"
            )),
            status => Err(format!(
                "inspect exec failed for container {container} with status {status}: {said}"
            )),
        }
    }

    /// One request over a connection of its own.
    async fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<String>,
        output_max: usize,
    ) -> Result<Said, String> {
        let told = |why: String| {
            let op = if method == "GET" { "Get" } else { "Post" };
            let address = utf8_percent_encode(self.address(), HOST_SAFE);
            format!("{op} \"http://{address}{path}\": {why}")
        };
        let host = match self {
            Self::Unix(_) => "docker",
            Self::Tcp(address) => address,
        };
        let mut request = Request::builder().method(method).uri(path).header(HOST, host);
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|error| told(error.to_string()))?;
        let response = self.send(request).await.map_err(told)?;
        let status = response.status().as_u16();
        let mut tail = Tail::new(output_max);
        read(response.into_body(), &mut tail).await.map_err(told)?;
        Ok(Said { status, tail })
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, String> {
        match self {
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)
                    .await
                    .map_err(|error| format!("dial unix {path}: connect: {}", os_words(&error)))?;
                exchange(stream, request).await
            }
            Self::Tcp(address) => {
                let stream = dial(address, Instant::now() + PATIENCE).await;
                exchange(stream.map_err(|error| error.to_string())?, request).await
            }
        }
    }

    fn address(&self) -> &'a str {
        match self {
            Self::Unix(path) => path,
            Self::Tcp(address) => address,
        }
    }
}

impl fmt::Display for Engine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.address())
    }
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| words(&error))?;
    // The body is read through the connection, which ends with it.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(|error| words(&error))
}

/// Reads a body to its end. An engine may break the connection off when a command ends: what came counts.
async fn read(body: Incoming, tail: &mut Tail) -> Result<(), String> {
    let mut body = pin!(body);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                if let Some(piece) = frame.data_ref() {
                    tail.push(piece);
                }
            }
            Err(error) if broke_off(&error) => return Ok(()),
            Err(error) => return Err(words(&error)),
        }
    }
    Ok(())
}

fn broke_off(error: &hyper::Error) -> bool {
    let inner = std::error::Error::source(error);
    inner
        .and_then(|inner| inner.downcast_ref::<io::Error>())
        .is_some_and(|inner| inner.kind() == io::ErrorKind::ConnectionReset)
}

fn words(error: &hyper::Error) -> String {
    let inner = std::error::Error::source(error);
    match inner.and_then(|inner| inner.downcast_ref::<io::Error>()) {
        Some(inner) if inner.raw_os_error().is_some() => os_words(inner),
        _ if error.is_incomplete_message() => "EOF".to_owned(),
        _ => error.to_string(),
    }
}

// === impl Said ===

impl Said {
    fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.tail.kept)
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.tail.kept))
    }
}
