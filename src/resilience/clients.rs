//! State of each client, for as long as something of the client holds it.
//!
//! Shared by all workers. An entry goes with its last holder, so that the table has at most as many
//! entries as there are holders.

use std::{
    collections::HashMap,
    hash::BuildHasher as _,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use foldhash::quality::RandomState;

use crate::semantics::address::client_network;

/// State by client; an IPv6 client is its network of 64 bits.
#[derive(Debug, Default)]
pub struct ClientTable<T> {
    hasher: RandomState,
    shards: [Mutex<Shard<T>>; SHARDS],
}

type Shard<T> = HashMap<IpAddr, Known<T>, RandomState>;

/// The state of a client, and the number of its holders.
#[derive(Debug, Default)]
struct Known<T> {
    state: Arc<T>,
    holders: usize,
}

/// One holder of the state of a client; lets go on drop.
#[derive(Debug)]
pub struct ClientEntry<T> {
    table: Arc<ClientTable<T>>,
    client: IpAddr,
    state: Arc<T>,
}

impl<T: Default> ClientTable<T> {
    /// Adds a holder for a client.
    pub fn enter(self: &Arc<Self>, client: IpAddr) -> ClientEntry<T> {
        let client = client_network(client);
        let mut shard = self.shard(client);
        self.join(client, shard.entry(client).or_default())
    }

    /// Adds a holder for a client; none if it has `max` of them.
    pub fn enter_below(self: &Arc<Self>, client: IpAddr, max: usize) -> Option<ClientEntry<T>> {
        let client = client_network(client);
        let mut shard = self.shard(client);
        let holders = shard.get(&client).map_or(0, |known| known.holders);
        (holders < max).then(|| self.join(client, shard.entry(client).or_default()))
    }

    fn join(self: &Arc<Self>, client: IpAddr, known: &mut Known<T>) -> ClientEntry<T> {
        known.holders += 1;
        ClientEntry {
            table: Arc::clone(self),
            client,
            state: Arc::clone(&known.state),
        }
    }
}

impl<T> ClientTable<T> {
    /// Calls `look` with the state of each client.
    pub fn for_each(&self, mut look: impl FnMut(&T)) {
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.values().for_each(|known| look(&known.state));
        }
    }

    fn shard(&self, client: IpAddr) -> MutexGuard<'_, Shard<T>> {
        let hash = self.hasher.hash_one(client);
        let shard = usize::try_from(hash % SHARDS as u64).unwrap_or(0);
        let shard = &self.shards[shard];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> ClientEntry<T> {
    /// The state of the client.
    pub fn state(&self) -> &Arc<T> {
        &self.state
    }
}

impl<T> Drop for ClientEntry<T> {
    fn drop(&mut self) {
        let mut shard = self.table.shard(self.client);
        if let Some(known) = shard.get_mut(&self.client) {
            known.holders -= 1;
            if known.holders == 0 {
                shard.remove(&self.client);
            }
        }
    }
}

const SHARDS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn entries<T>(table: &ClientTable<T>) -> usize {
        let mut count = 0;
        table.for_each(|_| count += 1);
        count
    }

    #[test]
    fn each_client_has_its_own_places_and_leaves_no_trace() {
        let table = Arc::new(ClientTable::<()>::default());
        let take = |text: &str| table.enter_below(address(text), 2);
        let first = take("10.0.0.1").unwrap();
        let second = take("10.0.0.1").unwrap();
        assert!(take("10.0.0.1").is_none());
        let other = take("10.0.0.2");
        assert!(other.is_some());
        drop(first);
        let again = take("10.0.0.1");
        assert!(again.is_some());
        drop((second, other, again));
        assert_eq!(entries(&table), 0);
        assert!(table.enter_below(address("10.0.0.1"), 0).is_none());
        assert_eq!(entries(&table), 0);
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_client() {
        let table = Arc::new(ClientTable::<()>::default());
        let _first = table.enter_below(address("2001:db8::1"), 1).unwrap();
        assert!(table.enter_below(address("2001:db8::ffff:1"), 1).is_none());
        assert!(table.enter_below(address("2001:db8:0:1::1"), 1).is_some());
    }

    #[test]
    fn the_holders_of_a_client_share_its_state_to_the_last_of_them() {
        let table = Arc::new(ClientTable::<Mutex<u32>>::default());
        let enter = |text: &str| table.enter(address(text));
        let first = enter("2001:db8::1");
        *first.state().lock().unwrap() = 1;
        let neighbour = enter("2001:db8::ffff:1");
        assert!(Arc::ptr_eq(first.state(), neighbour.state()));
        let mapped = enter("::ffff:10.0.0.1");
        assert!(Arc::ptr_eq(mapped.state(), enter("10.0.0.1").state()));
        assert_eq!(entries(&table), 2);
        drop((first, mapped));
        assert_eq!(entries(&table), 1);
        assert_eq!(*neighbour.state().lock().unwrap(), 1);
        drop(neighbour);
        assert_eq!(entries(&table), 0);
        assert_eq!(*enter("2001:db8::1").state().lock().unwrap(), 0);
    }
}
