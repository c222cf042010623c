//! The session of a lock: renewed as long as it is looked after.

use std::time::Duration;

use proconsul_anchors::duration;
use reqwest::Method;
use serde_json::{Map, Value};

use super::super::client::{Api, unexpected};
use super::super::go::text;
use super::super::json::line;

/// How long a session lives without a renewal.
const TTL: &str = "15s";
const TTL_USUAL: Duration = Duration::from_secs(15);
/// How long a failed renewal waits before the next.
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct Session<'a> {
    api: &'a Api,
    pub(super) id: String,
}

// === impl Session ===

impl<'a> Session<'a> {
    pub(super) async fn create(
        api: &'a Api,
        name: &str,
        behaviour: Option<&str>,
    ) -> Result<Self, String> {
        let mut body = Map::new();
        body.insert("Name".to_owned(), name.into());
        body.insert("TTL".to_owned(), TTL.into());
        body.extend(behaviour.map(|behaviour| ("Behavior".to_owned(), behaviour.into())));
        let answer = api.answer(Method::PUT, "session/create", &[], line(&body)).await?;
        if answer.status != 200 {
            return Err(unexpected(&answer));
        }
        Ok(Self { api, id: text(&answer.json()?, "ID").to_owned() })
    }

    /// Renews the session; ends when it is lost, with the reason.
    pub(super) async fn renewed(&self) -> String {
        let (mut ttl, mut wait) = (TTL_USUAL, TTL_USUAL / 2);
        let mut last = tokio::time::Instant::now();
        loop {
            tokio::time::sleep(wait).await;
            let path = format!("session/renew/{}", self.id);
            let answer = self.api.answer(Method::PUT, &path, &[], Vec::new()).await;
            let fault = match answer {
                Ok(answer) if answer.status == 200 => {
                    ttl = answer.json().ok().and_then(|sessions| ttl_of(&sessions)).unwrap_or(ttl);
                    (wait, last) = (ttl / 2, tokio::time::Instant::now());
                    continue;
                }
                Ok(answer) if answer.status == 404 => return "session expired".to_owned(),
                Ok(answer) => unexpected(&answer),
                Err(fault) => fault,
            };
            if last.elapsed() > ttl {
                return fault;
            }
            wait = RETRY;
        }
    }

    /// Ends the session. One that cannot be ended ends by itself.
    pub(super) async fn destroy(&self) {
        let path = format!("session/destroy/{}", self.id);
        let _ends_by_itself = self.api.answer(Method::PUT, &path, &[], Vec::new()).await;
    }
}

/// The server may give a session another life than was asked for.
fn ttl_of(sessions: &Value) -> Option<Duration> {
    let nanos = duration::parse(text(sessions.get(0)?, "TTL")).ok()?;
    u64::try_from(nanos).ok().filter(|nanos| *nanos > 0).map(Duration::from_nanos)
}
