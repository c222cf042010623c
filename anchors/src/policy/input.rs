//! What a policy is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use time::OffsetDateTime;

use super::PolicyFault;
use crate::clock::Time;
use crate::scope::{CallerFacts, Scope};
use crate::service::{Node, Service};

/// Bytes that what is told may have as JSON, near enough: a caller chooses the longest texts in it.
const INPUT_BYTES_MAX: usize = 64 << 10;

/// What somebody wants to do, and all that is known when it is decided.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Who asks.
    pub caller: &'a CallerFacts,
    /// For what.
    pub action: Action,
    /// With what.
    pub target: Target<'a>,
    /// When.
    pub time: Time,
    /// What the deciding scope holds now, without what is asked for.
    pub facts: Facts,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is what it says")]
pub enum Action {
    RegisterService,
    DeregisterService,
    ReadService,
    WriteKey,
    ReadKey,
    WriteNode,
    ReadNode,
    WriteSession,
    ReadSession,
    WriteScope,
    Login,
}

/// What it is to be done with.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// An instance of a service, as it would be registered on a node.
    Instance(&'a Service, &'a Node),
    /// A service, by name.
    Service(&'a str),
    /// A key, and how many bytes its value would have.
    Key(&'a str, Option<usize>),
    /// A node, by name.
    Node(&'a str),
    /// A session, by its node.
    Session(&'a str),
    /// A method of login, by name, and what it vouches for: what stands for `${…}` in binding rules, such as `value.team`.
    Login(&'a str, &'a BTreeMap<String, String>),
    /// Any other thing: its kind and name.
    Other(&'a str, &'a str),
}

/// What a scope holds, those under it included. Derived from its lineage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Facts {
    /// Service names.
    pub services: u64,
    /// Instances of services.
    pub instances: u64,
    /// Instances of the service that is asked about.
    pub instances_of_service: u64,
    /// Keys.
    pub keys: u64,
    /// Bytes of keys and values.
    pub kv_bytes: u64,
}

// === impl Action ===

impl Action {
    /// Every action.
    pub const ALL: [Self; 11] = [
        Self::RegisterService,
        Self::DeregisterService,
        Self::ReadService,
        Self::WriteKey,
        Self::ReadKey,
        Self::WriteNode,
        Self::ReadNode,
        Self::WriteSession,
        Self::ReadSession,
        Self::WriteScope,
        Self::Login,
    ];

    /// Its name in policies and credentials.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RegisterService => "service:register",
            Self::DeregisterService => "service:deregister",
            Self::ReadService => "service:read",
            Self::WriteKey => "key:write",
            Self::ReadKey => "key:read",
            Self::WriteNode => "node:write",
            Self::ReadNode => "node:read",
            Self::WriteSession => "session:write",
            Self::ReadSession => "session:read",
            Self::WriteScope => "scope:write",
            Self::Login => "login",
        }
    }

    /// The action of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == name)
    }
}

// === impl Input ===

impl Input<'_> {
    /// As policies see it.
    pub fn json(&self, chain: &[Arc<Scope>]) -> Json {
        json!({
            "caller": caller_json(self.caller),
            "action": self.action.as_str(),
            "target": self.target.json(),
            "scope": chain.last().map_or(Json::Null, |scope| scope_json(scope)),
            "time": time_json(self.time),
            "facts": self.facts.json(),
        })
    }

    pub(super) fn value(&self, chain: &[Arc<Scope>]) -> Result<regorus::Value, PolicyFault> {
        let json = self.json(chain);
        if weight(&json) > INPUT_BYTES_MAX {
            let text = format!("what is asked about has more than {INPUT_BYTES_MAX} bytes");
            return Err(PolicyFault::new(text));
        }
        Ok(json.into())
    }
}

impl Target<'_> {
    /// What kind of thing it is.
    pub fn kind(&self) -> &str {
        match self {
            Self::Instance(..) | Self::Service(_) => "service",
            Self::Key(..) => "key",
            Self::Node(_) => "node",
            Self::Session(_) => "session",
            Self::Login(..) => "auth_method",
            Self::Other(kind, _) => kind,
        }
    }

    /// By what name it goes.
    pub fn name(&self) -> &str {
        match self {
            Self::Instance(service, _) => service.name.key(),
            Self::Service(name)
            | Self::Key(name, _)
            | Self::Node(name)
            | Self::Session(name)
            | Self::Login(name, _)
            | Self::Other(_, name) => name,
        }
    }

    fn json(&self) -> Json {
        match self {
            Self::Instance(service, node) => instance_json(service, node),
            Self::Key(key, bytes) => json!({ "kind": "key", "name": key, "bytes": bytes }),
            Self::Login(method, claims) => {
                json!({ "kind": "auth_method", "name": method, "claims": claims })
            }
            _ => json!({ "kind": self.kind(), "name": self.name() }),
        }
    }
}

impl Facts {
    fn json(self) -> Json {
        json!({
            "services": self.services,
            "instances": self.instances,
            "instances_of_service": self.instances_of_service,
            "keys": self.keys,
            "kv_bytes": self.kv_bytes,
        })
    }
}

/// Every text is there, also an empty one, so that a rule about it never speaks of nothing.
fn instance_json(service: &Service, node: &Node) -> Json {
    let address = if service.address.is_empty() { &node.address } else { &service.address };
    let ports = service.rare.as_ref().map_or(&[][..], |rare| &rare.ports);
    let ports: Vec<i64> = std::iter::once(service.port)
        .chain(ports.iter().map(|port| port.port))
        .filter(|port| *port != 0)
        .collect();
    json!({
        "kind": "service",
        "name": service.name.key(),
        "spelled": service.name.as_str(),
        "id": service.id.as_str(),
        "tags": service.tags,
        "port": service.port,
        "ports": ports,
        "address": address,
        "meta": service.meta,
        "service_kind": service.kind(),
        "node": node.name.as_str(),
        "node_meta": node.meta,
    })
}

fn caller_json(caller: &CallerFacts) -> Json {
    let credential = caller.credential.as_ref().map(|credential| {
        let scope = credential.scope.as_str();
        json!({ "id": credential.id, "role": credential.role, "scope": scope })
    });
    json!({
        "accessor": caller.accessor,
        "policies": caller.policies,
        "roles": caller.roles,
        "auth_method": caller.auth_method,
        "listener": caller.listener,
        "source": caller.source,
        "credential": credential,
        "home": caller.home,
    })
}

fn scope_json(scope: &Scope) -> Json {
    json!({
        "path": scope.path.as_str(),
        "owner": scope.owner,
        "budget": scope.budget,
    })
}

/// In UTC: `{unix, rfc3339, date, weekday, minute_of_day}`.
fn time_json(time: Time) -> Json {
    let nanos = i128::from(time.0);
    let at = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let date = format!("{:04}-{:02}-{:02}", at.year(), u8::from(at.month()), at.day());
    let text = format!("{date}T{:02}:{:02}:{:02}Z", at.hour(), at.minute(), at.second());
    json!({
        "unix": at.unix_timestamp(),
        "rfc3339": text,
        "date": date,
        "weekday": at.weekday().to_string().to_lowercase(),
        "minute_of_day": u32::from(at.hour()) * 60 + u32::from(at.minute()),
    })
}

/// The bytes of all texts, and a few for everything else.
fn weight(json: &Json) -> usize {
    match json {
        Json::String(text) => text.len() + 2,
        Json::Array(items) => 2 + items.iter().map(weight).sum::<usize>(),
        Json::Object(fields) => {
            2 + fields.iter().map(|(key, value)| key.len() + weight(value)).sum::<usize>()
        }
        _ => 8,
    }
}
