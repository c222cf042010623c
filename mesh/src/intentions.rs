//! Intentions: who may speak with whom. They are kept as the sources of `service-intentions` entries.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest as _};
use serde_json::Value;

use crate::entries::service_intentions::{
    JwtRequirement, Manner, Permission, ServiceIntentions, Source,
};
use crate::entries::shared::{Meta, WILDCARD};
use crate::entries::{Body, Entry, Kind};
use crate::library::{self, Library};
use crate::text::{Invalid, quote, refuse};
use crate::wire::{Indexes, List, Moment, Report, read, record};

mod draft;

pub use draft::Draft;

record! {
    /// One source of one destination.
    Intention = "Intention" {
        created: Option<Box<Moment>> = "CreatedAt" omit,
        updated: Option<Box<Moment>> = "UpdatedAt" omit,
        id: String = "ID" omit,
        description: String = "Description" omit,
        source_namespace: String = "SourceNS" always,
        source: String = "SourceName" always,
        destination_namespace: String = "DestinationNS" always,
        destination: String = "DestinationName" always,
        source_peer: String = "SourcePeer" omit,
        kind: String = "SourceType" always,
        action: String = "Action" omit,
        permissions: Vec<Permission> = "Permissions" omit,
        jwt: Option<Box<JwtRequirement>> = "JWT" omit,
        meta: Meta = "Meta" omit,
        precedence: i64 = "Precedence" always,
        hash: String = "Hash" omit,
        rows: Indexes = "RaftIndex" rows,
    }
}

/// An intention, ready to be printed.
#[derive(Clone, Debug)]
pub struct Shown(pub(crate) Intention);

/// From which side intentions are matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Those of which this is the source.
    Source,
    /// Those of which this is the destination.
    Destination,
}

/// What a write of an intention does to the entries.
#[derive(Clone, Debug)]
pub enum Mutation {
    /// This entry is written.
    Put(Entry),
    /// The entry of this destination goes.
    Delete(String),
    /// Nothing.
    Nothing,
}

// === impl Shown ===

impl Shown {
    /// The source's name.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// Whether the source is one of another cluster.
    pub fn is_foreign(&self) -> bool {
        !self.0.source_peer.is_empty()
    }

    /// The destination's name.
    pub fn destination(&self) -> &str {
        &self.0.destination
    }

    /// Whether it lets the source through without looking at its requests.
    pub fn allows(&self) -> bool {
        self.0.permissions.is_empty() && self.0.action == "allow"
    }

    /// Whether it looks at requests.
    pub fn has_permissions(&self) -> bool {
        !self.0.permissions.is_empty()
    }

    /// At how many kinds of requests it looks.
    pub fn permissions(&self) -> usize {
        self.0.permissions.len()
    }

    /// How exact it is: the greater goes first.
    pub fn precedence(&self) -> i64 {
        self.0.precedence
    }

    /// The pairs of its writer.
    pub fn meta(&self) -> &BTreeMap<String, String> {
        &self.0.meta
    }

    fn of(entry: &ServiceIntentions, source: &Source) -> Self {
        let legacy = !source.legacy_id.is_empty();
        let mut intention = Intention {
            created: source.legacy_created.clone(),
            updated: source.legacy_updated.clone(),
            id: source.legacy_id.clone(),
            description: source.description.clone(),
            source_namespace: "default".to_owned(),
            source: source.name.clone(),
            destination_namespace: "default".to_owned(),
            destination: entry.name.clone(),
            source_peer: source.peer.clone(),
            kind: source.kind.clone(),
            action: source.action.clone(),
            permissions: source.permissions.clone(),
            jwt: entry.jwt.clone(),
            meta: if legacy { source.legacy_meta.clone() } else { entry.meta.clone() },
            precedence: source.precedence,
            hash: String::new(),
            rows: entry.rows,
        };
        if legacy {
            intention.hash = hash(&intention);
        }
        Self(intention)
    }
}

impl serde::Serialize for Shown {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// What replication compares intentions by, as it is printed.
fn hash(intention: &Intention) -> String {
    let mut hash = Blake2b::<U32>::new();
    for text in [
        &intention.id,
        &intention.description,
        &intention.source_namespace,
        &intention.source,
        &intention.destination_namespace,
        &intention.destination,
        &intention.kind,
        &intention.action,
    ] {
        hash.update(text.as_bytes());
    }
    hash.update(intention.precedence.to_le_bytes());
    for (key, value) in &intention.meta {
        hash.update(key.as_bytes());
        hash.update(value.as_bytes());
    }
    STANDARD.encode(hash.finalize())
}

// === reads ===

fn all(library: &dyn Library) -> Vec<ServiceIntentions> {
    let entries = library.entries(Kind::ServiceIntentions);
    let bodies = entries.iter().map(|entry| match &entry.body {
        Body::ServiceIntentions(body) => Some((**body).clone()),
        _ => None,
    });
    bodies.flatten().collect()
}

fn sorted(mut intentions: Vec<Shown>) -> Vec<Shown> {
    intentions.sort_by(|Shown(a), Shown(b)| {
        b.precedence.cmp(&a.precedence).then_with(|| key(a).cmp(&key(b)))
    });
    intentions
}

/// By what intentions of one precedence are put in order.
fn key(intention: &Intention) -> [&str; 3] {
    [&intention.source_peer, &intention.source, &intention.destination]
}

/// All intentions, the more exact first.
pub fn list(library: &dyn Library) -> Vec<Shown> {
    let shown = |entry: &ServiceIntentions| {
        entry.sources.iter().map(|source| Shown::of(entry, source)).collect::<Vec<_>>()
    };
    sorted(all(library).iter().flat_map(shown).collect())
}

/// The intention of this id.
pub fn by_id(library: &dyn Library, id: &str) -> Option<Shown> {
    let (entry, at) = find(library, id)?;
    entry.sources.get(at).map(|source| Shown::of(&entry, source))
}

/// The entry that has a source of this id, and where.
fn find(library: &dyn Library, id: &str) -> Option<(ServiceIntentions, usize)> {
    if id.is_empty() {
        return None;
    }
    let place =
        |entry: &ServiceIntentions| entry.sources.iter().position(|source| source.legacy_id == id);
    all(library).into_iter().find_map(|entry| place(&entry).map(|at| (entry, at)))
}

/// The intention of exactly this source, of this peer where it is not empty, and this destination.
pub fn exact(library: &dyn Library, source: &str, peer: &str, destination: &str) -> Option<Shown> {
    let entry = library::intentions(library, destination)?;
    let found = entry.sources.iter().find(|other| other.name == source && other.peer == peer)?;
    Some(Shown::of(&entry, found))
}

/// The intentions that apply to a service, the more exact first. `has_instances` tells whether a service is in the catalog.
pub fn matching(
    library: &dyn Library,
    side: Side,
    name: &str,
    has_instances: &dyn Fn(&str) -> bool,
) -> Vec<Shown> {
    let names: &[&str] = if name == WILDCARD { &[WILDCARD] } else { &[name, WILDCARD] };
    let found = names.iter().flat_map(|name| match side {
        Side::Source => from(library, name, has_instances),
        Side::Destination => to(library, name),
    });
    sorted(found.collect())
}

fn to(library: &dyn Library, name: &str) -> Vec<Shown> {
    let Some(entry) = library::intentions(library, name) else { return Vec::new() };
    entry.sources.iter().map(|source| Shown::of(&entry, source)).collect()
}

fn from(library: &dyn Library, name: &str, has_instances: &dyn Fn(&str) -> bool) -> Vec<Shown> {
    let entries = all(library).into_iter().filter(|entry| {
        entry.sources.iter().any(|source| source.name == name && source.peer.is_empty())
            && !is_outside(library, &entry.name, has_instances)
    });
    let shown = |entry: ServiceIntentions| {
        let sources = entry.sources.iter().filter(|source| source.name == name);
        sources.map(|source| Shown::of(&entry, source)).collect::<Vec<_>>()
    };
    entries.flat_map(shown).collect()
}

/// Whether a name only stands for places outside the mesh: no intention of a source is about those.
fn is_outside(library: &dyn Library, name: &str, has_instances: &dyn Fn(&str) -> bool) -> bool {
    let defaults = library::service_defaults(library, name);
    defaults.is_some_and(|defaults| defaults.destination.is_some()) && !has_instances(name)
}

/// Whether a source may open a connection to a destination; what nothing is said of is as `default`.
pub fn allowed(
    library: &dyn Library,
    source: &str,
    destination: &str,
    default: bool,
    has_instances: &dyn Fn(&str) -> bool,
) -> bool {
    let entries = [destination, WILDCARD]
        .into_iter()
        .filter(|name| !is_outside(library, name, has_instances))
        .filter_map(|name| library::intentions(library, name));
    let found = entries.flat_map(|entry| {
        let meant = |other: &&Source| {
            other.peer.is_empty() && (other.name == source || other.name == WILDCARD)
        };
        let sources = entry.sources.iter().filter(meant);
        sources.map(|source| Shown::of(&entry, source)).collect::<Vec<_>>()
    });
    let most_exact = sorted(found.collect()).into_iter().next();
    most_exact.map_or(default, |intention| intention.allows())
}

// === writes ===

/// Writes an intention by its exact names.
///
/// # Errors
/// What is wrong with it.
pub fn upsert(library: &dyn Library, draft: Draft) -> Result<Mutation, Invalid> {
    let former = library::intentions(library, &draft.destination);
    let meta = former.as_ref().map(|former| &former.meta);
    match meta {
        _ if draft.meta.is_empty() => {}
        None => refuse!("Meta must not be specified"),
        Some(meta) if *meta == draft.meta => {}
        Some(_) => {
            refuse!("Meta must not be specified, or should be unchanged during an update.")
        }
    }
    let destination = draft.destination.clone();
    let source = Source { legacy_meta: Meta::new(), ..draft.into_source(true)? };
    let mut entry = former.unwrap_or_else(|| blank(&destination));
    let sources = entry.sources.0.get_or_insert_default();
    match sources.iter_mut().find(|other| other.name == source.name) {
        Some(place) => *place = source,
        None => sources.push(source),
    }
    entry.settle(Manner::Entry);
    entry.check(Manner::Entry)?;
    Ok(put(entry))
}

/// Deletes the intention of exactly this source and destination.
///
/// # Errors
/// What is left may not stand alone.
pub fn delete(library: &dyn Library, source: &str, destination: &str) -> Result<Mutation, Invalid> {
    let Some(mut entry) = library::intentions(library, destination) else {
        return Ok(Mutation::Nothing);
    };
    let own = |other: &&Source| other.name == source && other.peer.is_empty();
    if entry.sources.iter().find(own).is_none() {
        return Ok(Mutation::Nothing);
    }
    let sources = entry.sources.0.get_or_insert_default();
    if let Some(at) = sources.iter().position(|other| other.name == source) {
        sources.remove(at);
    }
    without(entry, Manner::Entry)
}

/// The entry, or its end when no source is left.
fn without(mut entry: ServiceIntentions, manner: Manner) -> Result<Mutation, Invalid> {
    if entry.sources.is_empty() {
        return Ok(Mutation::Delete(entry.name));
    }
    entry.settle(manner);
    entry.check(manner)?;
    Ok(put(entry))
}

fn put(entry: ServiceIntentions) -> Mutation {
    let mut entry = Entry { body: Body::ServiceIntentions(Box::new(entry)) };
    entry.rehash();
    Mutation::Put(entry)
}

fn blank(destination: &str) -> ServiceIntentions {
    ServiceIntentions {
        kind: Kind::ServiceIntentions.as_str().to_owned(),
        name: destination.to_owned(),
        sources: List(Some(Vec::new())),
        ..ServiceIntentions::default()
    }
}

/// Creates an intention with an id of its own, at this moment (RFC 3339).
///
/// # Errors
/// What is wrong with it.
pub fn create(
    library: &dyn Library,
    draft: Draft,
    id: &str,
    now: &str,
) -> Result<Mutation, Invalid> {
    draft.check()?;
    let destination = draft.destination.clone();
    let mut entry = match library::intentions(library, &destination) {
        Some(former) => by_ids_only(former)?,
        None => blank(&destination),
    };
    let source = legacy(draft.into_source(false)?, id, now);
    entry.sources.0.get_or_insert_default().push(source);
    entry.settle(Manner::ById);
    entry.check(Manner::ById)?;
    Ok(put(entry))
}

/// Writes the intention of this id anew, at this moment (RFC 3339).
///
/// # Errors
/// What is wrong with it.
pub fn update(
    library: &dyn Library,
    draft: Draft,
    id: &str,
    now: &str,
) -> Result<Mutation, Invalid> {
    let Some((entry, at)) = find(library, id) else {
        refuse!("Cannot modify non-existent intention: '{id}'")
    };
    if entry.name != draft.destination {
        refuse!(
            "Cannot modify Destination partition/namespace/name for an intention once it exists."
        );
    }
    draft.check()?;
    let mut entry = by_ids_only(entry)?;
    entry.sources[at] = legacy(draft.into_source(false)?, id, now);
    entry.settle(Manner::ById);
    entry.check(Manner::ById)?;
    Ok(put(entry))
}

/// Deletes the intention of this id.
///
/// # Errors
/// There is none, or it is not one of those that are known by their ids.
pub fn delete_by_id(library: &dyn Library, id: &str) -> Result<Mutation, Invalid> {
    let Some((entry, at)) = find(library, id) else {
        refuse!("Cannot delete non-existent intention: '{id}'")
    };
    let mut entry = by_ids_only(entry)?;
    entry.sources.0.get_or_insert_default().remove(at);
    without(entry, Manner::ById)
}

/// An entry whose sources are all known by their ids; no other may be changed through them.
fn by_ids_only(entry: ServiceIntentions) -> Result<ServiceIntentions, Invalid> {
    if entry.sources.iter().all(|source| !source.legacy_id.is_empty()) {
        return Ok(entry);
    }
    refuse!(
        "cannot use legacy intention API to edit intentions with a destination of {} after editing them via a service-intentions config entry",
        quote(&entry.name)
    )
}

fn legacy(source: Source, id: &str, now: &str) -> Source {
    let now = || Some(Box::new(Moment(now.to_owned())));
    Source { legacy_id: id.to_owned(), legacy_created: now(), legacy_updated: now(), ..source }
}

/// Reads permissions as a client wrote them.
fn permissions(value: &Value) -> Result<Vec<Permission>, Invalid> {
    let mut permissions = Vec::new();
    let mut report = Report::default();
    read(&mut permissions, value, "Permissions", &mut report);
    report.lenient()?;
    Ok(permissions)
}

#[cfg(test)]
mod tests;
