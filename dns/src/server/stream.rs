//! One stream of messages, each with its length before it: plain, or within TLS.

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, FuturesUnordered};
use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::{Door, Response, Service};
use crate::limits::{IN_FLIGHT_MAX, TCP_FIRST_WAIT, TCP_IDLE_WAIT, TCP_WRITE_WAIT};
use crate::shape::Transport;

/// Answers what a client asks until it asks no more, or too much. A message that is not understood does not end it.
///
/// What can be answered at once is, in its order; what somebody else has to be asked about comes when it is there, and a
/// few of such do not hold up what was asked after them (RFC 7766 §6.2.1.1).
///
/// # Errors
/// What the stream said, or that the client took too long.
pub(super) async fn converse<S, D>(
    stream: S,
    from: IpAddr,
    service: &Arc<Service<D>>,
    queries_max: usize,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite,
    D: Door,
{
    let (reader, mut writer) = tokio::io::split(stream);
    let mut queries = pin!(messages(reader).take(queries_max));
    let mut under_way: FuturesUnordered<BoxFuture<'static, Vec<u8>>> = FuturesUnordered::new();
    let mut ended = None;
    loop {
        let may_ask = ended.is_none() && under_way.len() < IN_FLIGHT_MAX;
        let reply = tokio::select! {
            query = queries.next(), if may_ask => match query {
                Some(Ok(query)) => {
                    if let Some(messages) = service.transfer(Some(from), &query) {
                        for message in messages {
                            within(TCP_WRITE_WAIT, write_message(&mut writer, &message)).await?;
                        }
                        continue;
                    }
                    let chance = &mut rand::rng();
                    match service.respond(Transport::Tcp, Some(from), &query, chance) {
                        Response::Silence => continue,
                        Response::Now(reply) => reply,
                        Response::Later(reply) => {
                            under_way.push(reply);
                            continue;
                        }
                    }
                }
                // What was asked before is answered yet: a client may close its side when it has asked.
                Some(Err(error)) => {
                    ended = Some(Err(error));
                    continue;
                }
                None => {
                    ended = Some(Ok(()));
                    continue;
                }
            },
            Some(reply) = under_way.next() => reply,
            else => break,
        };
        within(TCP_WRITE_WAIT, write_message(&mut writer, &reply)).await?;
    }
    writer.shutdown().await?;
    ended.unwrap_or(Ok(()))
}

/// The messages that arrive. The end between two of them is no error.
fn messages<R: AsyncRead + Unpin>(reader: R) -> impl Stream<Item = io::Result<Vec<u8>>> {
    stream::try_unfold((reader, TCP_FIRST_WAIT), |(mut reader, patience)| async move {
        let message = within(patience, read_message(&mut reader)).await?;
        Ok(message.map(|message| (message, (reader, TCP_IDLE_WAIT))))
    })
}

/// A step that takes no longer.
///
/// # Errors
/// What the step said, or that it took longer.
pub(super) async fn within<T>(
    patience: Duration,
    step: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    timeout(patience, step).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn read_message<R: AsyncRead + Unpin>(reader: &mut R) -> io::Result<Option<Vec<u8>>> {
    let length = match reader.read_u16().await {
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut message = vec![0; usize::from(length)];
    reader.read_exact(&mut message).await?;
    Ok(Some(message))
}

/// Sends a reply with its length before it, in one piece.
///
/// # Errors
/// What the stream said.
pub(super) async fn write_message<W: AsyncWrite + Unpin>(
    writer: &mut W,
    reply: &[u8],
) -> io::Result<()> {
    let length =
        u16::try_from(reply.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    let mut framed = Vec::with_capacity(2 + reply.len());
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(reply);
    writer.write_all(&framed).await?;
    writer.flush().await
}
