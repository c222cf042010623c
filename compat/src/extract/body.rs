//! Bodies of requests, each with its bound.

use std::error::Error as _;
use std::io;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::limits::BODY_BYTES_MAX;
use crate::reject::Reject;
use crate::wire::decode::BodyFault;

/// What a body that is too long is called, with its length where it was announced.
pub(crate) enum TooLong {
    Announced(u64),
    Unannounced,
}

/// Reads a body of at most so many bytes.
pub(crate) async fn read(
    body: Option<Incoming>,
    announced: Option<u64>,
    max: u64,
    too_long: impl Fn(TooLong) -> Reject,
) -> Result<Bytes, Reject> {
    if let Some(length) = announced.filter(|length| *length > max) {
        return Err(too_long(TooLong::Announced(length)));
    }
    let mut read = BytesMut::new();
    let Some(mut body) = body else { return Ok(Bytes::new()) };
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(fault)?.into_data() else { continue };
        if (read.len() + data.len()) as u64 > max {
            return Err(too_long(TooLong::Unannounced));
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}

fn fault(error: hyper::Error) -> Reject {
    let broken = error.source().and_then(|inner| inner.downcast_ref::<io::Error>());
    Reject::Body(match broken.map(io::Error::kind) {
        Some(io::ErrorKind::TimedOut) => BodyFault::Late,
        _ if error.is_incomplete_message() => BodyFault::Cut,
        _ => BodyFault::Garbled,
    })
}

/// Reads a JSON body.
pub(crate) async fn read_json(
    body: Option<Incoming>,
    announced: Option<u64>,
) -> Result<Bytes, Reject> {
    let too_long = |_| Reject::BodyTooLarge { max: BODY_BYTES_MAX };
    read(body, announced, BODY_BYTES_MAX, too_long).await.map_err(|reject| match reject {
        Reject::Body(fault) => Reject::Decode(fault.into()),
        other => other,
    })
}
