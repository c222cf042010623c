//! What TLS is spoken with, for each transport that has it; a reload puts others in their place.

use std::sync::Arc;

use arc_swap::ArcSwap;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{IdleTimeout, TransportConfig, VarInt};
use tokio_rustls::rustls::ServerConfig;

use crate::limits::{
    IN_FLIGHT_MAX, MESSAGE_BYTES_MAX, QUIC_WINDOW_BYTES, TCP_IDLE_WAIT, TCP_WRITE_WAIT,
};

/// Whoever comes next gets what is there then.
pub struct Certificates(ArcSwap<Configs>);

struct Configs {
    tls: Arc<ServerConfig>,
    https: Arc<ServerConfig>,
    quic: Arc<quinn::ServerConfig>,
}

/// Certificates that cannot serve QUIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("QUIC needs TLS 1.3 with TLS13_AES_128_GCM_SHA256")]
pub struct NoQuic;

/// How the protocols within TLS are named (RFC 7858, RFC 9113 and 9112, RFC 9250).
const TLS_PROTOCOLS: &[&[u8]] = &[b"dot"];
const HTTPS_PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];
const QUIC_PROTOCOLS: &[&[u8]] = &[b"doq"];

// === impl Certificates ===

impl Certificates {
    /// From certificates and versions; which protocols are spoken within TLS is added.
    ///
    /// # Errors
    /// [`NoQuic`].
    pub fn new(base: &ServerConfig) -> Result<Self, NoQuic> {
        Configs::new(base).map(|configs| Self(ArcSwap::from_pointee(configs)))
    }

    /// Puts others in their place.
    ///
    /// # Errors
    /// [`NoQuic`]; then nothing changes.
    pub fn store(&self, base: &ServerConfig) -> Result<(), NoQuic> {
        self.0.store(Arc::new(Configs::new(base)?));
        Ok(())
    }

    pub(super) fn tls(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.load().tls)
    }

    pub(super) fn https(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.load().https)
    }

    pub(super) fn quic(&self) -> Arc<quinn::ServerConfig> {
        Arc::clone(&self.0.load().quic)
    }
}

// === impl Configs ===

impl Configs {
    fn new(base: &ServerConfig) -> Result<Self, NoQuic> {
        let speaking = |protocols: &[&[u8]]| {
            let mut config = base.clone();
            config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
            config
        };
        let crypto = QuicServerConfig::try_from(speaking(QUIC_PROTOCOLS)).map_err(|_| NoQuic)?;
        let mut quic = quinn::ServerConfig::with_crypto(Arc::new(crypto));
        quic.transport_config(Arc::new(transport()));
        Ok(Self {
            tls: Arc::new(speaking(TLS_PROTOCOLS)),
            https: Arc::new(speaking(HTTPS_PROTOCOLS)),
            quic: Arc::new(quic),
        })
    }
}

/// A stream carries one query; there are no others than those.
fn transport() -> TransportConfig {
    let idle = IdleTimeout::try_from(TCP_IDLE_WAIT + TCP_WRITE_WAIT);
    let number = |count: usize| VarInt::from_u32(u32::try_from(count).unwrap_or(u32::MAX));
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(number(IN_FLIGHT_MAX))
        .max_concurrent_uni_streams(number(0))
        .stream_receive_window(number(MESSAGE_BYTES_MAX + 2))
        .receive_window(number(QUIC_WINDOW_BYTES))
        .send_window(u64::try_from(QUIC_WINDOW_BYTES).unwrap_or(u64::MAX))
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(idle.ok());
    transport
}
