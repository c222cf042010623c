//! TCP checks: whoever takes the call is fit.

use std::time::Duration;

use proconsul_anchors::agent::ProbeResult;
use proconsul_anchors::node::definition::TlsSpec;
use tokio::time::{Instant, timeout_at};

use super::dial::{DialError, Place, dial};
use super::tls::{Alpn, Trust, tls_words};
use super::{critical, passing};

pub(super) async fn perform(
    address: &str,
    tls: Option<&TlsSpec>,
    timeout: Duration,
    trust: &Trust,
) -> ProbeResult {
    let until = Instant::now() + timeout;
    let stream = match dial(address, until).await {
        Ok(stream) => stream,
        Err(error) => return critical(error.to_string()),
    };
    let Some(tls) = tls else { return passing(format!("TCP connect {address}: Success")) };
    let host = Place::parse(address).map(|place| place.host).unwrap_or_default();
    match timeout_at(until, trust.greet(tls, &host, Alpn::None, stream)).await {
        Ok(Ok(_)) => passing(format!("TCP+TLS connect {address}: Success")),
        Ok(Err(error)) => critical(tls_words(&error, &host)),
        Err(_) => critical(DialError::Timeout(address.to_owned()).to_string()),
    }
}
