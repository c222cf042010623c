//! Services that the index does not know, told from elsewhere: from the Consul that was there before, or from a zone.
//!
//! ```text
//!   unknown here? ──no──▶ ours: also when it is kept from the caller
//!        │ yes
//!        ▼
//!   book: a slot for each name ──fresh──▶ what was told before
//!        │ not fresh: one asks, the others wait for it
//!        ▼
//!   Elsewhere ──▶ registrations ──▶ a small index of their own ──▶ the pages print it as if it were ours
//! ```
//!
//! What is told has an index as a blocking query needs it: it never falls, and moves when what is told changes. It is the
//! revision of a note in the lineage, so that whatever is registered here later has a higher one.

use std::future::Future;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use governor::{DefaultDirectRateLimiter, Quota};
use http::HeaderValue;
use metrics::counter;
use moka::sync::Cache;
use proconsul_anchors::caller::Caller;
use proconsul_anchors::change::{Change, Note, Registration};
use proconsul_anchors::clock::Time;
use proconsul_anchors::handle::Answer;
use proconsul_anchors::index::{Index, Stamp};
use proconsul_anchors::query::Query;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::Site;
use crate::blocking;
use crate::counts;
use crate::extract::ReadOptions;
use crate::limits::{
    FALLBACK_FAILURE_TTL, FALLBACK_IDLE_MAX, FALLBACK_NAMES_MAX, FALLBACK_NOTE_INTERVAL,
    FALLBACK_NOTES_PER_SECOND, FALLBACK_STALE_MAX, FALLBACK_TTL_MIN,
};
use crate::reject::Reject;
use crate::wire::elsewhere::{of_consul, of_hosts};

/// Whoever can be asked about services that are unknown here.
pub trait Elsewhere: Send + Sync + 'static {
    /// Who would be asked about a service, named without secrets; nothing when nobody is. A request has come through
    /// `hops` servers that asked somebody else.
    fn source(&self, service: &str, hops: u8) -> Option<Box<str>>;

    /// Asks; bounded in time.
    fn ask<'a>(&'a self, service: &'a str, hops: u8) -> Asking<'a>;
}

/// A question under way: what is known of the service there, nothing when nothing is, or why nobody could tell.
pub type Asking<'a> = Pin<Box<dyn Future<Output = Result<Option<Found>, String>> + Send + 'a>>;

/// What is known of a service elsewhere.
#[derive(Clone, Debug)]
pub struct Found {
    /// How long it may be kept.
    pub ttl: Duration,
    /// Its instances.
    pub instances: Instances,
}

/// Instances as others tell them.
#[derive(Clone, Debug)]
pub enum Instances {
    /// The body of a Consul's `/v1/health/service/<name>`.
    Consul(Bytes),
    /// Hosts and ports, as SRV and address records tell them.
    Hosts(Vec<Host>),
}

/// An instance as records tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The name of its host.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
    /// Its port; 0 for none.
    pub port: u16,
    /// Its share of the work.
    pub weight: u16,
}

/// What is known from elsewhere. Cheap to clone.
#[derive(Clone)]
pub struct Fallback(Arc<Inner>);

struct Inner {
    elsewhere: Box<dyn Elsewhere>,
    /// By lower-case name of the service.
    book: Cache<Box<str>, Arc<Slot>>,
    notes: DefaultDirectRateLimiter,
}

/// What is known of one name.
#[derive(Default)]
struct Slot {
    known: ArcSwapOption<Known>,
    /// Held by who asks: the others wait for what it hears.
    asking: Mutex<()>,
}

struct Known {
    registrations: Vec<Registration>,
    /// The same as an index.
    at: Arc<Index>,
    /// What a read of it tells as its index.
    index: u64,
    fresh_until: Instant,
    /// When somebody last knew.
    heard: Instant,
    /// When the lineage was last told.
    noted: Option<Instant>,
}

/// An answer, and the header that tells where it comes from when it is not from the index.
pub(crate) struct Told {
    pub(crate) answer: Answer,
    pub(crate) source: Option<HeaderValue>,
}

/// Answers a read of a service's instances: from the index when it knows the service, else from elsewhere.
pub(crate) async fn read(
    site: &Site,
    caller: &Caller,
    options: &ReadOptions,
    query: &Query,
    (service, hops): (&str, u8),
) -> Result<Told, Reject> {
    match site.fallback.source(service, hops) {
        None => {
            let answer = blocking::read(site, caller, options, query).await?;
            Ok(Told { answer, source: None })
        }
        // Few wait here; those who wait for our own services must not pay for it.
        Some(source) => {
            Box::pin(read_anywhere(site, caller, options, query, (service, hops), &source)).await
        }
    }
}

async fn read_anywhere(
    site: &Site,
    caller: &Caller,
    options: &ReadOptions,
    query: &Query,
    (service, hops): (&str, u8),
    source: &str,
) -> Result<Told, Reject> {
    let deadline = Instant::now() + options.patience;
    let at_once = ReadOptions { after: 0, ..options.clone() };
    let mut ours = blocking::read(site, caller, &at_once, query).await?;
    let _waiting = (options.after > 0).then(counts::Waiting::begin);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let is_late = options.after == 0 || left.is_zero();
        if !ours.lacks_service(service) {
            if is_late || ours.index > options.after {
                return Ok(Told { answer: ours, source: None });
            }
            ours = site.handle.wait(caller, query, options.after, left).await?;
            continue;
        }
        let known = site.fallback.known(site, service, hops, source).await;
        let index = ours.index.max(known.index);
        if is_late || index > options.after {
            return Ok(known.told(ours, source));
        }
        // It may appear here, or change there.
        let patience = left.min(known.fresh_until.saturating_duration_since(Instant::now()));
        ours = site.handle.wait(caller, query, ours.index, patience).await?;
    }
}

// === impl Fallback ===

impl Fallback {
    /// Asks this one.
    pub fn new(elsewhere: impl Elsewhere) -> Self {
        let book =
            Cache::builder().max_capacity(FALLBACK_NAMES_MAX).time_to_idle(FALLBACK_IDLE_MAX);
        let rate = NonZeroU32::new(FALLBACK_NOTES_PER_SECOND).unwrap_or(NonZeroU32::MIN);
        Self(Arc::new(Inner {
            elsewhere: Box::new(elsewhere),
            book: book.build(),
            notes: DefaultDirectRateLimiter::direct(Quota::per_second(rate)),
        }))
    }

    fn source(&self, service: &str, hops: u8) -> Option<Box<str>> {
        self.0.elsewhere.source(service, hops)
    }

    /// What is known of a service; asked for when it is not fresh.
    async fn known(&self, site: &Site, service: &str, hops: u8, source: &str) -> Arc<Known> {
        let slot = self.0.book.get_with(service.to_lowercase().into(), Arc::default);
        if let Some(known) = slot.fresh() {
            return known;
        }
        let _asking = slot.asking.lock().await;
        if let Some(known) = slot.fresh() {
            return known;
        }
        let asked = self.0.elsewhere.ask(service, hops).await;
        let outcome = match &asked {
            Ok(Some(_)) => "found",
            Ok(None) => "nothing",
            Err(_) => "failed",
        };
        counter!("consul.fallback.asked", "by" => "http", "outcome" => outcome).increment(1);
        let before = slot.known.load_full();
        let next = Arc::new(self.next(site, (service, source), before.as_deref(), asked).await);
        slot.known.store(Some(Arc::clone(&next)));
        next
    }

    /// What is known after somebody was asked.
    async fn next(
        &self,
        site: &Site,
        (service, source): (&str, &str),
        before: Option<&Known>,
        asked: Result<Option<Found>, String>,
    ) -> Known {
        let now = Instant::now();
        let (registrations, ttl, heard) = match asked.and_then(|found| read_found(service, found)) {
            Ok((registrations, ttl)) => (registrations, ttl.max(FALLBACK_TTL_MIN), now),
            Err(error) => {
                tracing::warn!(service, source, %error, "nobody could be asked about a service that is unknown here");
                let last = before.filter(|known| now - known.heard < FALLBACK_STALE_MAX);
                let told = last.map(|known| known.registrations.clone()).unwrap_or_default();
                (told, FALLBACK_FAILURE_TTL, last.map_or(now, |known| known.heard))
            }
        };
        let fresh_until = now + ttl;
        let changed = before.is_some_and(|known| known.registrations != registrations);
        let used = !registrations.is_empty()
            && before
                .and_then(|known| known.noted)
                .is_none_or(|noted| now - noted > FALLBACK_NOTE_INTERVAL);
        let revision = if changed || used { self.note(site, service, source).await } else { None };
        match (before, revision) {
            // An index that cannot move must not hide a change: what was told before is told on.
            (Some(known), None) if changed => known.kept_until(now + FALLBACK_FAILURE_TTL),
            (Some(known), revision) if !changed => {
                let noted = revision.map_or(known.noted, |_| Some(now));
                let at = Arc::clone(&known.at);
                Known { registrations, at, index: known.index, fresh_until, heard, noted }
            }
            (_, revision) => {
                let index = revision.unwrap_or_else(|| site.handle.snapshot().revision().max(1));
                let at = Arc::new(index_of(&registrations));
                let noted = revision.map(|_| now);
                Known { registrations, at, index, fresh_until, heard, noted }
            }
        }
    }

    /// Tells the lineage that a name was answered from elsewhere; the revision of that.
    async fn note(&self, site: &Site, service: &str, source: &str) -> Option<u64> {
        self.0.notes.check().ok()?;
        let note = Note::Fallback { service: service.into(), source: source.into() };
        let noted = site.handle.submit(&Caller::own(), Change::Note(note)).await;
        noted.ok().map(|committed| committed.revision)
    }
}

/// The registrations that somebody told, and how long they may be kept.
fn read_found(
    service: &str,
    found: Option<Found>,
) -> Result<(Vec<Registration>, Duration), String> {
    let Some(Found { ttl, instances }) = found else {
        return Ok((Vec::new(), FALLBACK_FAILURE_TTL));
    };
    let registrations = match instances {
        Instances::Consul(body) => of_consul(&body)?,
        Instances::Hosts(hosts) => of_hosts(service, &hosts),
    };
    Ok((registrations, ttl))
}

/// An index that knows these alone.
fn index_of(registrations: &[Registration]) -> Index {
    let mut index = Index::new();
    for (revision, registration) in (1..).zip(registrations) {
        let stamp = Stamp { revision, seq: revision, at: Time(0), salt: [0; 16] };
        let applied = index.apply(&stamp, &Change::Register(Box::new(registration.clone())));
        if let Err(refusal) = applied.verdict {
            tracing::debug!(%refusal, "an instance from elsewhere is left out");
        }
    }
    index
}

// === impl Slot ===

impl Slot {
    fn fresh(&self) -> Option<Arc<Known>> {
        self.known.load_full().filter(|known| Instant::now() < known.fresh_until)
    }
}

// === impl Known ===

impl Known {
    fn told(&self, ours: Answer, source: &str) -> Told {
        let index = ours.index.max(self.index);
        if self.registrations.is_empty() {
            return Told { answer: Answer { index, ..ours }, source: None };
        }
        let header = HeaderValue::from_str(&format!("fallback:{source}"));
        let answer = Answer { index, at: Arc::clone(&self.at), ..ours };
        Told { answer, source: header.ok() }
    }

    fn kept_until(&self, fresh_until: Instant) -> Self {
        Self {
            registrations: self.registrations.clone(),
            at: Arc::clone(&self.at),
            index: self.index,
            fresh_until,
            heard: self.heard,
            noted: self.noted,
        }
    }
}
