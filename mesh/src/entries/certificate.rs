//! `inline-certificate` and `file-system-certificate`: what gateways show to their clients.

use crate::entries::Outside;
use crate::entries::shared::{Meta, check_meta, is_domain_name};
use crate::text::{Invalid, Verdict, quote, refuse};
use crate::wire::{Indexes, record};

record! {
    /// A certificate and its key.
    InlineCertificate = "InlineCertificateConfigEntry" tenant {
        kind: String = "Kind" always,
        name: String = "Name" always,
        certificate: String = "Certificate" always,
        private_key: String = "PrivateKey" always,
        meta: Meta = "Meta" omit,
        hash: u64 = "Hash" hash,
        rows: Indexes = "RaftIndex" rows,
    }
}

record! {
    /// Where a certificate and its key lie.
    FileSystemCertificate = "FileSystemCertificateConfigEntry" tenant {
        kind: String = "Kind" always,
        name: String = "Name" always,
        certificate: String = "Certificate" always,
        private_key: String = "PrivateKey" always,
        meta: Meta = "Meta" omit,
        hash: u64 = "Hash" hash,
        rows: Indexes = "RaftIndex" rows,
    }
}

// === impl InlineCertificate ===

impl InlineCertificate {
    pub(crate) fn validate(&self, outside: &dyn Outside) -> Verdict {
        check_meta(&self.meta).verdict()?;
        let hosts = outside.key_pair(&self.certificate, &self.private_key).map_err(Invalid)?;
        match hosts.iter().find(|host| !is_domain_name(host)) {
            Some(host) => refuse!("host {} must be a valid DNS hostname", quote(host)),
            None => Ok(()),
        }
    }
}

// === impl FileSystemCertificate ===

impl FileSystemCertificate {
    pub(crate) fn validate(&self, _: &dyn Outside) -> Verdict {
        check_meta(&self.meta).verdict()
    }
}
