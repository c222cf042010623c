//! Roots of trust.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, SanType, SerialNumber, SubjectPublicKeyInfo,
};
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};
use time::Duration;
use x509_parser::asn1_rs::Tag;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::certificate::{IssueError, hex, moment, until, uri_name};
use crate::keys::{PrivateKey, encode, key_id};
use crate::spiffe::TrustDomain;

/// How long a root that another one signed is valid: Consul's week.
const CROSS_SIGNED: Duration = Duration::days(7);
/// How many characters of ids stand in the name of a root.
const NAME_PART_MAX: usize = 8;

/// A root certificate and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// The certificate's fingerprint: SHA-1, hex with colons.
    pub id: Box<str>,
    /// For people.
    pub name: Box<str>,
    /// The certificate's serial number, as far as it fits.
    pub serial_number: u64,
    /// By what its key is named in the certificates that it signs.
    pub signing_key_id: Box<str>,
    /// The cluster whose trust domain it serves.
    pub cluster: Box<str>,
    /// Seconds since 1970.
    pub not_before: i64,
    /// Seconds since 1970.
    pub not_after: i64,
    /// PEM.
    pub certificate: Box<str>,
    /// Certificates (PEM) that lead from it to the roots before it.
    pub intermediates: Vec<Box<str>>,
    /// Whether it signs now.
    pub active: bool,
    /// When it stopped signing, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_out: Option<i64>,
    /// `ec` or `rsa`.
    pub key_type: Box<str>,
    /// The length of its key.
    pub key_bits: u32,
}

/// What a new root is made of.
#[derive(Debug)]
pub struct NewRoot<'a> {
    /// Its key.
    pub key: &'a PrivateKey,
    /// The cluster's id.
    pub cluster: &'a str,
    /// How long it is valid.
    pub ttl: std::time::Duration,
    /// Its serial number; never the same twice in a cluster.
    pub serial: u64,
    /// Tells it from other roots by name.
    pub salt: u64,
    /// Seconds since 1970.
    pub now: i64,
}

// === impl Root ===

impl Root {
    /// Makes a self-signed root.
    ///
    /// # Errors
    /// The key cannot sign.
    pub fn create(new: &NewRoot<'_>) -> Result<Self, IssueError> {
        let signer = new.key.signer()?;
        let mut params = authority();
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, common_name(new.salt, new.cluster));
        params.distinguished_name = name;
        params.subject_alt_names = vec![uri_name(&TrustDomain::of_cluster(new.cluster).signing())?];
        params.serial_number = Some(SerialNumber::from(new.serial));
        params.not_before = moment(new.now)?;
        params.not_after = until(params.not_before, new.ttl)?;
        params.key_identifier_method = KeyIdMethod::PreSpecified(key_id(&signer));
        let certificate = params.self_signed(&signer)?;
        Self::read(&encode("CERTIFICATE", certificate.der().to_vec()), new.cluster)
    }

    /// What a root certificate tells of itself.
    ///
    /// # Errors
    /// It is none.
    pub fn read(certificate: &str, cluster: &str) -> Result<Self, IssueError> {
        let block = pem::parse(certificate).map_err(|_| IssueError::NoCertificate)?;
        let (_, parsed) =
            X509Certificate::from_der(block.contents()).map_err(|_| IssueError::NoCertificate)?;
        let (key_type, key_bits) = match parsed.public_key().parsed() {
            Ok(PublicKey::EC(point)) => ("ec", point.key_size()),
            Ok(PublicKey::RSA(key)) => ("rsa", key.key_size()),
            _ => return Err(IssueError::KeyType),
        };
        let serial = parsed.tbs_certificate.serial.iter_u64_digits().next().unwrap_or(0);
        Ok(Self {
            id: hex(&Sha1::digest(block.contents())).into(),
            name: "Consul CA Primary Cert".into(),
            serial_number: serial,
            signing_key_id: hex(named(&parsed).unwrap_or_default()).into(),
            cluster: cluster.into(),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            certificate: format!("{}\n", certificate.trim_end()).into(),
            intermediates: Vec::new(),
            active: true,
            rotated_out: None,
            key_type: key_type.into(),
            key_bits: u32::try_from(key_bits).unwrap_or(0),
        })
    }

    /// Signs another root, so that whoever trusts this one trusts the other: its certificate (PEM).
    ///
    /// # Errors
    /// The key cannot sign, or a certificate cannot be read.
    pub fn cross_sign(
        &self,
        key: &PrivateKey,
        other: &Self,
        serial: u64,
        now: i64,
    ) -> Result<String, IssueError> {
        let block = pem::parse(&*other.certificate).map_err(|_| IssueError::NoCertificate)?;
        let (_, parsed) =
            X509Certificate::from_der(block.contents()).map_err(|_| IssueError::NoCertificate)?;
        let public = SubjectPublicKeyInfo::from_der(parsed.public_key().raw)?;
        let mut params = authority();
        params.distinguished_name = subject(&parsed)?;
        params.subject_alt_names = alternatives(&parsed)?;
        params.key_identifier_method = KeyIdMethod::PreSpecified(
            named(&parsed).map_or_else(|| key_id(&public), <[u8]>::to_vec),
        );
        params.serial_number = Some(SerialNumber::from(serial));
        params.not_before = moment(now)? - Duration::MINUTE;
        params.not_after = params.not_before + CROSS_SIGNED;
        let certificate = params.signed_by(&public, &self.issuer(key)?)?;
        Ok(encode("CERTIFICATE", certificate.der().to_vec()))
    }

    /// The root as it signs.
    pub(crate) fn issuer(&self, key: &PrivateKey) -> Result<Issuer<'static, KeyPair>, IssueError> {
        Ok(Issuer::from_ca_cert_pem(&self.certificate, key.signer()?)?)
    }
}

/// What all roots have in common.
fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
    ];
    params.use_authority_key_identifier_extension = true;
    params
}

/// By what a certificate names its key.
fn named<'a>(certificate: &'a X509Certificate<'a>) -> Option<&'a [u8]> {
    certificate.extensions().iter().find_map(|one| match one.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0),
        _ => None,
    })
}

/// The name of a certificate, each part as it is written there: names are compared by their bytes.
fn subject(certificate: &X509Certificate<'_>) -> Result<DistinguishedName, IssueError> {
    let mut name = DistinguishedName::new();
    for part in certificate.subject().iter_attributes() {
        let numbers: Option<Vec<u64>> = part.attr_type().iter().map(Iterator::collect);
        let kind = DnType::CustomDnType(numbers.ok_or(IssueError::Name)?);
        let text = part.as_str().map_err(|_| IssueError::Name)?;
        let value = if part.attr_value().tag() == Tag::PrintableString {
            DnValue::PrintableString(text.try_into()?)
        } else {
            DnValue::Utf8String(text.to_owned())
        };
        name.push(kind, value);
    }
    Ok(name)
}

/// The other names of a certificate, of the kinds that roots have.
fn alternatives(certificate: &X509Certificate<'_>) -> Result<Vec<SanType>, IssueError> {
    let found = certificate.subject_alternative_name().map_err(|_| IssueError::Name)?;
    let names = found.map(|names| &names.value.general_names).into_iter().flatten();
    let mut kept = Vec::new();
    for name in names {
        match name {
            GeneralName::URI(uri) => kept.push(SanType::URI((*uri).try_into()?)),
            GeneralName::DNSName(name) => kept.push(SanType::DnsName((*name).try_into()?)),
            _ => {}
        }
    }
    Ok(kept)
}

/// `pri-<unique>.consul.ca.<cluster>.consul`, as Consul names its roots.
fn common_name(salt: u64, cluster: &str) -> String {
    let (unique, cluster) = (base36(salt), cluster.to_lowercase());
    let part = |text: &str| text.chars().take(NAME_PART_MAX).collect::<String>();
    format!("pri-{}.consul.ca.{}.consul", part(&unique), part(&cluster))
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    while digits.is_empty() || number > 0 {
        let digit = u32::try_from(number % 36).unwrap_or(0);
        digits.push(char::from_digit(digit, 36).unwrap_or('0'));
        number /= 36;
    }
    digits.into_iter().rev().collect()
}
