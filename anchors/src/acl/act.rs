//! What somebody wants to do, as Consul's rules name it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "each is the resource of Consul's rules with the same name")]
pub enum Resource {
    Acl,
    Agent,
    Event,
    Intention,
    Key,
    Keyring,
    Mesh,
    Node,
    Operator,
    Peering,
    Query,
    Service,
    Session,
}

/// How it is accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Reading.
    Read,
    /// Listing keys under a prefix.
    List,
    /// Writing.
    Write,
}

/// Of what the name speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach<'a> {
    /// The resource has no names (`operator`, `acl`, `keyring`, `mesh`, `peering`).
    Whole,
    /// One name.
    Named(&'a str),
    /// Every name that begins so: writing a tree of keys.
    Under(&'a str),
    /// Any name at all: whether there is one that may be accessed.
    Any,
    /// All names, those that no rule speaks of included.
    All,
}

/// One access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Act<'a> {
    /// What.
    pub resource: Resource,
    /// How.
    pub access: Access,
    /// Of which names.
    pub reach: Reach<'a>,
}

macro_rules! named {
    ($($(#[$doc:meta])* $name:ident: $resource:ident $access:ident;)*) => {
        $($(#[$doc])*
        pub fn $name(name: &'a str) -> Self {
            Self { resource: Resource::$resource, access: Access::$access, reach: Reach::Named(name) }
        })*
    };
}

macro_rules! whole {
    ($($(#[$doc:meta])* $name:ident: $resource:ident $access:ident;)*) => {
        $($(#[$doc])*
        pub fn $name() -> Self {
            Self { resource: Resource::$resource, access: Access::$access, reach: Reach::Whole }
        })*
    };
}

impl<'a> Act<'a> {
    named! {
        /// Reads an agent's own pages; the name is its node's.
        agent_read: Agent Read;
        /// Moves an agent.
        agent_write: Agent Write;
        /// Reads an event.
        event_read: Event Read;
        /// Fires an event.
        event_write: Event Write;
        /// Reads the intentions of a service.
        intention_read: Intention Read;
        /// Writes the intentions of a service.
        intention_write: Intention Write;
        /// Reads a key.
        key_read: Key Read;
        /// Lists the keys under a prefix (only asked with `enable_key_list_policy`).
        key_list: Key List;
        /// Writes a key.
        key_write: Key Write;
        /// Reads a node.
        node_read: Node Read;
        /// Writes a node.
        node_write: Node Write;
        /// Reads a prepared query, by its name.
        query_read: Query Read;
        /// Writes a prepared query.
        query_write: Query Write;
        /// Reads a service.
        service_read: Service Read;
        /// Writes a service.
        service_write: Service Write;
        /// Reads the sessions of a node.
        session_read: Session Read;
        /// Writes the sessions of a node.
        session_write: Session Write;
    }

    whole! {
        /// Reads access control.
        acl_read: Acl Read;
        /// Writes access control; also takes and restores snapshots.
        acl_write: Acl Write;
        /// Reads gossip keys.
        keyring_read: Keyring Read;
        /// Writes gossip keys.
        keyring_write: Keyring Write;
        /// Reads the mesh's settings.
        mesh_read: Mesh Read;
        /// Writes the mesh's settings.
        mesh_write: Mesh Write;
        /// Reads what operators read.
        operator_read: Operator Read;
        /// Does what operators do.
        operator_write: Operator Write;
        /// Reads peerings.
        peering_read: Peering Read;
        /// Writes peerings.
        peering_write: Peering Write;
    }

    /// Writes every key under a prefix.
    pub fn key_write_under(prefix: &'a str) -> Self {
        Self { resource: Resource::Key, access: Access::Write, reach: Reach::Under(prefix) }
    }

    /// Reads every node, whatever its name.
    pub fn node_read_all() -> Self {
        Self { resource: Resource::Node, access: Access::Read, reach: Reach::All }
    }

    /// Reads every service, whatever its name.
    pub fn service_read_all() -> Self {
        Self { resource: Resource::Service, access: Access::Read, reach: Reach::All }
    }

    /// Writes some service.
    pub fn service_write_any() -> Self {
        Self { resource: Resource::Service, access: Access::Write, reach: Reach::Any }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Acl => "acl",
            Self::Agent => "agent",
            Self::Event => "event",
            Self::Intention => "intention",
            Self::Key => "key",
            Self::Keyring => "keyring",
            Self::Mesh => "mesh",
            Self::Node => "node",
            Self::Operator => "operator",
            Self::Peering => "peering",
            Self::Query => "query",
            Self::Service => "service",
            Self::Session => "session",
        })
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::List => "list",
            Self::Write => "write",
        })
    }
}
