//! Keys as locks use them.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde::Deserialize;

use super::super::client::{Api, unexpected};

/// How long a failed look at a held lock waits before the next.
const RETRY: Duration = Duration::from_secs(1);

/// The agent's keys.
#[derive(Clone, Copy)]
pub(super) struct Kv<'a> {
    pub(super) api: &'a Api,
}

/// A key.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) flags: u64,
    pub(super) session: String,
    pub(super) modify_index: u64,
    pub(super) value: Option<String>,
}

/// A read that waits, perhaps, for a change.
#[derive(Clone, Copy, Default)]
pub(super) struct Reading {
    pub(super) index: u64,
    pub(super) wait: Option<Duration>,
    /// Whether only the leader may answer.
    pub(super) consistent: bool,
}

/// Why a read failed, and whether it is worth another try.
pub(super) struct Fault {
    pub(super) text: String,
    again: bool,
}

// === impl Pair ===

impl Pair {
    pub(super) fn bytes(&self) -> Vec<u8> {
        STANDARD.decode(self.value.as_deref().unwrap_or("")).unwrap_or_default()
    }
}

// === impl Kv ===

impl Kv<'_> {
    /// A key, or all below it, and where the data stands.
    pub(super) async fn read(
        &self,
        key: &str,
        recurse: bool,
        reading: Reading,
    ) -> Result<(Vec<Pair>, u64), Fault> {
        let index = reading.index.to_string();
        let wait = reading.wait.map(|wait| format!("{}ms", wait.as_millis())).unwrap_or_default();
        let mut query = Vec::new();
        query.extend(recurse.then_some(("recurse", "")));
        query.extend(reading.consistent.then_some(("consistent", "")));
        query.extend((reading.index != 0).then_some(("index", index.as_str())));
        query.extend((!wait.is_empty()).then_some(("wait", wait.as_str())));
        let answer = self.api.answer(Method::GET, &format!("kv/{key}"), &query, Vec::new()).await;
        let answer = answer.map_err(|text| Fault { text, again: true })?;
        match answer.status {
            404 => Ok((Vec::new(), answer.index)),
            200 => match serde_json::from_slice(&answer.body) {
                Ok(pairs) => Ok((pairs, answer.index)),
                Err(fault) => Err(Fault { text: fault.to_string(), again: false }),
            },
            status => Err(Fault { text: unexpected(&answer), again: status == 500 }),
        }
    }

    /// A write with conditions; whether they held.
    pub(super) async fn put(
        &self,
        key: &str,
        query: &[(&str, &str)],
        value: Vec<u8>,
    ) -> Result<bool, String> {
        self.done(Method::PUT, key, query, value).await
    }

    /// A removal with conditions; whether they held.
    pub(super) async fn delete(&self, key: &str, query: &[(&str, &str)]) -> Result<bool, String> {
        self.done(Method::DELETE, key, query, Vec::new()).await
    }

    async fn done(
        &self,
        method: Method,
        key: &str,
        query: &[(&str, &str)],
        value: Vec<u8>,
    ) -> Result<bool, String> {
        let answer = self.api.answer(method, &format!("kv/{key}"), query, value).await?;
        if answer.status == 200 { Ok(answer.says_true()) } else { Err(unexpected(&answer)) }
    }

    /// Waits as long as what is read says that a lock is held. Failed reads are repeated a few times.
    pub(super) async fn while_held(
        &self,
        key: &str,
        recurse: bool,
        retries: u32,
        held: impl Fn(&[Pair]) -> bool,
    ) {
        let mut reading = Reading { consistent: true, ..Reading::default() };
        let mut left = retries;
        loop {
            match self.read(key, recurse, reading).await {
                Ok((pairs, index)) if held(&pairs) => {
                    (reading.index, left) = (index, retries);
                }
                Err(fault) if fault.again && left > 0 => {
                    (reading.index, left) = (0, left - 1);
                    tokio::time::sleep(RETRY).await;
                }
                Ok(_) | Err(_) => return,
            }
        }
    }
}
