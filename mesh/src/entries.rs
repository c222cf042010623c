//! Configuration entries: read, settled, judged and printed as Consul does it. One file a kind.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::text::{Invalid, Verdict, refuse};
use crate::wire::{Indexes, Report, Wire, read};

pub(crate) mod api_gateway;
pub(crate) mod certificate;
pub(crate) mod exported_services;
pub(crate) mod extension;
pub(crate) mod ingress_gateway;
pub(crate) mod jwt_provider;
pub(crate) mod mesh;
pub(crate) mod proxy_defaults;
pub(crate) mod route;
pub(crate) mod sameness_group;
pub(crate) mod service_defaults;
pub(crate) mod service_intentions;
pub(crate) mod service_resolver;
pub(crate) mod service_router;
pub(crate) mod service_splitter;
pub(crate) mod shared;
pub(crate) mod terminating_gateway;
pub(crate) mod tls;

use api_gateway::{ApiGateway, BoundApiGateway};
use certificate::{FileSystemCertificate, InlineCertificate};
use exported_services::ExportedServices;
use ingress_gateway::IngressGateway;
use jwt_provider::JwtProvider;
use proxy_defaults::ProxyDefaults;
use route::{HttpRoute, TcpRoute};
use sameness_group::SamenessGroup;
use service_defaults::ServiceDefaults;
use service_intentions::ServiceIntentions;
use service_resolver::ServiceResolver;
use service_router::ServiceRouter;
use service_splitter::ServiceSplitter;
use terminating_gateway::TerminatingGateway;

/// How many objects and lists an entry may have inside each other: what is stored must be readable again.
const DEPTH_MAX: usize = 64;

/// What judging an entry takes that this crate does not know.
pub trait Outside {
    /// Whether a text is an expression of the filter language, or why not.
    ///
    /// # Errors
    /// Why it is none.
    fn expression(&self, text: &str) -> Result<(), String>;

    /// Whether a text is JSON, or why not, in Go's words.
    ///
    /// # Errors
    /// Why it is none.
    fn json(&self, text: &str) -> Result<(), String>;

    /// The hosts that a PEM certificate is for, if a PEM key is its own.
    ///
    /// # Errors
    /// Why it is not, in Consul's words.
    fn key_pair(&self, certificate: &str, key: &str) -> Result<Vec<String>, String>;
}

/// What may be done with entries of a kind by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Right {
    /// Anybody.
    Anyone,
    /// Whoever may read this service.
    ServiceRead(String),
    /// Whoever may write this service.
    ServiceWrite(String),
    /// Whoever may write any service at all.
    ServiceWriteAny,
    /// Whoever may read intentions to this service.
    IntentionRead(String),
    /// Whoever may write intentions to this service.
    IntentionWrite(String),
    /// Whoever may read the mesh's configuration.
    MeshRead,
    /// Whoever may write the mesh's configuration.
    MeshWrite,
    /// Nobody but the program's own controller.
    Controller,
}

macro_rules! kinds {
    ($( $(#[$doc:meta])* $kind:ident = $word:literal; )*) => {
        /// A kind of configuration entry.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $( $(#[$doc])* $kind, )* }

        /// A configuration entry.
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) enum Body { $( $kind(Box<$kind>), )* }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[ $( Self::$kind, )* ];

            /// How it is called on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $( Self::$kind => $word, )* }
            }
        }

        impl Body {
            fn blank(kind: Kind) -> Self {
                match kind { $( Kind::$kind => Self::$kind(Box::default()), )* }
            }

            fn kind(&self) -> Kind {
                match self { $( Self::$kind(_) => Kind::$kind, )* }
            }

            fn take(&mut self, value: &Value, report: &mut Report) {
                match self { $( Self::$kind(body) => read(&mut **body, value, "", report), )* }
            }

            fn validate(&self, outside: &dyn Outside) -> Verdict {
                match self { $( Self::$kind(body) => body.validate(outside), )* }
            }

            fn digest(&self) -> u64 {
                match self { $( Self::$kind(body) => body.digest(), )* }
            }

            fn hash_mut(&mut self) -> &mut u64 {
                match self { $( Self::$kind(body) => &mut body.hash, )* }
            }

            fn rows_mut(&mut self) -> &mut Indexes {
                match self { $( Self::$kind(body) => &mut body.rows, )* }
            }

            fn print<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self { $( Self::$kind(body) => body.serialize(serializer), )* }
            }
        }
    };
}

kinds! {
    /// Defaults of a service.
    ServiceDefaults = "service-defaults";
    /// Defaults of all proxies.
    ProxyDefaults = "proxy-defaults";
    /// Which requests to a service go where.
    ServiceRouter = "service-router";
    /// Which share of a service's traffic goes where.
    ServiceSplitter = "service-splitter";
    /// Which instances stand for a service.
    ServiceResolver = "service-resolver";
    /// Where traffic comes in.
    IngressGateway = "ingress-gateway";
    /// Where traffic leaves.
    TerminatingGateway = "terminating-gateway";
    /// Who may speak with a service.
    ServiceIntentions = "service-intentions";
    /// What holds for all of the mesh.
    Mesh = "mesh";
    /// Which services other clusters may use.
    ExportedServices = "exported-services";
    /// Clusters that stand for each other.
    SamenessGroup = "sameness-group";
    /// A gateway whose routes are entries.
    ApiGateway = "api-gateway";
    /// What is bound to it.
    BoundApiGateway = "bound-api-gateway";
    /// A certificate in a file.
    FileSystemCertificate = "file-system-certificate";
    /// A certificate.
    InlineCertificate = "inline-certificate";
    /// What a gateway does with requests.
    HttpRoute = "http-route";
    /// What a gateway does with connections.
    TcpRoute = "tcp-route";
    /// Who signs tokens.
    JwtProvider = "jwt-provider";
}

use mesh::Mesh;

/// A configuration entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub(crate) body: Body,
}

// === impl Kind ===

impl Kind {
    /// The kind of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn parse(word: &str) -> Result<Self, Invalid> {
        match Self::ALL.iter().find(|kind| kind.as_str() == word) {
            Some(kind) => Ok(*kind),
            None => refuse!("invalid config entry kind: {word}"),
        }
    }

    /// Who may read entries of this kind and name.
    pub fn reader(self, name: &str) -> Vec<Right> {
        vec![match self {
            Self::ProxyDefaults | Self::Mesh | Self::SamenessGroup => Right::Anyone,
            Self::ServiceIntentions => Right::IntentionRead(name.to_owned()),
            Self::ExportedServices
            | Self::FileSystemCertificate
            | Self::InlineCertificate
            | Self::HttpRoute
            | Self::TcpRoute => Right::MeshRead,
            Self::JwtProvider => return vec![Right::ServiceWriteAny, Right::MeshRead],
            _ => Right::ServiceRead(name.to_owned()),
        }]
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Entry ===

impl Entry {
    /// Reads an entry as a client wrote it; the numbers in it are floats.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(raw: &Map<String, Value>) -> Result<Self, Invalid> {
        if raw.values().any(|value| is_deeper(value, DEPTH_MAX)) {
            refuse!("config entries may be nested {DEPTH_MAX} deep");
        }
        let kind = match raw.get("Kind").or_else(|| raw.get("kind")) {
            None => refuse!("Payload does not contain a kind/Kind key at the top level"),
            Some(Value::String(kind)) => Kind::parse(kind)?,
            Some(_) => refuse!("Kind value in payload is not a string"),
        };
        let mut body = Body::blank(kind);
        let mut report = Report::default();
        body.take(&Value::Object(raw.clone()), &mut report);
        report.verdict()?;
        Ok(Self { body })
    }

    /// An entry of which only the name is known.
    pub fn named(kind: Kind, name: &str) -> Self {
        let mut body = Body::blank(kind);
        let mut report = Report::default();
        let value = Value::Object(Map::from_iter([("Name".to_owned(), name.into())]));
        body.take(&value, &mut report);
        Self { body }
    }

    /// Reads an entry back that was stored.
    ///
    /// # Errors
    /// It was never stored by us.
    pub fn restore(kind: Kind, text: &str, created: u64, modified: u64) -> Result<Self, Invalid> {
        let value: Value =
            serde_json::from_str(text).map_err(|reason| Invalid(reason.to_string()))?;
        let mut body = Body::blank(kind);
        let mut report = Report::of_ours();
        body.take(&value, &mut report);
        report.lenient()?;
        *body.rows_mut() = Indexes { shown: true, created, modified };
        if let Body::ProxyDefaults(defaults) = &mut body {
            defaults.find_protocol()?;
        }
        Ok(Self { body })
    }

    /// The text under which it is stored: all but its indexes.
    pub fn stored(&self) -> String {
        let mut bare = self.body.clone();
        *bare.rows_mut() = Indexes::default();
        serde_json::to_string(&Self { body: bare }).expect("entries have text keys only")
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.body.kind()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match &self.body {
            Body::ServiceDefaults(body) => &body.name,
            Body::ProxyDefaults(body) => &body.name,
            Body::ServiceRouter(body) => &body.name,
            Body::ServiceSplitter(body) => &body.name,
            Body::ServiceResolver(body) => &body.name,
            Body::IngressGateway(body) => &body.name,
            Body::TerminatingGateway(body) => &body.name,
            Body::ServiceIntentions(body) => &body.name,
            Body::Mesh(_) => mesh::MESH,
            Body::ExportedServices(body) => &body.name,
            Body::SamenessGroup(body) => &body.name,
            Body::ApiGateway(body) => &body.name,
            Body::BoundApiGateway(body) => &body.name,
            Body::FileSystemCertificate(body) => &body.name,
            Body::InlineCertificate(body) => &body.name,
            Body::HttpRoute(body) => &body.name,
            Body::TcpRoute(body) => &body.name,
            Body::JwtProvider(body) => &body.name,
        }
    }

    /// Fills in what was left out.
    ///
    /// # Errors
    /// It contradicts itself already.
    pub fn normalize(&mut self) -> Result<(), Invalid> {
        match &mut self.body {
            Body::ServiceDefaults(body) => body.normalize(),
            Body::ProxyDefaults(body) => body.normalize(),
            Body::ServiceRouter(body) => body.normalize(),
            Body::ServiceSplitter(body) => body.normalize(),
            Body::ServiceResolver(body) => body.normalize(),
            Body::IngressGateway(body) => body.normalize(),
            Body::TerminatingGateway(body) => body.normalize(),
            Body::ServiceIntentions(body) => body.normalize(),
            Body::ApiGateway(body) => body.normalize(),
            Body::HttpRoute(body) => body.normalize(),
            Body::TcpRoute(body) => body.normalize(),
            Body::JwtProvider(body) => body.normalize(),
            Body::ExportedServices(body) => body.normalize(),
            Body::Mesh(_)
            | Body::SamenessGroup(_)
            | Body::BoundApiGateway(_)
            | Body::FileSystemCertificate(_)
            | Body::InlineCertificate(_) => Ok(()),
        }?;
        self.rehash();
        Ok(())
    }

    /// Makes its hash anew.
    pub(crate) fn rehash(&mut self) {
        *self.body.hash_mut() = self.body.digest();
    }

    /// Whether it is fit to be written, taken alone.
    ///
    /// # Errors
    /// Why it is not.
    pub fn validate(&self, outside: &dyn Outside) -> Result<(), Invalid> {
        self.body.validate(outside)
    }

    /// Takes over what an entry keeps of the one that it replaces, and drops what only the controller may write.
    ///
    /// # Errors
    /// It may not replace that one.
    pub fn follow(&mut self, former: Option<&Self>) -> Result<(), Invalid> {
        match (&mut self.body, former.map(|former| &former.body)) {
            (Body::ServiceIntentions(body), Some(Body::ServiceIntentions(former))) => {
                body.follow(former)?;
            }
            (Body::ApiGateway(body), Some(Body::ApiGateway(former))) => {
                body.status.clone_from(&former.status);
            }
            (Body::HttpRoute(body), Some(Body::HttpRoute(former))) => {
                body.status.clone_from(&former.status);
            }
            (Body::TcpRoute(body), Some(Body::TcpRoute(former))) => {
                body.status.clone_from(&former.status);
            }
            (Body::ApiGateway(body), None) => body.status = shared::Status::default(),
            (Body::HttpRoute(body), None) => body.status = shared::Status::default(),
            (Body::TcpRoute(body), None) => body.status = shared::Status::default(),
            _ => {}
        }
        Ok(())
    }

    /// Whether writing it over another one would change nothing.
    pub fn is_same(&self, former: &Self) -> bool {
        let (mut own, mut other) = (self.body.clone(), former.body.clone());
        *own.rows_mut() = Indexes::default();
        *other.rows_mut() = Indexes::default();
        own == other
    }

    /// Who may write it: every one of these rights is asked for.
    pub fn writer(&self) -> Vec<Right> {
        let chain = |name: &str, related: std::collections::BTreeSet<String>| {
            let others = related.into_iter().filter(|other| other != name);
            std::iter::once(Right::ServiceWrite(name.to_owned()))
                .chain(others.map(Right::ServiceRead))
                .collect()
        };
        match &self.body {
            Body::ServiceDefaults(body) => vec![Right::ServiceWrite(body.name.clone())],
            Body::ServiceRouter(body) => chain(&body.name, body.related()),
            Body::ServiceSplitter(body) => chain(&body.name, body.related()),
            Body::ServiceResolver(body) => chain(&body.name, body.related()),
            Body::ServiceIntentions(body) => vec![Right::IntentionWrite(body.name.clone())],
            Body::BoundApiGateway(_) => vec![Right::Controller],
            _ => vec![Right::MeshWrite],
        }
    }

    /// Who may read it.
    pub fn reader(&self) -> Vec<Right> {
        self.kind().reader(self.name())
    }

    /// What is worth a warning in the log.
    pub fn warnings(&self) -> Vec<String> {
        let Body::TerminatingGateway(body) = &self.body else { return Vec::new() };
        let secured = body.services.iter().filter(|service| {
            let files = [&service.ca_file, &service.cert_file, &service.key_file];
            files.iter().any(|file| !file.is_empty()) && service.sni.is_empty()
        });
        secured
            .map(|service| {
                let name = crate::text::quote(&service.name);
                format!(
                    "TLS is configured but SNI is not set for service {name}. Enabling SNI is strongly recommended when using TLS."
                )
            })
            .collect()
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Three kinds print their kind without having it.
        let kindless =
            matches!(self.kind(), Kind::Mesh | Kind::ExportedServices | Kind::SamenessGroup);
        if kindless {
            return Kinded { kind: self.kind(), body: &self.body }.serialize(serializer);
        }
        self.body.print(serializer)
    }
}

/// Whether a value has more objects and lists inside each other.
fn is_deeper(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(_) | Value::Object(_) if levels == 0 => true,
        Value::Array(items) => items.iter().any(|item| is_deeper(item, levels - 1)),
        Value::Object(map) => map.values().any(|value| is_deeper(value, levels - 1)),
        _ => false,
    }
}

/// An entry after its kind.
struct Kinded<'a> {
    kind: Kind,
    body: &'a Body,
}

impl Serialize for Kinded<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Flat<'a, T> {
            #[serde(rename = "Kind")]
            kind: &'static str,
            #[serde(flatten)]
            body: &'a T,
        }
        let kind = self.kind.as_str();
        match self.body {
            Body::Mesh(body) => Flat { kind, body: &**body }.serialize(serializer),
            Body::ExportedServices(body) => Flat { kind, body: &**body }.serialize(serializer),
            Body::SamenessGroup(body) => Flat { kind, body: &**body }.serialize(serializer),
            other => other.print(serializer),
        }
    }
}

#[cfg(test)]
mod tests;
