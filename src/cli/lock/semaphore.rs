//! A lock that several hold: every contender has a key of its session, and one key lists those who hold it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::kv::{Kv, Pair, Reading};
use super::{KEY, Left, Wish, wait};

/// The flags by which a key is known for a semaphore.
const FLAGS: u64 = 0xe0f6_9a2b_aa41_4de0;
const CONFLICT: &str = "Existing key does not match semaphore use";

pub(super) struct Semaphore<'a> {
    pub(super) kv: Kv<'a>,
    pub(super) wish: &'a Wish<'a>,
    pub(super) retries: u32,
}

/// Who holds it.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Holders {
    limit: usize,
    #[serde(default)]
    holders: BTreeMap<String, bool>,
}

// === impl Semaphore ===

impl Semaphore<'_> {
    /// The list of holders and its key, without holders whose session is gone. A key for something else is a fault.
    fn holders(&self, pairs: &[Pair]) -> Result<(Pair, Holders), String> {
        let key = self.wish.key(KEY);
        let unused = || Pair { key: key.clone(), flags: FLAGS, ..Pair::default() };
        let pair = pairs.iter().find(|pair| pair.key == key).cloned().unwrap_or_else(unused);
        if pair.flags != FLAGS {
            return Err(CONFLICT.to_owned());
        }
        let value = pair.bytes();
        let mut list = if value.is_empty() {
            Holders { limit: self.wish.holders, holders: BTreeMap::new() }
        } else {
            serde_json::from_slice(&value)
                .map_err(|fault| format!("lock decoding failed: {fault}"))?
        };
        list.holders.retain(|holder, _| pairs.iter().any(|pair| pair.session == *holder));
        Ok((pair, list))
    }

    async fn look(&self, reading: Reading) -> Result<(Vec<Pair>, u64), String> {
        let found = self.kv.read(&self.wish.prefix, true, reading).await;
        found.map_err(|fault| format!("failed to read prefix: {}", fault.text))
    }

    /// Writes the list if nobody else did in between.
    async fn write(&self, pair: &Pair, list: &Holders) -> Result<bool, String> {
        let (index, flags) = (pair.modify_index.to_string(), FLAGS.to_string());
        let query = [("cas", index.as_str()), ("flags", flags.as_str())];
        let written = self.kv.put(&pair.key, &query, super::super::json::line(list)).await;
        written.map_err(|fault| format!("failed to update lock: {fault}"))
    }

    pub(super) async fn acquire(
        &self,
        session: &str,
        deadline: Option<Instant>,
    ) -> Result<bool, String> {
        let flags = FLAGS.to_string();
        let query = [("acquire", session), ("flags", flags.as_str())];
        let made = self.kv.put(&self.wish.key(session), &query, Vec::new()).await;
        let failed = |fault: String| format!("failed to make contender entry: {fault}");
        if !made.map_err(failed)? {
            return Err(failed("<nil>".to_owned()));
        }
        let (mut index, mut first) = (0, true);
        loop {
            let Some(wait) = wait(deadline).or(first.then_some(Duration::ZERO)) else {
                return Ok(false);
            };
            first = false;
            let reading = Reading { index, wait: Some(wait), consistent: false };
            let (pairs, now) = self.look(reading).await?;
            let (pair, mut list) = self.holders(&pairs)?;
            let (theirs, ours) = (list.limit, self.wish.holders);
            if theirs != ours {
                return Err(format!("semaphore limit conflict (lock: {theirs}, local: {ours})"));
            }
            if list.holders.len() >= list.limit {
                index = now;
                continue;
            }
            list.holders.insert(session.to_owned(), true);
            if self.write(&pair, &list).await? {
                return Ok(true);
            }
        }
    }

    pub(super) async fn lost(&self, session: &str) {
        let held = |pairs: &[Pair]| {
            self.holders(pairs).is_ok_and(|(_, list)| list.holders.contains_key(session))
        };
        self.kv.while_held(&self.wish.prefix, true, self.retries, held).await;
    }

    pub(super) async fn release(&self, session: &str) -> Result<(), String> {
        loop {
            let (pairs, _) = self.look(Reading::default()).await?;
            let (pair, mut list) = self.holders(&pairs)?;
            if list.holders.remove(session).is_none() || self.write(&pair, &list).await? {
                break;
            }
        }
        self.kv.delete(&self.wish.key(session), &[]).await.map(|_| ())
    }

    pub(super) async fn remove(&self) -> Result<(), Left> {
        let (pairs, _) = self.look(Reading::default()).await.map_err(Left::Failed)?;
        let (pair, list) = self.holders(&pairs).map_err(Left::Failed)?;
        if pair.modify_index == 0 {
            return Ok(());
        }
        if !list.holders.is_empty() {
            return Err(Left::InUse);
        }
        let index = pair.modify_index.to_string();
        match self.kv.delete(&pair.key, &[("cas", &index)]).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Left::InUse),
            Err(fault) => Err(Left::Failed(format!("failed to remove semaphore: {fault}"))),
        }
    }
}
