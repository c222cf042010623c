//! `mesh`: what holds for all of the mesh.

use crate::entries::shared::{Meta, check_meta};
use crate::entries::{Outside, tls};
use crate::text::{Verdict, refuse};
use crate::wire::{Indexes, record};

/// The only name that there is.
pub(crate) const MESH: &str = "mesh";

record! {
    /// What holds everywhere.
    Mesh = "MeshConfigEntry" tenant {
        transparent_proxy: Transparent = "TransparentProxy" | "transparent_proxy" always,
        allow_permissive: bool = "AllowEnablingPermissiveMutualTLS" | "allow_enabling_permissive_mutual_tls" omit,
        validate_clusters: bool = "ValidateClusters" | "validate_clusters" omit,
        tls: Option<Box<MeshTls>> = "TLS" omit,
        http: Option<Box<Http>> = "HTTP" omit,
        peering: Option<Box<Peering>> = "Peering" omit,
        meta: Meta = "Meta" omit,
        hash: u64 = "Hash" hash,
        rows: Indexes = "RaftIndex" rows,
    }
}

record! {
    /// Where transparent proxies may go.
    Transparent = "TransparentProxyMeshConfig" {
        destinations_only: bool = "MeshDestinationsOnly" | "mesh_destinations_only" always,
    }
}

record! {
    /// What proxies speak with each other.
    MeshTls = "MeshTLSConfig" {
        incoming: Option<Box<Directional>> = "Incoming" omit,
        outgoing: Option<Box<Directional>> = "Outgoing" omit,
    }
}

record! {
    /// What they speak in one direction.
    Directional = "MeshDirectionalTLSConfig" {
        min: String = "TLSMinVersion" | "tls_min_version" omit,
        max: String = "TLSMaxVersion" | "tls_max_version" omit,
        suites: Vec<String> = "CipherSuites" | "cipher_suites" omit,
    }
}

record! {
    /// What is done to requests.
    Http = "MeshHTTPConfig" {
        sanitize_client_cert: bool = "SanitizeXForwardedClientCert" | "sanitize_x_forwarded_client_cert" always,
        incoming: Option<Box<Incoming>> = "Incoming" omit,
    }
}

record! {
    /// What is done to requests that come in.
    Incoming = "MeshDirectionalHTTPConfig" {
        normalization: Option<Box<Normalization>> = "RequestNormalization" | "request_normalization" omit,
    }
}

record! {
    /// How requests are made alike before they are judged.
    Normalization = "RequestNormalizationMeshConfig" {
        keep_paths: bool = "InsecureDisablePathNormalization" | "insecure_disable_path_normalization" always,
        merge_slashes: bool = "MergeSlashes" | "merge_slashes" always,
        escaped_slashes: String = "PathWithEscapedSlashesAction" | "path_with_escaped_slashes_action" always,
        underscores: String = "HeadersWithUnderscoresAction" | "headers_with_underscores_action" always,
    }
}

record! {
    /// How peers speak.
    Peering = "PeeringMeshConfig" {
        through_gateways: bool = "PeerThroughMeshGateways" | "peer_through_mesh_gateways" always,
    }
}

const SLASHES: [&str; 5] = [
    "IMPLEMENTATION_SPECIFIC_DEFAULT",
    "KEEP_UNCHANGED",
    "REJECT_REQUEST",
    "UNESCAPE_AND_REDIRECT",
    "UNESCAPE_AND_FORWARD",
];
const UNDERSCORES: [&str; 3] = ["ALLOW", "REJECT_REQUEST", "DROP_HEADER"];

// === impl Mesh ===

impl Mesh {
    pub(crate) fn validate(&self, _: &dyn Outside) -> Verdict {
        check_meta(&self.meta).verdict()?;
        let directions = self.tls.as_ref().map(|tls| [&tls.incoming, &tls.outgoing]);
        for (name, direction) in ["incoming", "outgoing"].iter().zip(directions.iter().flatten()) {
            if let Some(tls) = direction {
                tls::check(&tls.min, &tls.max, &tls.suites).map_err(|reason| {
                    reason.under(format!("error in {name} TLS configuration: "))
                })?;
            }
        }
        let incoming = self.http.as_ref().and_then(|http| http.incoming.as_ref());
        let Some(rules) = incoming.and_then(|incoming| incoming.normalization.as_ref()) else {
            return Ok(());
        };
        rules.validate().map_err(|reason| {
            reason.under("error in HTTP incoming request normalization configuration: ")
        })
    }
}

// === impl Normalization ===

impl Normalization {
    fn validate(&self) -> Verdict {
        check_word("PathWithEscapedSlashesAction", &self.escaped_slashes, &SLASHES)?;
        check_word("HeadersWithUnderscoresAction", &self.underscores, &UNDERSCORES)
    }
}

fn check_word(what: &str, word: &str, known: &[&str]) -> Verdict {
    if word.is_empty() || known.contains(&word) {
        return Ok(());
    }
    let known = known.join(", ");
    refuse!("no matching {what} value found for {word}, please specify one of [{known}]")
}
