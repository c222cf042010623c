//! From the files that `tls` names to what is spoken with them. Errors are worded as Consul words them, but never show
//! what a file holds.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, SectionKind};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

use crate::config::{Config, SecureDns, TlsPart, reason};
use crate::probes::{Proof, Trust};

/// What HTTPS may speak: HTTP/2, or 1.1 for who knows no other.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What the program speaks TLS with.
pub(super) struct Material {
    /// Nothing while nothing listens for it.
    pub(super) https: Option<Arc<ServerConfig>>,
    /// What DNS is spoken with; nothing while it is spoken plainly only.
    pub(super) dns: Option<Arc<ServerConfig>>,
    /// Whom checks trust and what they show.
    pub(super) checks: Arc<Trust>,
}

/// What the files of one part hold.
struct Files {
    certificate: Option<Arc<SingleCertAndKey>>,
    roots: Option<Arc<RootCertStore>>,
}

/// Reads all files.
///
/// # Errors
/// Consul's sentence about the first that is not as it should be.
pub(super) fn load(config: &Config) -> Result<Material, String> {
    let tls = &config.tls;
    // Nothing speaks gRPC: its files are looked at, so that a mistake is told today.
    Files::read(&tls.grpc)?;
    let https = Files::read(&tls.https)?;
    let internal = Files::read(&tls.internal_rpc)?;
    let listens = !config.http.listen_tls.is_empty();
    Ok(Material {
        https: listens.then(|| https_config(config, https)).transpose()?.map(Arc::new),
        dns: dns_config(config)?.map(Arc::new),
        checks: Arc::new(if tls.for_checks {
            Trust::of_the_agent(internal.proof(&tls.internal_rpc))
        } else {
            Trust::of_the_machine()
        }),
    })
}

fn https_config(config: &Config, mut files: Files) -> Result<ServerConfig, String> {
    let certificate = match files.certificate.take() {
        Some(certificate) => certificate,
        None => stopgap(config)?,
    };
    let mut served = serve("https", &config.tls.https, files.roots, certificate)?;
    served.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    Ok(served)
}

/// Which protocols are spoken within is left to whoever speaks them.
fn dns_config(config: &Config) -> Result<Option<ServerConfig>, String> {
    let part = &config.tls.dns;
    if config.dns.secure == SecureDns::default() {
        return Ok(None);
    }
    let files = Files::read(part)?;
    let certificate = files.certificate.ok_or(
        "ports.dns_tls, dns_https and dns_quic need tls.dns.cert_file and tls.dns.key_file, or those of tls.defaults",
    )?;
    serve("dns", part, files.roots, certificate).map(Some)
}

fn serve(
    name: &str,
    part: &TlsPart,
    roots: Option<Arc<RootCertStore>>,
    certificate: Arc<SingleCertAndKey>,
) -> Result<ServerConfig, String> {
    let provider = provider(part);
    let failed = |error: &dyn std::error::Error| format!("tls.{name}: {error}");
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions(part))
        .map_err(|error| failed(&error))?;
    let builder = match roots.filter(|_| part.verify_incoming) {
        Some(roots) => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(roots, provider)
                .build()
                .map_err(|error| failed(&error))?,
        ),
        None => builder.with_no_client_auth(),
    };
    Ok(builder.with_cert_resolver(certificate))
}

/// A certificate for a port that was given none: signed by nobody, for as long as the program runs.
fn stopgap(config: &Config) -> Result<Arc<SingleCertAndKey>, String> {
    let name = format!("server.{}.{}", config.datacenter, config.dns.domain.trim_end_matches('.'));
    let failed = |error: rcgen::Error| format!("no certificate could be made for HTTPS: {error}");
    let made = rcgen::generate_simple_self_signed([name]).map_err(failed)?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
    certified(vec![made.cert.der().clone()], &key)
}

/// The cipher suites that are wanted, of those that there are.
fn provider(part: &TlsPart) -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    if !part.cipher_suites.is_empty() {
        provider.cipher_suites.retain(|suite| {
            let name = format!("{:?}", suite.suite());
            suite.version() == &TLS13 || part.cipher_suites.contains(&name)
        });
    }
    Arc::new(provider)
}

fn versions(part: &TlsPart) -> &'static [&'static SupportedProtocolVersion] {
    static NEWEST: [&SupportedProtocolVersion; 1] = [&TLS13];
    if part.min_version == "TLSv1_3" { &NEWEST } else { rustls::ALL_VERSIONS }
}

// === impl Files ===

impl Files {
    fn read(part: &TlsPart) -> Result<Self, String> {
        let certificate = match (part.cert_file.as_str(), part.key_file.as_str()) {
            ("", _) | (_, "") => None,
            (cert, key) => Some(
                pair(cert, key)
                    .map_err(|fault| format!("Failed to load cert/key pair: {fault}"))?,
            ),
        };
        let roots = roots(part)?;
        if part.verify_incoming && roots.is_none() {
            return Err("VerifyIncoming set but no CA certificates were provided".to_owned());
        }
        if part.verify_incoming && certificate.is_none() {
            return Err("VerifyIncoming requires either a Cert and Key pair in the configuration file, or auto_encrypt/auto_config be enabled".to_owned());
        }
        if part.verify_outgoing && roots.is_none() {
            return Err("VerifyOutgoing set but no CA certificates were provided".to_owned());
        }
        Ok(Self { certificate, roots: roots.map(Arc::new) })
    }

    fn proof(self, part: &TlsPart) -> Proof {
        Proof {
            provider: provider(part),
            versions: versions(part),
            roots: self.roots,
            certificate: self.certificate,
        }
    }
}

/// A certificate with its key.
fn pair(cert_file: &str, key_file: &str) -> Result<Arc<SingleCertAndKey>, String> {
    let open =
        |path: &str| fs::read(path).map_err(|error| format!("open {path}: {}", reason(&error)));
    let (cert, key) = (open(cert_file)?, open(key_file)?);
    let sections = sections(&cert);
    let chain: Vec<CertificateDer<'static>> = sections
        .iter()
        .filter(|(kind, _)| matches!(kind, SectionKind::Certificate))
        .map(|(_, der)| der.clone().into())
        .collect();
    match (chain.is_empty(), sections.as_slice()) {
        (true, []) => Err("tls: failed to find any PEM data in certificate input".to_owned()),
        (true, [(kind, _)]) if is_key(kind) => Err("tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched".to_owned()),
        (true, _) => Err("tls: failed to find \"CERTIFICATE\" PEM block in certificate input".to_owned()),
        (false, _) => certified(chain, &key_in(&key)?),
    }
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: &PrivateKeyDer<'_>,
) -> Result<Arc<SingleCertAndKey>, String> {
    let key = ring::sign::any_supported_type(key)
        .map_err(|_| "tls: failed to parse private key".to_owned())?;
    let pair = CertifiedKey::new(chain, key);
    match pair.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
            Ok(Arc::new(SingleCertAndKey::from(pair)))
        }
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err("tls: private key does not match public key".to_owned())
        }
        Err(error) => Err(format!("x509: {error}")),
    }
}

fn key_in(file: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    let sections = sections(file);
    let key = sections.iter().find_map(|(kind, der)| match kind {
        SectionKind::PrivateKey => Some(PrivatePkcs8KeyDer::from(der.clone()).into()),
        SectionKind::RsaPrivateKey => Some(PrivatePkcs1KeyDer::from(der.clone()).into()),
        SectionKind::EcPrivateKey => Some(PrivateSec1KeyDer::from(der.clone()).into()),
        _ => None,
    });
    key.ok_or_else(|| match sections.as_slice() {
        [] => "tls: failed to find any PEM data in key input".to_owned(),
        [(SectionKind::Certificate, _)] => {
            "tls: found a certificate rather than a key in the PEM for the private key".to_owned()
        }
        _ => "tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input"
            .to_owned(),
    })
}

fn is_key(kind: &SectionKind) -> bool {
    matches!(kind, SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey)
}

/// What of a file is PEM; what follows a section that cannot be read is left out.
fn sections(mut file: &[u8]) -> Vec<(SectionKind, Vec<u8>)> {
    std::iter::from_fn(|| pem::from_buf(&mut file).ok().flatten()).collect()
}

/// The certificates to trust: those of the file, else those of the folder.
fn roots(part: &TlsPart) -> Result<Option<RootCertStore>, String> {
    let mut files = Vec::new();
    if !part.ca_file.is_empty() {
        files.push(part.ca_file.clone().into());
    } else if !part.ca_path.is_empty() {
        walk(Path::new(&part.ca_path), &mut files)?;
        if files.is_empty() {
            return Err("Error loading from CAPath: no CAs found".to_owned());
        }
    } else {
        return Ok(None);
    }
    let mut roots = RootCertStore::empty();
    for path in files {
        let shown = path.display();
        let told = |error: &io::Error| {
            format!("Error loading from {shown}: open {shown}: {}", reason(error))
        };
        let file = fs::read(&path).map_err(|error| told(&error))?;
        let certificates = sections(&file)
            .into_iter()
            .filter(|(kind, _)| matches!(kind, SectionKind::Certificate))
            .map(|(_, der)| CertificateDer::from(der));
        let (added, _unusable) = roots.add_parsable_certificates(certificates);
        if added == 0 {
            return Err(format!("failed to parse PEM {shown}: it holds no certificate"));
        }
    }
    Ok(Some(roots))
}

/// All files below a folder, by name.
fn walk(path: &Path, files: &mut Vec<std::path::PathBuf>) -> Result<(), String> {
    let told =
        |verb: &str, error: &io::Error| format!("{verb} {}: {}", path.display(), reason(error));
    let about = fs::symlink_metadata(path).map_err(|error| told("lstat", &error))?;
    if !about.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries = fs::read_dir(path).map_err(|error| told("open", &error))?;
    let mut entries: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    entries.iter().try_for_each(|entry| walk(entry, files))
}

#[cfg(test)]
mod tests;
