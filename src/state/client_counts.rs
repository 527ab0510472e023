//! Connections of each client of a listener, over all workers.
//!
//! Asked when a connection begins and when it ends, never for a request. An entry lives as long
//! as its client has a connection, so that the table is bounded by the listener's own limit.

use std::{
    collections::HashMap,
    hash::BuildHasher as _,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

use foldhash::quality::RandomState;

/// Numbers of connections by client.
#[derive(Debug, Default)]
pub struct ClientCounts {
    hasher: RandomState,
    shards: [Mutex<HashMap<IpAddr, usize, RandomState>>; SHARDS],
}

/// One connection of a client; given back when dropped.
#[derive(Debug)]
pub(crate) struct ClientPlace {
    counts: Arc<ClientCounts>,
    client: IpAddr,
}

impl ClientCounts {
    /// Counts one more connection of the client; none if it has `max` of them.
    ///
    /// An IPv6 client is its /64, which is what a provider gives to one customer.
    pub(crate) fn take(self: &Arc<Self>, client: IpAddr, max: usize) -> Option<ClientPlace> {
        let client = client_of(client);
        let mut shard = self.shard(client);
        let count = shard.entry(client).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        drop(shard);
        Some(ClientPlace {
            counts: Arc::clone(self),
            client,
        })
    }

    fn shard(
        &self,
        client: IpAddr,
    ) -> std::sync::MutexGuard<'_, HashMap<IpAddr, usize, RandomState>> {
        let hash = self.hasher.hash_one(client);
        let shard = usize::try_from(hash % SHARDS as u64).unwrap_or(0);
        let shard = &self.shards[shard];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ClientPlace {
    fn drop(&mut self) {
        let mut shard = self.counts.shard(self.client);
        if let Some(count) = shard.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                shard.remove(&self.client);
            }
        }
    }
}

fn client_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
    }
}

const SHARDS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn is_empty(counts: &ClientCounts) -> bool {
        let mut shards = counts.shards.iter();
        shards.all(|shard| shard.lock().unwrap().is_empty())
    }

    #[test]
    fn each_client_has_its_own_places_and_leaves_no_trace() {
        let counts = Arc::new(ClientCounts::default());
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let first = counts.take(address("10.0.0.1"), 2).unwrap();
        let second = counts.take(address("10.0.0.1"), 2).unwrap();
        assert!(counts.take(address("10.0.0.1"), 2).is_none());
        let other = counts.take(address("10.0.0.2"), 2);
        assert!(other.is_some());
        drop(first);
        let again = counts.take(address("10.0.0.1"), 2);
        assert!(again.is_some());
        drop((second, other, again));
        assert!(is_empty(&counts));
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_client() {
        let counts = Arc::new(ClientCounts::default());
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let _first = counts.take(address("2001:db8::1"), 1).unwrap();
        assert!(counts.take(address("2001:db8::ffff:1"), 1).is_none());
        assert!(counts.take(address("2001:db8:0:1::1"), 1).is_some());
    }
}
