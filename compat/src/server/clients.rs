//! How many connections each client has, over all listeners.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many connections each address has.
#[derive(Debug, Default)]
pub(super) struct Clients(Mutex<HashMap<IpAddr, usize>>);

/// A connection's place among those of its address; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    clients: Arc<Clients>,
    address: IpAddr,
}

impl Clients {
    /// Takes a place, unless the address has as many as it may (0: as many as it likes).
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr, max: usize) -> Option<Place> {
        let mut counts = self.counts();
        let count = counts.entry(address).or_insert(0);
        if max != 0 && *count >= max {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Place { clients: Arc::clone(self), address })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.clients.counts();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_only_so_many_places() {
        let clients = Arc::new(Clients::default());
        let (one, other): (IpAddr, IpAddr) =
            ("127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap());
        let first = clients.enter(one, 2);
        let _second = clients.enter(one, 2);
        assert!(clients.enter(one, 2).is_none());
        assert!(clients.enter(other, 2).is_some());
        drop(first);
        assert!(clients.enter(one, 2).is_some());
        assert!(clients.enter(one, 0).is_some());
    }
}
