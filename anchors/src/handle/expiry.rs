//! Removes tokens when they have run out.

use std::time::Duration;

use super::Handle;
use crate::acl::expiry::expiring;
use crate::caller::Caller;
use crate::change::Change;
use crate::index::WatchKey;
use crate::record::TableId;

/// The tokens are looked through at most this often: a token that has run out is refused at once in any case.
const PAUSE: Duration = Duration::from_secs(1);

impl Handle {
    /// Removes tokens as they run out, for ever.
    pub async fn expire_tokens(&self) {
        loop {
            let mut changed = self.0.board.watches.subscribe(vec![WatchKey::Table(TableId::Token)]);
            let now = self.now();
            let expiring = expiring(&self.snapshot(), now);
            let amount = expiring.due.len();
            if amount > 0 {
                match self.submit(&Caller::own(), Change::Records(expiring.due)).await {
                    Ok(_) => tracing::info!(amount, "removed tokens that had run out"),
                    Err(refusal) => {
                        tracing::warn!(%refusal, "tokens that have run out stay a while")
                    }
                }
            }
            tokio::time::sleep(PAUSE).await;
            let Some(next) = expiring.next.or((amount > 0).then_some(now)) else {
                changed.woken().await;
                continue;
            };
            tokio::select! {
                () = tokio::time::sleep(next.since(self.now())) => {}
                () = changed.woken() => {}
            }
        }
    }
}
