//! The gates of clients, by address.
//!
//! An entry lives as long as its client has a request that holds or waits for a place, so that the
//! table has at most as many entries as there are requests under way.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::resilience::concurrency::{Gate, GateView};

/// The gates of all clients of a route.
#[derive(Debug, Default)]
pub struct ClientGates {
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
    /// Refusals by gates that are gone.
    refused: AtomicU64,
}

type Shard = HashMap<IpAddr, Known>;

/// The gate of a client, and the requests that hold it.
#[derive(Debug, Default)]
struct Known {
    gate: Arc<Gate>,
    users: usize,
}

/// One request's share in the gate of its client; given back on drop.
#[derive(Debug)]
pub(super) struct ClientEntry {
    clients: Arc<ClientGates>,
    client: IpAddr,
    gate: Arc<Gate>,
}

impl ClientGates {
    /// Finds the gate of a client, or makes one. An IPv6 client is its network of 64 bits.
    pub(super) fn enter(self: &Arc<Self>, client: IpAddr) -> ClientEntry {
        let client = client_of(client);
        let mut shard = self.shard(client);
        let known = shard.entry(client).or_default();
        known.users += 1;
        let gate = Arc::clone(&known.gate);
        drop(shard);
        ClientEntry {
            clients: Arc::clone(self),
            client,
            gate,
        }
    }

    /// Places in use, and waiters, of all clients.
    pub(super) fn view(&self) -> GateView {
        let mut sum = GateView::default();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for view in shard.values().map(|known| known.gate.view()) {
                sum.in_use += view.in_use;
                sum.waiting += view.waiting;
            }
        }
        sum
    }

    /// Requests that got no place.
    pub(super) fn refused(&self) -> u64 {
        let shards = self.shards.iter();
        let alive = shards.map(|shard| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.values().map(|it| it.gate.refused()).sum::<u64>()
        });
        alive.sum::<u64>() + self.refused.load(Ordering::Relaxed)
    }

    fn shard(&self, client: IpAddr) -> MutexGuard<'_, Shard> {
        let hash = self.hasher.hash_one(client);
        let shard = usize::try_from(hash % SHARDS as u64).unwrap_or(0);
        let shard = &self.shards[shard];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientEntry {
    pub(super) fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }
}

impl Drop for ClientEntry {
    fn drop(&mut self) {
        let mut shard = self.clients.shard(self.client);
        if let Some(known) = shard.get_mut(&self.client) {
            known.users -= 1;
            if known.users == 0 {
                shard.remove(&self.client);
                let refused = self.gate.refused();
                self.clients.refused.fetch_add(refused, Ordering::Relaxed);
            }
        }
    }
}

fn client_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
        IpAddr::V4(address) => IpAddr::V4(address),
    }
}

const SHARDS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(clients: &ClientGates) -> usize {
        let shards = clients.shards.iter();
        shards.map(|shard| shard.lock().unwrap().len()).sum()
    }

    #[test]
    fn each_client_has_places_of_its_own_and_leaves_no_trace() {
        let clients = Arc::new(ClientGates::default());
        let enter = |text: &str| clients.enter(text.parse().unwrap());
        let first = enter("2001:db8::1");
        let place = first.gate().try_take(1).unwrap();
        let neighbour = enter("2001:db8::ffff:1");
        assert!(neighbour.gate().try_take(1).is_none());
        let other = enter("2001:db8:0:1::1");
        assert!(other.gate().try_take(1).is_some());
        let mapped = enter("::ffff:10.0.0.1");
        let plain = enter("10.0.0.1");
        assert!(Arc::ptr_eq(mapped.gate(), plain.gate()));
        assert_eq!(entries(&clients), 3);
        assert_eq!(clients.view().in_use, 1);
        drop(place);
        drop((first, other, mapped, plain));
        assert_eq!(entries(&clients), 1);
        drop(neighbour);
        assert_eq!(entries(&clients), 0);
    }
}
