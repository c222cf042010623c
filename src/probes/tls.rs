//! TLS of checks: whom to trust, and what goes wrong in the words of Go's library.

use std::io;
use std::sync::Arc;

use proconsul_anchors::node::definition::TlsSpec;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::SingleCertAndKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Whom checks trust, and what they show.
pub(crate) struct Trust {
    provider: Arc<CryptoProvider>,
    versions: &'static [&'static SupportedProtocolVersion],
    certificate: Option<Arc<SingleCertAndKey>>,
    strict: Arc<Verifier>,
    blind: Arc<Verifier>,
}

/// How the agent itself speaks TLS.
pub(crate) struct Proof {
    /// With its cipher suites.
    pub(crate) provider: Arc<CryptoProvider>,
    /// From the oldest.
    pub(crate) versions: &'static [&'static SupportedProtocolVersion],
    /// Whom it trusts; nobody named is whom the machine trusts.
    pub(crate) roots: Option<Arc<RootCertStore>>,
    /// What it shows to who asks.
    pub(crate) certificate: Option<Arc<SingleCertAndKey>>,
}

/// What to speak above TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alpn {
    None,
    /// HTTP/2, or 1.1 if the server has no other.
    Http,
    /// HTTP/2 and nothing else.
    Http2,
}

/// Judges certificates. The handshake's signatures are verified in any case.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    judge: Judge,
}

#[derive(Debug)]
enum Judge {
    /// Whoever the roots vouch for.
    Roots(Arc<WebPkiServerVerifier>),
    /// The machine has no roots.
    Nobody,
    /// As a check may ask for.
    Anybody,
}

// === impl Trust ===

impl Trust {
    /// Trusts the roots of the machine. None can be read on a machine without any: then nobody is trusted.
    pub(crate) fn of_the_machine() -> Self {
        Self::of_the_agent(Proof {
            provider: Arc::new(ring::default_provider()),
            versions: rustls::DEFAULT_VERSIONS,
            roots: None,
            certificate: None,
        })
    }

    /// Trusts whom the agent trusts, and shows its certificate to who asks for one.
    pub(crate) fn of_the_agent(proof: Proof) -> Self {
        let Proof { provider, versions, roots, certificate } = proof;
        let roots = roots.unwrap_or_else(|| Arc::new(roots_of_the_machine()));
        let nobody = roots.is_empty();
        let built =
            WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
        let judge = match built {
            Ok(verifier) if !nobody => Judge::Roots(verifier),
            _ => Judge::Nobody,
        };
        let verifier = |judge| Arc::new(Verifier { provider: Arc::clone(&provider), judge });
        let (strict, blind) = (verifier(judge), verifier(Judge::Anybody));
        Self { strict, blind, provider, versions, certificate }
    }

    /// Shakes hands over a connection.
    pub(super) async fn greet(
        &self,
        spec: &TlsSpec,
        host: &str,
        alpn: Alpn,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = if spec.server_name.is_empty() { host } else { &spec.server_name };
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        TlsConnector::from(Arc::new(self.config(spec, alpn))).connect(name, stream).await
    }

    fn config(&self, spec: &TlsSpec, alpn: Alpn) -> ClientConfig {
        let verifier = if spec.skip_verify { &self.blind } else { &self.strict };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(self.versions)
            .expect("the provider speaks TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(verifier) as _);
        let mut config = match &self.certificate {
            Some(certificate) => builder.with_client_cert_resolver(Arc::clone(certificate) as _),
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        config.alpn_protocols = match alpn {
            Alpn::None => Vec::new(),
            Alpn::Http => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Alpn::Http2 => vec![b"h2".to_vec()],
        };
        config
    }
}

/// None can be read on a machine without any.
fn roots_of_the_machine() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let _counts = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

// === impl Verifier ===

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if matches!(self.judge, Judge::Anybody) {
            return Ok(ServerCertVerified::assertion());
        }
        // The name comes first, as in Go: of two faults the same one is told.
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        match &self.judge {
            Judge::Roots(roots) => {
                roots.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            Judge::Nobody | Judge::Anybody => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What went wrong in a handshake.
pub(crate) fn tls_words(error: &io::Error, host: &str) -> String {
    let Some(fault) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>())
    else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => "EOF".into(),
            _ => super::os_words(error),
        };
    };
    match fault {
        rustls::Error::InvalidCertificate(why) => {
            format!("tls: failed to verify certificate: x509: {}", certificate_words(why, host))
        }
        rustls::Error::InvalidMessage(_) => {
            "tls: first record does not look like a TLS handshake".into()
        }
        rustls::Error::AlertReceived(alert) => {
            format!("remote error: tls: {}", alert_words(*alert))
        }
        rustls::Error::NoApplicationProtocol => "remote error: tls: no application protocol".into(),
        other => format!("tls: {other}"),
    }
}

fn certificate_words(why: &CertificateError, host: &str) -> String {
    match why {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            "certificate has expired or is not yet valid".into()
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            name_words(&expected.to_str(), presented)
        }
        CertificateError::NotValidForName => name_words(host, &[]),
        _ => "certificate signed by unknown authority".into(),
    }
}

fn name_words(wanted: &str, presented: &[String]) -> String {
    // rustls names them by kind: DnsName("a"), IpAddress(…).
    let quoted = |name: &String| name.split('"').nth(1).map(str::to_owned);
    let names: Vec<String> = presented.iter().filter_map(quoted).collect();
    let is_address = wanted.parse::<std::net::IpAddr>().is_ok();
    match names.is_empty() {
        _ if is_address && names.len() == presented.len() => {
            format!(
                "cannot validate certificate for {wanted} because it doesn't contain any IP SANs"
            )
        }
        true => format!("certificate is not valid for any names, but wanted to match {wanted}"),
        false => format!("certificate is valid for {}, not {wanted}", names.join(", ")),
    }
}

/// `HandshakeFailure` is `handshake failure`.
fn alert_words(alert: rustls::AlertDescription) -> String {
    let name = format!("{alert:?}");
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}
