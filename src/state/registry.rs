//! Live state by identity: it outlives every reload that keeps the identity.
//!
//! Listener = bind address, pool = name, endpoint = pool + address. The control thread owns the
//! registry; snapshots and workers hold parts of it. An entry is removed when only the registry
//! holds it.

use std::{collections::HashMap, sync::Arc};

use tokio::time::Instant;

use super::ClientCounts;
use crate::{
    config::value::BindAddress,
    resilience::RetryBudget,
    tls::TicketKeys,
    upstream::{
        health::{HealthSettings, PoolHealthState},
        shared::{Padded, PoolShared},
    },
};

/// Live state of all objects with an identity.
#[derive(Debug)]
pub struct Registry {
    workers: usize,
    pools: HashMap<Arc<str>, Arc<PoolShared>>,
    listeners: HashMap<BindAddress, Arc<Padded>>,
    clients: HashMap<BindAddress, Arc<ClientCounts>>,
    tickets: Arc<TicketKeys>,
    /// One reference is the registry's own; each snapshot holds another.
    snapshots: Arc<()>,
}

impl Registry {
    /// Makes an empty registry for this many workers.
    pub fn new(workers: usize) -> Self {
        Self {
            workers,
            pools: HashMap::new(),
            listeners: HashMap::new(),
            clients: HashMap::new(),
            tickets: Arc::new(TicketKeys::new(Instant::now())),
            snapshots: Arc::new(()),
        }
    }

    /// Returns the state of the pool of this name; made at the first call.
    pub fn pool(&mut self, name: &Arc<str>, settings: &HealthSettings) -> Arc<PoolShared> {
        let workers = self.workers;
        let pool = self.pools.entry(Arc::clone(name)).or_insert_with(|| {
            let health = PoolHealthState::new(Arc::clone(name), settings.clone(), workers);
            let budget = RetryBudget::new(workers);
            Arc::new(PoolShared::new(Arc::clone(name), health, budget))
        });
        Arc::clone(pool)
    }

    /// Number of workers.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// Returns the count of open connections of the listener at this address; made at the first
    /// call.
    pub fn listener(&mut self, address: &BindAddress) -> Arc<Padded> {
        Arc::clone(self.listeners.entry(address.clone()).or_default())
    }

    /// Connections of each client of the listener at that address; made when first asked for.
    pub fn clients(&mut self, address: &BindAddress) -> Arc<ClientCounts> {
        Arc::clone(self.clients.entry(address.clone()).or_default())
    }

    /// Keys of TLS session tickets.
    pub fn tickets(&self) -> &Arc<TicketKeys> {
        &self.tickets
    }

    /// Counts one more snapshot for as long as the guard lives.
    pub(super) fn alive(&self) -> Arc<()> {
        Arc::clone(&self.snapshots)
    }

    /// Returns the states of all pools.
    pub fn pools(&self) -> impl Iterator<Item = &Arc<PoolShared>> {
        self.pools.values()
    }

    /// Drops entries that nothing else holds: those of dropped snapshots.
    pub fn forget_unused(&mut self) {
        self.pools.retain(|_, pool| Arc::strong_count(pool) > 1);
        self.listeners.retain(|_, open| Arc::strong_count(open) > 1);
        self.clients
            .retain(|_, counts| Arc::strong_count(counts) > 1);
    }
}
