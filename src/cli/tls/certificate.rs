//! The certificates themselves: a self-signed CA, and what it signs for agents.

use std::net::IpAddr;
use std::sync::Arc;

use proconsul_ca::PrivateKey;
use rand::RngCore as _;
use rcgen::string::{Ia5String, PrintableString};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    NameConstraints, PublicKeyData as _, SanType, SerialNumber,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};

/// Object identifiers of a street and a postal code (RFC 4519), which have no name in the library.
const STREET: &[u64] = &[2, 5, 4, 9];
const POSTAL_CODE: &[u64] = &[2, 5, 4, 17];

/// A CA that is to be made.
pub(super) struct Authority<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) days: i64,
    /// For what it may sign; everything when none is named.
    pub(super) domains: &'a [&'a str],
    pub(super) trust_domain: Option<&'a str>,
}

/// A certificate that a CA is to sign.
pub(super) struct Bearer<'a> {
    pub(super) name: &'a str,
    pub(super) days: i64,
    pub(super) names: &'a [String],
    pub(super) addresses: &'a [IpAddr],
    /// Whether others connect to it, and it to others.
    pub(super) serves: bool,
}

/// A certificate and its key, both PEM.
pub(super) struct Made {
    pub(super) certificate: String,
    pub(super) key: String,
}

fn told(fault: impl std::fmt::Display) -> String {
    fault.to_string()
}

/// Valid from now for some days, with a random serial number, named by its key.
fn begun(days: i64, signer: &KeyPair) -> Result<(CertificateParams, u128), String> {
    let mut serial = [0; 16];
    rand::rng().fill_bytes(&mut serial);
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = OffsetDateTime::now_utc();
    let until = params.not_before.checked_add(Duration::days(days));
    params.not_after = until.ok_or("these are too many days")?;
    let id = Sha256::digest(signer.subject_public_key_info());
    params.key_identifier_method = KeyIdMethod::PreSpecified(id.to_vec());
    params.use_authority_key_identifier_extension = true;
    Ok((params, u128::from_be_bytes(serial)))
}

fn value(text: &str) -> DnValue {
    PrintableString::try_from(text)
        .map_or_else(|_| DnValue::Utf8String(text.to_owned()), DnValue::PrintableString)
}

// === impl Authority ===

impl Authority<'_> {
    /// Makes the CA.
    ///
    /// # Errors
    /// A name that cannot stand in a certificate.
    pub(super) fn make(&self, key: &PrivateKey) -> Result<Made, String> {
        let signer = key.signer().map_err(told)?;
        let (mut params, serial) = begun(self.days, &signer)?;
        let usual = format!("Consul Agent CA {serial}");
        params.distinguished_name = subject(self.name.unwrap_or(&usual));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
        ];
        if let Some(domain) = self.trust_domain {
            let uri = Ia5String::try_from(format!("spiffe://{domain}")).map_err(told)?;
            params.subject_alt_names = vec![SanType::URI(uri)];
        }
        if !self.domains.is_empty() {
            let permitted = self.domains.iter();
            let permitted = permitted.map(|domain| GeneralSubtree::DnsName((*domain).to_owned()));
            params.name_constraints = Some(NameConstraints {
                permitted_subtrees: permitted.collect(),
                excluded_subtrees: Vec::new(),
            });
        }
        let certificate = params.self_signed(&signer).map_err(told)?;
        Ok(Made { certificate: unix(&certificate.pem()), key: key.to_pem() })
    }
}

/// The whole name of a CA, as Consul's have it.
fn subject(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    for (kind, text) in [
        (DnType::CountryName, "US"),
        (DnType::StateOrProvinceName, "CA"),
        (DnType::LocalityName, "San Francisco"),
        (DnType::CustomDnType(STREET.to_vec()), "101 Second Street"),
        (DnType::CustomDnType(POSTAL_CODE.to_vec()), "94105"),
        (DnType::OrganizationName, "HashiCorp Inc."),
        (DnType::CommonName, name),
    ] {
        subject.push(kind, value(text));
    }
    subject
}

// === impl Bearer ===

impl Bearer<'_> {
    /// Makes the certificate.
    ///
    /// # Errors
    /// A CA that cannot be read or cannot sign, or a name that cannot stand in a certificate.
    pub(super) fn make(
        &self,
        ca: &str,
        ca_key: &PrivateKey,
        key: &PrivateKey,
    ) -> Result<Made, String> {
        let issuer = Issuer::from_ca_cert_pem(ca, ca_key.signer().map_err(told)?)
            .map_err(|fault| format!("failed to parse CA: {fault}"))?;
        let own = key.signer().map_err(told)?;
        let (mut params, _) = begun(self.days, &own)?;
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, value(self.name));
        params.distinguished_name = subject;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages =
            vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        if self.serves {
            params.extended_key_usages =
                vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        }
        for name in self.names {
            let name = Ia5String::try_from(name.as_str()).map_err(told)?;
            params.subject_alt_names.push(SanType::DnsName(name));
        }
        params.subject_alt_names.extend(self.addresses.iter().copied().map(SanType::IpAddress));
        let certificate = params
            .signed_by(&own, &issuer)
            .map_err(|fault| format!("failed to create certificate: {fault}"))?;
        Ok(Made { certificate: unix(&certificate.pem()), key: key.to_pem() })
    }
}

/// The library ends lines as Windows does where it runs there.
fn unix(pem: &str) -> String {
    pem.replace("\r\n", "\n")
}

/// Whether whoever trusts the CA trusts the certificate for its name.
///
/// # Errors
/// Why not: the CA has ended, may not sign for the name, or is not that of the key.
pub(super) fn verify(ca: &str, certificate: &str, name: &str) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(ca.as_bytes()) {
        roots.add(root.map_err(told)?).map_err(told)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(told)?;
    let own = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(told)?;
    let name = ServerName::try_from(name.to_owned()).map_err(told)?;
    let verified = verifier.verify_server_cert(&own, &[], &name, &[], UnixTime::now());
    verified.map(|_| ()).map_err(|fault| format!("the certificate cannot be verified: {fault}"))
}

#[cfg(test)]
mod tests {
    use proconsul_ca::KeyKind;

    use super::*;

    fn key() -> PrivateKey {
        PrivateKey::generate(KeyKind::Ec, 256).unwrap()
    }

    #[test]
    fn a_ca_signs_for_its_domains() {
        let ca_key = key();
        for (domains, name, fits) in [
            (&[][..], "server.dc1.consul", true),
            (&["consul", "localhost"], "server.dc1.consul", true),
            (&["other", "localhost"], "server.dc1.consul", false),
        ] {
            let ca = Authority { name: None, days: 2, domains, trust_domain: Some("x.consul") };
            let ca = ca.make(&ca_key).unwrap();
            let names = [name.to_owned(), "localhost".to_owned()];
            let bearer = Bearer { name, days: 1, names: &names, addresses: &[], serves: true };
            let made = bearer.make(&ca.certificate, &ca_key, &key()).unwrap();
            let verified = verify(&ca.certificate, &made.certificate, name);
            assert_eq!(verified.is_ok(), fits, "{domains:?}: {verified:?}");
        }
    }

    #[test]
    fn a_key_of_another_ca_is_noticed() {
        let ca = Authority { name: Some("CA"), days: 2, domains: &[], trust_domain: None };
        let ca = ca.make(&key()).unwrap();
        let names = ["a.b".to_owned()];
        let bearer = Bearer { name: "a.b", days: 1, names: &names, addresses: &[], serves: true };
        let made = bearer.make(&ca.certificate, &key(), &key()).unwrap();
        assert!(verify(&ca.certificate, &made.certificate, "a.b").is_err());
    }
}
