//! SPIFFE ids: the names in the certificates of a mesh, as Consul writes them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What Go escapes in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// The domain that a cluster's certificates are valid in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustDomain(Box<str>);

/// Whom a certificate names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// A service.
    Service {
        /// The trust domain.
        host: Box<str>,
        /// `default` in the community edition.
        namespace: Box<str>,
        /// The datacenter.
        datacenter: Box<str>,
        /// Its name.
        service: Box<str>,
    },
    /// An agent.
    Agent {
        /// The trust domain.
        host: Box<str>,
        /// The datacenter.
        datacenter: Box<str>,
        /// The node's id.
        agent: Box<str>,
    },
    /// The mesh gateways of a datacenter.
    MeshGateway {
        /// The trust domain.
        host: Box<str>,
        /// The datacenter.
        datacenter: Box<str>,
    },
    /// The servers of a datacenter.
    Server {
        /// The trust domain.
        host: Box<str>,
        /// The datacenter.
        datacenter: Box<str>,
    },
    /// The authority itself.
    Signing {
        /// The trust domain.
        host: Box<str>,
    },
}

/// A text that names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("SPIFFE ID is not in the expected format")]
pub struct NoIdentity;

// === impl TrustDomain ===

impl TrustDomain {
    /// The domain of a cluster.
    pub fn of_cluster(id: &str) -> Self {
        Self(format!("{id}.consul").to_lowercase().into())
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The authority in it.
    pub fn signing(&self) -> Identity {
        Identity::Signing { host: self.0.clone() }
    }

    /// A service in it, in the only namespace.
    pub fn service(&self, datacenter: &str, service: &str) -> Identity {
        Identity::Service {
            host: self.0.clone(),
            namespace: "default".into(),
            datacenter: datacenter.into(),
            service: service.into(),
        }
    }
}

// === impl Identity ===

impl Identity {
    /// Reads an id; the admin partition that enterprise clusters write is passed over.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(uri: &str) -> Result<Self, NoIdentity> {
        let rest = uri.strip_prefix("spiffe://").ok_or(NoIdentity)?;
        let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let segments: Result<Vec<Box<str>>, _> = path
            .split('/')
            .skip(1)
            .map(|segment| percent_decode_str(segment).decode_utf8().map(|text| text.into()))
            .collect();
        let segments = segments.map_err(|_| NoIdentity)?;
        let mut segments: Vec<&str> = segments.iter().map(|segment| &**segment).collect();
        if segments.len() > 2 && segments[0] == "ap" && !segments[1].is_empty() {
            segments.drain(..2);
        }
        Self::of(host.into(), &segments).ok_or(NoIdentity)
    }

    fn of(host: Box<str>, segments: &[&str]) -> Option<Self> {
        let given = |text: &str| (!text.is_empty()).then(|| Box::<str>::from(text));
        match segments {
            ["ns", namespace, "dc", datacenter, "svc", service] => Some(Self::Service {
                host,
                namespace: given(namespace)?,
                datacenter: given(datacenter)?,
                service: given(service)?,
            }),
            ["agent", "client", "dc", datacenter, "id", agent] => {
                Some(Self::Agent { host, datacenter: given(datacenter)?, agent: given(agent)? })
            }
            ["agent", "server", "dc", datacenter] => {
                Some(Self::Server { host, datacenter: given(datacenter)? })
            }
            ["gateway", "mesh", "dc", datacenter] => {
                Some(Self::MeshGateway { host, datacenter: given(datacenter)? })
            }
            [] => host.find('.').filter(|at| *at > 0).map(|_| Self::Signing { host }),
            _ => None,
        }
    }

    /// The id as a URI.
    pub fn uri(&self) -> String {
        let segment = |text: &str| utf8_percent_encode(text, SEGMENT).to_string();
        match self {
            Self::Service { host, namespace, datacenter, service } => format!(
                "spiffe://{host}/ns/{}/dc/{}/svc/{}",
                segment(namespace),
                segment(datacenter),
                segment(service)
            ),
            Self::Agent { host, datacenter, agent } => format!(
                "spiffe://{host}/agent/client/dc/{}/id/{}",
                segment(datacenter),
                segment(agent)
            ),
            Self::MeshGateway { host, datacenter } => {
                format!("spiffe://{host}/gateway/mesh/dc/{}", segment(datacenter))
            }
            Self::Server { host, datacenter } => {
                format!("spiffe://{host}/agent/server/dc/{}", segment(datacenter))
            }
            Self::Signing { host } => format!("spiffe://{host}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_and_written() {
        let same = [
            "spiffe://1-2.consul/ns/default/dc/dc1/svc/web",
            "spiffe://1-2.consul/ns/default/dc/dc1/svc/a%2Fb",
            "spiffe://1-2.consul/agent/client/dc/dc1/id/n1",
            "spiffe://1-2.consul/agent/server/dc/dc1",
            "spiffe://1-2.consul/gateway/mesh/dc/dc1",
            "spiffe://1-2.consul",
        ];
        for uri in same {
            assert_eq!(Identity::parse(uri).map(|id| id.uri()), Ok(uri.to_owned()));
        }
        let partition = "spiffe://h.consul/ap/p/ns/n/dc/d/svc/s";
        assert_eq!(Identity::parse(partition).unwrap().uri(), "spiffe://h.consul/ns/n/dc/d/svc/s");
        for odd in ["", "http://x", "spiffe://x", "spiffe://x.y/", "spiffe://x.y/svc/a"] {
            assert_eq!(Identity::parse(odd), Err(NoIdentity), "{odd}");
        }
    }
}
