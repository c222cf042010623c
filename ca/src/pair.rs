//! Whether a certificate and a key that somebody brings belong to each other, in the words of Go's `crypto/tls` and `crypto/x509`.

use pem::Pem;
use rcgen::PublicKeyData as _;
use rsa::RsaPrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::traits::PublicKeyParts as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;

use crate::keys::PrivateKey;

/// Shorter RSA keys are refused where they come in their own form.
const RSA_BITS_MIN: usize = 2048;

/// Why a certificate and a key are no pair. The texts are Consul's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the text says it")]
pub enum PairFault {
    #[error("failed to parse private key PEM")]
    NoKey,
    #[error("key length must be at least {RSA_BITS_MIN} bits")]
    Short,
    #[error("failed to parse certificate PEM")]
    NoCertificate,
    #[error("failed to parse certificate: x509: malformed certificate")]
    Malformed,
    #[error("tls: found a certificate rather than a key in the PEM for the private key")]
    CertificateForKey,
    #[error("tls: failed to parse private key")]
    Unreadable,
    #[error("tls: private key type does not match public key type")]
    Kind,
    #[error("tls: private key does not match public key")]
    Other,
}

/// The hosts that a certificate is for (its common name, its names, its addresses), when the key is its own.
///
/// # Errors
/// Why it is not.
pub fn check(certificate: &str, key: &str) -> Result<Vec<String>, PairFault> {
    let key = pem::parse(key).map_err(|_| PairFault::NoKey)?;
    let rsa = rsa_of(&key);
    if key.tag() == "RSA PRIVATE KEY" {
        let bits = rsa.as_ref().ok_or(PairFault::Unreadable)?.n().bits();
        if bits < RSA_BITS_MIN {
            return Err(PairFault::Short);
        }
    }
    let certificate = pem::parse(certificate).map_err(|_| PairFault::NoCertificate)?;
    let (_, certificate) =
        X509Certificate::from_der(certificate.contents()).map_err(|_| PairFault::Malformed)?;
    if key.tag() == "CERTIFICATE" {
        return Err(PairFault::CertificateForKey);
    }
    compare(&certificate, &key, rsa)?;
    Ok(hosts(&certificate))
}

fn rsa_of(key: &Pem) -> Option<RsaPrivateKey> {
    let own = RsaPrivateKey::from_pkcs1_der(key.contents()).ok();
    own.or_else(|| RsaPrivateKey::from_pkcs8_der(key.contents()).ok())
}

fn compare(
    certificate: &X509Certificate<'_>,
    key: &Pem,
    rsa: Option<RsaPrivateKey>,
) -> Result<(), PairFault> {
    let public = certificate.public_key();
    let shown = match public.parsed() {
        Ok(PublicKey::RSA(shown)) => Some(shown),
        _ => None,
    };
    match (shown, rsa) {
        (Some(shown), Some(rsa)) => {
            let modulus = shown.modulus.iter().skip_while(|byte| **byte == 0);
            let same = modulus.eq(rsa.n().to_bytes_be().iter());
            if same { Ok(()) } else { Err(PairFault::Other) }
        }
        (None, Some(_)) => Err(PairFault::Kind),
        (shown, None) => {
            let signer = PrivateKey::from_pem(&pem::encode(key))
                .and_then(|key| key.signer())
                .map_err(|_| PairFault::Unreadable)?;
            if shown.is_some() {
                return Err(PairFault::Kind);
            }
            let same = signer.der_bytes() == &*public.subject_public_key.data;
            if same { Ok(()) } else { Err(PairFault::Other) }
        }
    }
}

fn hosts(certificate: &X509Certificate<'_>) -> Vec<String> {
    let common = certificate.subject().iter_common_name().next();
    let common = common.and_then(|name| name.as_str().ok()).unwrap_or_default().to_owned();
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
    let dns = names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    });
    std::iter::once(common).chain(dns).collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn pair(names: &[&str]) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    #[test]
    fn pairs_are_told_from_strangers() {
        let (certificate, key) = pair(&["a.example"]);
        let (_, other) = pair(&["a.example"]);
        let garbled = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let cases = [
            (certificate.as_str(), key.as_str(), ""),
            (&certificate, &other, "tls: private key does not match public key"),
            (&certificate, "x", "failed to parse private key PEM"),
            ("x", &key, "failed to parse certificate PEM"),
            (garbled, &key, "failed to parse certificate: x509: malformed certificate"),
            (
                &certificate,
                &certificate,
                "tls: found a certificate rather than a key in the PEM for the private key",
            ),
        ];
        for (certificate, key, told) in cases {
            let verdict =
                check(certificate, key).map_or_else(|fault| fault.to_string(), |_| String::new());
            assert_eq!(verdict, told);
        }
        assert!(check(&certificate, &key).unwrap().contains(&"a.example".to_owned()));
    }
}
