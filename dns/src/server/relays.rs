//! Queries that recursors are asked at the same time, word for word: one of them goes out, and all get its reply.
//!
//! So a recursor that is slow is not asked a thousand times for one name; and a query that comes round to who asked it waits
//! for itself, no longer than a recursor may take, instead of going round again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{BoxFuture, FutureExt as _, Shared, WeakShared};

use crate::extended::ExtendedError;
use crate::limits::{KEPT_KEY_BYTES_MAX, LATER_MAX};
use crate::shape::Transport;
use crate::upstream::{Asked, Told, Upstream};

/// What is under way, by transport and by the message after its number.
#[derive(Default)]
pub(super) struct Relays(Mutex<HashMap<Key, WeakShared<Relay>>>);

type Key = (Transport, Box<[u8]>);
type Relay = BoxFuture<'static, Result<Told, ExtendedError>>;

impl Relays {
    /// Asks, unless the same is being asked.
    ///
    /// # Errors
    /// As [`Upstream::ask`].
    pub(super) async fn ask(
        &self,
        upstream: Arc<dyn Upstream>,
        asked: Asked,
    ) -> Result<Told, ExtendedError> {
        match asked.message.get(2..) {
            Some(rest) if rest.len() <= KEPT_KEY_BYTES_MAX => {
                let key = (asked.asker.transport, rest.into());
                self.share(key, upstream, asked).await
            }
            _ => upstream.ask(&asked).await,
        }
    }

    fn share(&self, key: Key, upstream: Arc<dyn Upstream>, asked: Asked) -> Shared<Relay> {
        let mut relays = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(relay) = relays.get(&key).and_then(WeakShared::upgrade) {
            return relay;
        }
        if relays.len() >= LATER_MAX {
            relays.retain(|_, relay| relay.upgrade().is_some());
        }
        let relay: Relay = Box::pin(async move { upstream.ask(&asked).await });
        let relay = relay.shared();
        if let Some(weak) = relay.downgrade() {
            relays.insert(key, weak);
        }
        relay
    }
}
