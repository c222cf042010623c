//! TLS by keys: who somebody is, is the ed25519 key that signed the handshake.

use std::fmt;
use std::sync::Arc;

use proconsul_anchors::encoding::hex;
use proconsul_anchors::handle::Handle;
use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer,
    UnixTime,
};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
};

use super::ALPN;

/// What stands before the seed of an ed25519 key in PKCS #8 (RFC 8410 §7).
const PKCS8_HEAD: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// What stands before a public ed25519 key in a SubjectPublicKeyInfo (RFC 8410 §4).
const SPKI_HEAD: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The one key that the other side must have.
struct Pinned {
    key: Box<str>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// The keys of all adjacencies, however they stand: whoever's was taken back is told so, in a signed refusal.
struct Neighbours {
    handle: Handle,
    algorithms: WebPkiSupportedAlgorithms,
}

/// The key of whoever proved it, in hex; nothing when it is no ed25519 key.
pub(super) fn key_of(proof: &CertificateDer<'_>) -> Option<Box<str>> {
    let key: [u8; 32] = proof.as_ref().strip_prefix(&SPKI_HEAD)?.try_into().ok()?;
    Some(hex::encode(&key).into())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn own_key(handle: &Handle) -> Result<Arc<CertifiedKey>, Error> {
    let seed = handle.signing_key().as_bytes();
    let der = PrivatePkcs8KeyDer::from([&PKCS8_HEAD[..], seed].concat());
    let key = ring::sign::any_supported_type(&PrivateKeyDer::Pkcs8(der))?;
    let public = handle.signing_key().verifying_key();
    let spki = [&SPKI_HEAD[..], public.as_bytes()].concat();
    Ok(Arc::new(CertifiedKey::new(vec![CertificateDer::from(spki)], key)))
}

/// How this anchor calls the one of this key.
///
/// # Errors
/// When the own key cannot be used.
pub(super) fn client(handle: &Handle, key: &str) -> Result<ClientConfig, Error> {
    let provider = provider();
    let algorithms = provider.signature_verification_algorithms;
    let pinned = Arc::new(Pinned { key: key.into(), algorithms });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(pinned)
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(own_key(
            handle,
        )?)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

/// How this anchor is called.
///
/// # Errors
/// When the own key cannot be used.
pub(super) fn server(handle: &Handle) -> Result<ServerConfig, Error> {
    let provider = provider();
    let algorithms = provider.signature_verification_algorithms;
    let neighbours = Arc::new(Neighbours { handle: handle.clone(), algorithms });
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(neighbours)
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(own_key(handle)?)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

fn signed_by(
    message: &[u8],
    proof: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let spki = SubjectPublicKeyInfoDer::from(proof.as_ref());
    verify_tls13_signature_with_raw_key(message, &spki, signed, algorithms)
}

fn only_tls13() -> Error {
    Error::General("anchors speak TLS 1.3 alone".to_owned())
}

// === impl Pinned ===

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pinned").field("key", &self.key).finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if key_of(end_entity).as_deref() == Some(&*self.key) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::General("the anchor has another key than its adjacency names".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(only_tls13())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        proof: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signed_by(message, proof, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

// === impl Neighbours ===

impl fmt::Debug for Neighbours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Neighbours").finish_non_exhaustive()
    }
}

impl ClientCertVerifier for Neighbours {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match key_of(end_entity) {
            Some(key) if self.handle.adjacency_of(&key).is_some() => {
                Ok(ClientCertVerified::assertion())
            }
            Some(key) => Err(Error::General(format!("no adjacency has the key {key}"))),
            None => Err(Error::General("the key is none of an anchor".to_owned())),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(only_tls13())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        proof: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signed_by(message, proof, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
