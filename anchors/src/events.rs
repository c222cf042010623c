//! Events that users fire (`/v1/event`): the latest are remembered in memory, and who waits for the next is woken.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use regex::Regex;
use tokio::sync::watch;
use uuid::Uuid;

use crate::pattern::{self, Refused};

/// Events that are remembered: Consul's number.
pub const EVENTS_MAX: usize = 256;

/// The name of the event by which Consul runs commands on other machines. Nobody here does so, and nobody is told of it.
const REMOTE_EXECUTION: &str = "_rexec";

/// Serf's clock when the first event of a user comes: the election of a leader was an event, too.
const FIRST_TIME: u64 = 2;

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Which one.
    pub id: Uuid,
    /// What it is called.
    pub name: Box<str>,
    /// What it carries.
    pub payload: Vec<u8>,
    /// Whom it is for.
    pub filter: Filter,
    /// Its place in the order of all events (Lamport's clock).
    pub time: u64,
}

/// Patterns of those whom an event is for; an empty one matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of the node's name.
    pub node: Box<str>,
    /// Of the id of a service on it.
    pub service: Box<str>,
    /// Of one of that service's tags.
    pub tag: Box<str>,
}

/// Why an event is not fired. Printed in Consul's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFilter {
    /// A tag is a service's.
    #[error("Cannot provide tag filter without service filter")]
    TagAlone,
    /// The node's pattern is none.
    #[error("Invalid node filter: {0}")]
    Node(Refused),
    /// The service's pattern is none.
    #[error("Invalid service filter: {0}")]
    Service(Refused),
    /// The tag's pattern is none.
    #[error("Invalid tag filter: {0}")]
    Tag(Refused),
}

/// A filter whose patterns are read.
#[derive(Clone, Debug)]
pub struct Audience {
    node: Option<Regex>,
    service: Option<Regex>,
    tag: Option<Regex>,
}

/// The latest events that were for this node; cheap to clone.
#[derive(Clone, Debug)]
pub struct Events(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ring: Mutex<Ring>,
    fired: watch::Sender<u64>,
}

#[derive(Debug)]
struct Ring {
    latest: VecDeque<Arc<Event>>,
    clock: u64,
}

// === impl Event ===

impl Event {
    /// The index by which who waits tells this event from the one before: both halves of its id in one number.
    pub fn index(&self) -> u64 {
        let (high, low) = self.id.as_u64_pair();
        high ^ low
    }
}

// === impl Filter ===

impl Filter {
    /// Reads the patterns.
    ///
    /// # Errors
    /// See [`BadFilter`].
    pub fn read(&self) -> Result<Audience, BadFilter> {
        if !self.tag.is_empty() && self.service.is_empty() {
            return Err(BadFilter::TagAlone);
        }
        let read = |text: &str| {
            Some(text).filter(|text| !text.is_empty()).map(pattern::compile_alone).transpose()
        };
        Ok(Audience {
            node: read(&self.node).map_err(BadFilter::Node)?,
            service: read(&self.service).map_err(BadFilter::Service)?,
            tag: read(&self.tag).map_err(BadFilter::Tag)?,
        })
    }
}

impl Audience {
    /// Whether a node is meant: it, and one of its services, each an id with its tags.
    pub fn includes<'a>(
        &self,
        node: &str,
        mut services: impl Iterator<Item = (&'a str, &'a [Box<str>])>,
    ) -> bool {
        let fits = |pattern: &Option<Regex>, text: &str| {
            pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
        };
        let tagged = |tags: &[Box<str>]| {
            self.tag.as_ref().is_none_or(|tag| tags.iter().any(|have| tag.is_match(have)))
        };
        fits(&self.node, node)
            && (self.service.is_none()
                || services.any(|(id, tags)| fits(&self.service, id) && tagged(tags)))
    }
}

// === impl Events ===

impl Default for Events {
    fn default() -> Self {
        let ring = Ring { latest: VecDeque::new(), clock: FIRST_TIME };
        Self(Arc::new(Inner { ring: Mutex::new(ring), fired: watch::Sender::new(0) }))
    }
}

impl Events {
    /// Takes an event into the order of all; it is remembered when it is for this node.
    pub fn fire(&self, mut event: Event, is_for_us: bool) {
        let mut ring = self.ring();
        event.time = ring.clock;
        ring.clock += 1;
        if !is_for_us || &*event.name == REMOTE_EXECUTION {
            return;
        }
        if ring.latest.len() == EVENTS_MAX {
            ring.latest.pop_front();
        }
        ring.latest.push_back(Arc::new(event));
        drop(ring);
        self.0.fired.send_modify(|count| *count += 1);
    }

    /// The remembered events, the oldest first.
    pub fn latest(&self) -> Vec<Arc<Event>> {
        self.ring().latest.iter().cloned().collect()
    }

    /// Tells of each event that is remembered from now on.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.0.fired.subscribe()
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str) -> Event {
        Event {
            id: Uuid::from_u128(0x0002_0000_0000_0000_0000_0000_0000_0005),
            name: name.into(),
            payload: Vec::new(),
            filter: Filter::default(),
            time: 0,
        }
    }

    #[test]
    fn the_latest_are_remembered_in_order() {
        let events = Events::default();
        let watch = events.watch();
        events.fire(event("others"), false);
        events.fire(event("_rexec"), true);
        assert!(!watch.has_changed().unwrap());
        for nth in 0..300 {
            events.fire(event(&nth.to_string()), true);
        }
        let latest = events.latest();
        assert!(watch.has_changed().unwrap());
        let told: Vec<(&str, u64)> = [0, 255].map(|at| (&*latest[at].name, latest[at].time)).into();
        assert_eq!((latest.len(), told), (256, vec![("44", 48), ("299", 303)]));
    }

    #[test]
    fn an_index_is_both_halves_of_the_id() {
        assert_eq!(event("a").index(), 0x0002_0000_0000_0005);
    }

    #[test]
    fn filters_say_whom_an_event_is_for() {
        let tags: [Box<str>; 1] = ["v1".into()];
        let services = [("web-1", &tags[..]), ("db", &[][..])];
        for (node, service, tag, includes) in [
            ("", "", "", true),
            ("^n", "", "", true),
            ("^m", "", "", false),
            ("", "web", "", true),
            ("", "web", "v1", true),
            ("", "db", "v1", false),
            ("", "cache", "", false),
            ("n1", "db|web", "v", true),
        ] {
            let filter = Filter { node: node.into(), service: service.into(), tag: tag.into() };
            let audience = filter.read().unwrap();
            assert_eq!(audience.includes("n1", services.into_iter()), includes, "{filter:?}");
        }
        for (node, service, tag, told) in [
            ("", "", "x", "Cannot provide tag filter without service filter"),
            ("(", "", "", "Invalid node filter: error parsing regexp: missing closing ): `(`"),
            ("", "(", "", "Invalid service filter: error parsing regexp: missing closing ): `(`"),
            ("", "a", "(", "Invalid tag filter: error parsing regexp: missing closing ): `(`"),
        ] {
            let filter = Filter { node: node.into(), service: service.into(), tag: tag.into() };
            assert_eq!(filter.read().unwrap_err().to_string(), told);
        }
    }
}
