//! What `/v1/event` prints.

use proconsul_anchors::events::Event;
use serde::Serialize;
use uuid::Uuid;

use crate::wire::kv::Value;

/// The version of events, of which there is one.
const VERSION: u8 = 1;

/// An event.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct EventOut<'a> {
    #[serde(rename = "ID")]
    id: Uuid,
    name: &'a str,
    payload: Value<'a>,
    node_filter: &'a str,
    service_filter: &'a str,
    tag_filter: &'a str,
    version: u8,
    #[serde(rename = "LTime")]
    time: u64,
}

impl<'a> From<&'a Event> for EventOut<'a> {
    fn from(event: &'a Event) -> Self {
        Self {
            id: event.id,
            name: &event.name,
            payload: Value(&event.payload),
            node_filter: &event.filter.node,
            service_filter: &event.filter.service,
            tag_filter: &event.filter.tag,
            version: VERSION,
            time: event.time,
        }
    }
}
