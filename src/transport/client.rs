//! Calls other anchors: one connection to each, kept open, so that a question costs one round trip.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use proconsul_anchors::handle::{Errand, Handle, Sending, Wire};
use proconsul_anchors::traversal::{Peer, REPLY_BYTES_MAX};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;

use super::{ASK, CONTACT, HANDSHAKE_MAX, NAME, keys};

/// The connections to other anchors.
pub(super) struct Client {
    handle: Handle,
    lines: Mutex<HashMap<Place, Open>>,
}

/// A client, as the core sends over it.
pub(super) struct Line(pub(super) Arc<Client>);

/// Whom a connection leads to: a key and an address.
type Place = (Box<str>, Box<str>);

/// An open connection. Dropping it ends it, and with it all that is awaited over it.
struct Open {
    sender: SendRequest<Full<Bytes>>,
    running: AbortHandle,
}

// === impl Line ===

impl Wire for Line {
    fn send(&self, to: &Peer, errand: Errand, body: Vec<u8>, patience: Duration) -> Sending {
        let (client, to) = (Arc::clone(&self.0), to.clone());
        Box::pin(async move {
            let sent = client.try_each(&to, errand, body.into());
            match tokio::time::timeout(patience, sent).await {
                Ok(reply) => reply,
                Err(_) => {
                    // Who does not even say that it is there is not waited for with other questions either.
                    if errand == Errand::Contact {
                        client.hang_up(&to);
                    }
                    Err("no reply came in time".into())
                }
            }
        })
    }
}

// === impl Open ===

impl Drop for Open {
    fn drop(&mut self) {
        self.running.abort();
    }
}

// === impl Client ===

impl Client {
    /// # Errors
    /// When the own key cannot be used.
    pub(super) fn new(handle: &Handle) -> Result<Self, rustls::Error> {
        keys::client(handle, "")?;
        Ok(Self { handle: handle.clone(), lines: Mutex::default() })
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, HashMap<Place, Open>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hang_up(&self, to: &Peer) {
        self.lines().retain(|(key, _), _| *key != to.key);
    }

    /// Asks the anchors of a peer one after the other; first the one that is connected.
    async fn try_each(&self, to: &Peer, errand: Errand, body: Bytes) -> Result<Vec<u8>, Box<str>> {
        let mut addresses: Vec<Place> =
            to.addresses.iter().map(|address| (to.key.clone(), address.clone())).collect();
        {
            let lines = self.lines();
            addresses.sort_by_key(|place| !lines.contains_key(place));
        }
        let mut last: Box<str> = "it has no address".into();
        for place in addresses {
            match self.ask(&place, errand, body.clone()).await {
                Ok(reply) => return Ok(reply),
                Err(why) => last = format!("{}: {why}", place.1).into(),
            }
        }
        Err(last)
    }

    async fn ask(&self, place: &Place, errand: Errand, body: Bytes) -> Result<Vec<u8>, String> {
        let mut sender = self.line(place).await?;
        let path = match errand {
            Errand::Ask => ASK,
            Errand::Contact => CONTACT,
        };
        let request = Request::post(format!("https://{NAME}{path}"))
            .body(Full::new(body))
            .expect("the parts are fixed");
        let sent = sender.send_request(request).await;
        let response = sent.map_err(|error| {
            self.lines().remove(place);
            error.to_string()
        })?;
        let status = response.status();
        let body = Limited::new(response.into_body(), REPLY_BYTES_MAX).collect().await;
        let bytes = body.map_err(|error| error.to_string())?.to_bytes();
        if status != StatusCode::OK {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&bytes)));
        }
        Ok(bytes.into())
    }

    async fn line(&self, place: &Place) -> Result<SendRequest<Full<Bytes>>, String> {
        if let Some(open) = self.lines().get(place).filter(|open| !open.sender.is_closed()) {
            return Ok(open.sender.clone());
        }
        let opened = tokio::time::timeout(HANDSHAKE_MAX, self.open(place)).await;
        let open = opened.map_err(|_| "the handshake took too long".to_owned())??;
        let sender = open.sender.clone();
        self.lines().insert(place.clone(), open);
        Ok(sender)
    }

    async fn open(&self, (key, address): &Place) -> Result<Open, String> {
        let config = keys::client(&self.handle, key).map_err(|error| error.to_string())?;
        let stream = TcpStream::connect(&**address).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let name = ServerName::try_from(NAME).expect("the name is a name");
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        let stream = stream.map_err(|error| error.to_string())?;
        let shaken = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(|error| error.to_string())?;
        let running = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to another anchor ended");
            }
        });
        Ok(Open { sender, running: running.abort_handle() })
    }
}
