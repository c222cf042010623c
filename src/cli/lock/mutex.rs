//! A lock that one holds: the key whose session is the holder's.

use std::time::Duration;

use tokio::time::Instant;

use super::kv::{Kv, Pair, Reading};
use super::{Left, wait};

/// The flags by which a key is known for a lock.
const FLAGS: u64 = 0x2ddc_cbc0_58a5_0c18;
/// How long a lock that has just been lost is waited for.
const RETRY: Duration = Duration::from_secs(5);

pub(super) struct Mutex<'a> {
    pub(super) kv: Kv<'a>,
    pub(super) key: String,
    pub(super) retries: u32,
}

// === impl Mutex ===

impl Mutex<'_> {
    async fn look(&self, reading: Reading) -> Result<(Option<Pair>, u64), String> {
        let (pairs, index) =
            self.kv.read(&self.key, false, reading).await.map_err(|fault| fault.text)?;
        Ok((pairs.into_iter().next(), index))
    }

    pub(super) async fn acquire(
        &self,
        session: &str,
        deadline: Option<Instant>,
    ) -> Result<bool, String> {
        let flags = FLAGS.to_string();
        let (mut index, mut first) = (0, true);
        loop {
            let Some(wait) = wait(deadline).or(first.then_some(Duration::ZERO)) else {
                return Ok(false);
            };
            first = false;
            let reading = Reading { index, wait: Some(wait), consistent: false };
            let (pair, now) = self
                .look(reading)
                .await
                .map_err(|fault| format!("failed to read lock: {fault}"))?;
            match pair {
                Some(pair) if pair.flags != FLAGS => {
                    return Err("Existing key does not match lock use".to_owned());
                }
                Some(pair) if pair.session == session => return Ok(true),
                Some(pair) if !pair.session.is_empty() => {
                    index = now;
                    continue;
                }
                _ => {}
            }
            let query = [("acquire", session), ("flags", flags.as_str())];
            let taken = self.kv.put(&self.key, &query, Vec::new()).await;
            if taken.map_err(|fault| format!("failed to acquire lock: {fault}"))? {
                return Ok(true);
            }
            // Somebody was faster, or the lock rests after it was lost.
            let (pair, now) = self.look(Reading::default()).await?;
            if pair.is_some_and(|pair| !pair.session.is_empty()) {
                index = now;
            } else {
                index = 0;
                let left = deadline.map(|deadline| deadline - Instant::now());
                tokio::time::sleep(left.map_or(RETRY, |left| left.min(RETRY))).await;
            }
        }
    }

    pub(super) async fn lost(&self, session: &str) {
        let held = |pairs: &[Pair]| pairs.first().is_some_and(|pair| pair.session == session);
        self.kv.while_held(&self.key, false, self.retries, held).await;
    }

    pub(super) async fn release(&self, session: &str) -> Result<(), String> {
        let flags = FLAGS.to_string();
        let query = [("flags", flags.as_str()), ("release", session)];
        let released = self.kv.put(&self.key, &query, Vec::new()).await;
        released.map(|_| ()).map_err(|fault| format!("failed to release lock: {fault}"))
    }

    pub(super) async fn remove(&self) -> Result<(), Left> {
        let failed = |what: &str, fault: String| Left::Failed(format!("{what}: {fault}"));
        let (pair, _) = self
            .look(Reading::default())
            .await
            .map_err(|fault| failed("failed to read lock", fault))?;
        let Some(pair) = pair else { return Ok(()) };
        if pair.flags != FLAGS {
            return Err(Left::Failed("Existing key does not match lock use".to_owned()));
        }
        if !pair.session.is_empty() {
            return Err(Left::InUse);
        }
        let index = pair.modify_index.to_string();
        let removed = self.kv.delete(&self.key, &[("cas", &index)]).await;
        match removed.map_err(|fault| failed("failed to remove lock", fault))? {
            true => Ok(()),
            false => Err(Left::InUse),
        }
    }
}
