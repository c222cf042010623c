//! `terminating-gateway`: where traffic to the outside leaves.

use std::collections::BTreeSet;

use crate::entries::Outside;
use crate::entries::shared::{Meta, check_meta};
use crate::text::{Verdict, quote, refuse};
use crate::wire::{Indexes, List, record};

record! {
    /// A gateway and the services behind it.
    TerminatingGateway = "TerminatingGatewayConfigEntry" tenant {
        kind: String = "Kind" always,
        name: String = "Name" always,
        services: List<Linked> = "Services" always,
        meta: Meta = "Meta" omit,
        hash: u64 = "Hash" hash,
        rows: Indexes = "RaftIndex" rows,
    }
}

record! {
    /// A service behind it.
    Linked = "LinkedService" tenant {
        name: String = "Name" omit,
        ca_file: String = "CAFile" | "ca_file" omit,
        cert_file: String = "CertFile" | "cert_file" omit,
        key_file: String = "KeyFile" | "key_file" omit,
        sni: String = "SNI" omit,
        keep_host: bool = "DisableAutoHostRewrite" omit,
    }
}

// === impl TerminatingGateway ===

impl TerminatingGateway {
    pub(crate) fn normalize(&mut self) -> Verdict {
        "terminating-gateway".clone_into(&mut self.kind);
        Ok(())
    }

    pub(crate) fn validate(&self, _: &dyn Outside) -> Verdict {
        check_meta(&self.meta).verdict()?;
        let mut seen = BTreeSet::new();
        for service in self.services.iter() {
            let name = quote(&service.name);
            if service.name.is_empty() {
                refuse!("Service name cannot be blank.");
            }
            if !seen.insert(&service.name) {
                refuse!("Service {name} was specified more than once within a namespace");
            }
            let files = [&service.ca_file, &service.cert_file, &service.key_file];
            let keyed = !service.cert_file.is_empty() || !service.key_file.is_empty();
            if keyed && files.iter().any(|file| file.is_empty()) {
                refuse!(
                    "Service {name} must have a CertFile, CAFile, and KeyFile specified for TLS origination"
                );
            }
        }
        Ok(())
    }
}
