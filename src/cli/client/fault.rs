//! Why a request got no answer, in Go's words.

use std::error::Error;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use rustls::CertificateError;

/// Why there is no answer.
pub(super) fn reason(
    fault: &reqwest::Error,
    host: &str,
    scheme: &str,
    socket: Option<&str>,
) -> String {
    let mut causes = causes(fault);
    let system = causes.find_map(|fault| fault.downcast_ref::<io::Error>());
    if let (Some(path), Some(system)) = (socket, system) {
        return format!("dial unix {path}: connect: {}", crate::config::reason(system));
    }
    let certificate = system.and_then(tls).and_then(certificate);
    if let Some(certificate) = certificate {
        return format!("tls: failed to verify certificate: x509: {certificate}");
    }
    match (system.map(io::Error::kind), address_of(host, scheme)) {
        (Some(io::ErrorKind::ConnectionRefused), Some(at)) => {
            format!("dial tcp {at}: connect: connection refused")
        }
        (_, None) => format!(
            "dial tcp: lookup {}: no such host",
            host.rsplit_once(':').map_or(host, |(host, _)| host)
        ),
        (Some(_), Some(_)) | (None, _) => innermost(fault),
    }
}

/// The fault of TLS inside one of the system, however deep.
fn tls(fault: &io::Error) -> Option<&rustls::Error> {
    let inner = fault.get_ref()?;
    let deeper = || inner.downcast_ref::<io::Error>().and_then(tls);
    inner.downcast_ref::<rustls::Error>().or_else(deeper)
}

/// What is wrong with an agent's certificate, when that is it.
fn certificate(fault: &rustls::Error) -> Option<String> {
    let rustls::Error::InvalidCertificate(fault) = fault else { return None };
    match fault {
        CertificateError::UnknownIssuer => {
            Some("certificate signed by unknown authority".to_owned())
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names = presented.iter().filter_map(|name| {
                name.strip_prefix("DnsName(\"").and_then(|name| name.strip_suffix("\")"))
            });
            let names: Vec<&str> = names.collect();
            let expected = expected.to_str();
            Some(format!("certificate is valid for {}, not {expected}", names.join(", ")))
        }
        _ => None,
    }
}

fn causes(fault: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let first: Option<&(dyn Error + 'static)> = Some(fault);
    std::iter::successors(first, |fault| (*fault).source())
}

/// The last cause of a fault.
fn innermost(fault: &reqwest::Error) -> String {
    causes(fault).last().map_or_else(|| fault.to_string(), ToString::to_string)
}

/// The first address of a host.
pub(super) fn address_of(host: &str, scheme: &str) -> Option<SocketAddr> {
    let port = if scheme == "https" { 443 } else { 80 };
    let mut found = host
        .to_socket_addrs()
        .or_else(|_| (host.trim_matches(['[', ']']), port).to_socket_addrs())
        .ok()?;
    found.next()
}
