//! `/v1/event/…`: what users fire, and the latest of it.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Body as _;
use proconsul_anchors::acl::{Act, Authority};
use proconsul_anchors::error::Refusal;
use proconsul_anchors::events::{Event, Filter};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::extract::Ask;
use crate::extract::body::{self, TooLong};
use crate::limits::EVENT_BYTES_MAX;
use crate::reject::{DiscoveryFault, Reject};
use crate::reply::Reply;
use crate::wire::event::EventOut;

/// The index of a list without events.
const NOTHING_YET: u64 = 1;

/// `PUT /v1/event/fire/<name>`.
pub(crate) async fn fire(mut ask: Ask) -> Result<Reply, Reject> {
    let datacenter = ask.datacenter().to_owned();
    let name = ask.named(DiscoveryFault::MissingEventName.into())?.to_owned();
    let text = |name| ask.params.first(name).into();
    let filter = Filter { node: text("node"), service: text("service"), tag: text("tag") };
    let payload = payload(&mut ask).await?;
    let audience = filter.read().map_err(DiscoveryFault::EventFilter)?;
    ask.own_datacenter(&datacenter)?;
    demand_write(&ask, &name)?;
    let event = Event { id: Uuid::new_v4(), name: name.into(), payload, filter, time: 0 };
    let services = ask.site.agent.services();
    let tagged = services.iter().map(|(_, row)| (row.service.id.as_str(), &*row.service.tags));
    let is_for_us = audience.includes(&ask.site.settings.identity.node, tagged);
    let reply = Reply::json(&EventOut::from(&event));
    ask.site.events.fire(event, is_for_us);
    Ok(reply)
}

/// What an event carries. Its length has to be known beforehand.
async fn payload(ask: &mut Ask) -> Result<Vec<u8>, Reject> {
    let body = ask.take_body();
    let known = body.as_ref().map_or(Some(0), |body| body.size_hint().exact());
    let Some(length) = ask.headers.content_length.or(known) else {
        return Err(DiscoveryFault::UnsizedEvent.into());
    };
    let read = body::read(body, Some(length), EVENT_BYTES_MAX, |too_long| match too_long {
        TooLong::Announced(length) => DiscoveryFault::EventTooLarge(length).into(),
        TooLong::Unannounced => DiscoveryFault::UnsizedEvent.into(),
    });
    Ok(read.await?.to_vec())
}

/// Consul tells here neither who was denied nor, with the right status, that a token is not known.
fn demand_write(ask: &Ask, name: &str) -> Result<(), Reject> {
    let authority = ask.authority().map_err(|reject| match reject {
        Reject::Refused(refusal) if is_about_token(&refusal) => {
            DiscoveryFault::EventToken(Box::new(Reject::Refused(refusal))).into()
        }
        other => other,
    })?;
    authority.demand(Act::event_write(name)).map_err(|_| Refusal::Forbidden.into())
}

fn is_about_token(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::UnknownToken { .. } | Refusal::ExpiredToken)
}

/// `GET /v1/event/list`.
pub(crate) async fn list(ask: Ask) -> Result<Reply, Reject> {
    let (after, patience) = wait(&ask)?;
    let authority = ask.authority()?;
    let name = ask.params.first("name").to_owned();
    let until = Instant::now() + patience;
    let mut fired = ask.site.events.watch();
    loop {
        fired.borrow_and_update();
        let (events, filtered) = seen(&ask, &authority, &name);
        let index = events.last().map_or(NOTHING_YET, |event| event.index());
        let told = || {
            let shown: Vec<EventOut<'_>> = events.iter().map(|event| (&**event).into()).collect();
            Ok(Reply::json(&shown).index(index).filtered(&ask.caller, filtered))
        };
        // An index says nothing about before and after: any other than the one that is known is news.
        if after != index {
            return told();
        }
        tokio::select! {
            changed = fired.changed() => if changed.is_err() { return told() },
            () = sleep_until(until) => return told(),
        }
    }
}

/// Without a `wait`, the longest that there is.
fn wait(ask: &Ask) -> Result<(u64, Duration), Reject> {
    let (after, patience) = ask.wait()?;
    let asked = !ask.params.first("wait").is_empty();
    Ok((after, if asked { patience } else { ask.site.settings.wait_max }))
}

/// The events of a name that a caller may see, and whether there were others.
fn seen(ask: &Ask, authority: &Authority, name: &str) -> (Vec<Arc<Event>>, bool) {
    let mut events = ask.site.events.latest();
    events.retain(|event| name.is_empty() || *event.name == *name);
    let named = events.len();
    events.retain(|event| authority.allows(Act::event_read(&event.name)));
    let filtered = events.len() < named;
    (events, filtered)
}
