//! Live state by identity: it outlives every reload that keeps the identity.
//!
//! Listener = bind address, pool = name, endpoint = pool + address. The control
//! thread owns the registry; snapshots and workers hold parts of it. An entry goes
//! when nothing but the registry holds it any more.

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

/// The live state of everything that has an identity.
#[derive(Debug)]
pub struct Registry {
    workers: usize,
    pools: HashMap<Arc<str>, Arc<PoolShared>>,
    listeners: HashMap<BindAddress, Arc<Padded>>,
    clients: HashMap<BindAddress, Arc<ClientCounts>>,
    tickets: Arc<TicketKeys>,
    /// One reference is its own; each snapshot has one more.
    snapshots: Arc<()>,
}

impl Registry {
    /// An empty registry for so many workers.
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

    /// The state of the pool of that name; made when first asked for.
    pub fn pool(&mut self, name: &Arc<str>, settings: &HealthSettings) -> Arc<PoolShared> {
        let workers = self.workers;
        let pool = self.pools.entry(Arc::clone(name)).or_insert_with(|| {
            let health = PoolHealthState::new(Arc::clone(name), settings.clone(), workers);
            let budget = RetryBudget::new(workers);
            Arc::new(PoolShared::new(Arc::clone(name), health, budget))
        });
        Arc::clone(pool)
    }

    /// Over how many workers everything is spread.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// The open connections of the listener at that address; made when first asked for.
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

    /// The states of all pools.
    pub fn pools(&self) -> impl Iterator<Item = &Arc<PoolShared>> {
        self.pools.values()
    }

    /// Lets go of what nothing else holds: the objects of snapshots that are gone.
    pub fn forget_unused(&mut self) {
        self.pools.retain(|_, pool| Arc::strong_count(pool) > 1);
        self.listeners.retain(|_, open| Arc::strong_count(open) > 1);
        self.clients
            .retain(|_, counts| Arc::strong_count(counts) > 1);
    }
}
