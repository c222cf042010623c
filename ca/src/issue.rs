//! Certificates of those in the mesh.

use rcgen::{
    CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod,
    KeyUsagePurpose, SerialNumber,
};
use time::Duration;

use crate::certificate::{IssueError, hex, moment, until, uri_name};
use crate::keys::{PrivateKey, encode, key_id};
use crate::root::Root;
use crate::spiffe::Identity;

/// A certificate that was issued, with its key.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Hex with colons.
    pub serial_number: Box<str>,
    /// The certificate and those that lead from it to older roots (PEM).
    pub certificate: Box<str>,
    /// Its key.
    pub key: PrivateKey,
    /// Whom it names.
    pub uri: Box<str>,
    /// Seconds since 1970.
    pub not_before: i64,
    /// Seconds since 1970.
    pub not_after: i64,
    /// The root that signed it.
    pub root: Box<str>,
}

// === impl Root ===

impl Root {
    /// Issues a certificate for a key.
    ///
    /// # Errors
    /// A key cannot be used, or the certificate cannot be written.
    pub fn issue(
        &self,
        key: &PrivateKey,
        (identity, leaf_key): (&Identity, PrivateKey),
        serial: u64,
        ttl: std::time::Duration,
        now: i64,
    ) -> Result<Leaf, IssueError> {
        let subject = leaf_key.signer()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = vec![uri_name(identity)?];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
            KeyUsagePurpose::DataEncipherment,
            KeyUsagePurpose::KeyAgreement,
        ];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        params.serial_number = Some(SerialNumber::from(serial));
        // A minute earlier: the clocks of those who look at it need not agree.
        params.not_before = moment(now)? - Duration::MINUTE;
        params.not_after = until(params.not_before, ttl)?;
        params.use_authority_key_identifier_extension = true;
        params.key_identifier_method = KeyIdMethod::PreSpecified(key_id(&subject));
        let (not_before, not_after) = (params.not_before, params.not_after);
        let issued = params.signed_by(&subject, &self.issuer(key)?)?;
        let mut certificate = encode("CERTIFICATE", issued.der().to_vec());
        self.intermediates.iter().for_each(|one| certificate.push_str(one));
        Ok(Leaf {
            serial_number: serial_text(serial).into(),
            certificate: certificate.into(),
            key: leaf_key,
            uri: identity.uri().into(),
            not_before: not_before.unix_timestamp(),
            not_after: not_after.unix_timestamp(),
            root: self.id.clone(),
        })
    }
}

/// A serial number without its leading zeros.
fn serial_text(serial: u64) -> String {
    let bytes = serial.to_be_bytes();
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    hex(&bytes[first..])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use x509_parser::prelude::{FromDer, X509Certificate};

    use super::*;
    use crate::keys::KeyKind;
    use crate::root::NewRoot;
    use crate::spiffe::TrustDomain;

    const NOW: i64 = 1_800_000_000;
    const CLUSTER: &str = "11111111-2222-3333-4444-555555555555";

    fn root(kind: KeyKind, bits: u32, serial: u64) -> (Root, PrivateKey) {
        let key = PrivateKey::generate(kind, bits).unwrap();
        let ttl = Duration::from_secs(3600);
        let new = NewRoot { key: &key, cluster: CLUSTER, ttl, serial, salt: 0xfeed_beef, now: NOW };
        (Root::create(&new).unwrap(), key)
    }

    fn der(text: &str) -> Vec<Vec<u8>> {
        pem::parse_many(text).unwrap().into_iter().map(pem::Pem::into_contents).collect()
    }

    fn signed(certificate: &[u8], by: &[u8]) -> bool {
        let (_, certificate) = X509Certificate::from_der(certificate).unwrap();
        let (_, by) = X509Certificate::from_der(by).unwrap();
        certificate.issuer() == by.subject()
            && certificate.verify_signature(Some(by.public_key())).is_ok()
    }

    #[test]
    fn a_root_tells_what_it_is() {
        for (kind, bits, name) in
            [(KeyKind::Ec, 256, "ec"), (KeyKind::Ec, 384, "ec"), (KeyKind::Rsa, 2048, "rsa")]
        {
            let (root, _) = root(kind, bits, 7);
            assert_eq!((&*root.key_type, root.key_bits, root.serial_number), (name, bits, 7));
            assert_eq!((root.not_before, root.not_after), (NOW, NOW + 3600));
            assert_eq!((root.id.len(), root.signing_key_id.len()), (59, 95));
            let own = der(&root.certificate);
            assert!(signed(&own[0], &own[0]));
            assert_eq!(Root::read(&root.certificate, CLUSTER), Ok(root));
        }
    }

    #[test]
    fn a_leaf_is_trusted_by_the_root_and_by_the_one_before() {
        let (old, old_key) = root(KeyKind::Ec, 256, 7);
        let (mut new, new_key) = root(KeyKind::Ec, 384, 8);
        let crossed = old.cross_sign(&old_key, &new, 9, NOW).unwrap();
        new.intermediates.push(crossed.into());
        let identity = TrustDomain::of_cluster(CLUSTER).service("dc1", "web");
        let key = PrivateKey::generate(KeyKind::Ec, 256).unwrap();
        let ttl = Duration::from_secs(7200);
        let leaf = new.issue(&new_key, (&identity, key), 258, ttl, NOW).unwrap();
        assert_eq!((&*leaf.serial_number, leaf.not_before), ("01:02", NOW - 60));
        assert_eq!(leaf.not_after, NOW - 60 + 7200);
        assert!(leaf.uri.ends_with("/ns/default/dc/dc1/svc/web"));
        let chain = der(&leaf.certificate);
        assert_eq!(chain.len(), 2);
        assert!(signed(&chain[0], &der(&new.certificate)[0]));
        assert!(signed(&chain[0], &chain[1]) && signed(&chain[1], &der(&old.certificate)[0]));
        let (_, certificate) = X509Certificate::from_der(&chain[0]).unwrap();
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        assert!(names.critical && certificate.subject().iter().next().is_none());
    }
}
