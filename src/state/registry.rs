//! Live state by identity: it outlives every reload that keeps the identity.
//!
//! Listener = bind address, pool = name, endpoint = pool + address, filter = route + kind + name.
//! The control thread owns the registry; snapshots and workers hold parts of it. An entry is removed
//! when only the registry holds it.

use std::{
    any::Any,
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
};

use arc_swap::ArcSwap;
use tokio::time::Instant;

use super::Closed;
use crate::{
    acme::Standing,
    config::value::BindAddress,
    resilience::{Breaker, ClientTable, RetryBudget},
    rollout::RolloutState,
    tls::{Challenges, TicketKeys},
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
    clients: HashMap<BindAddress, Arc<ClientTable<()>>>,
    refused: HashMap<BindAddress, Arc<RefusedConnections>>,
    filters: HashMap<FilterKey, Arc<dyn Any + Send + Sync>>,
    rollouts: HashMap<Arc<str>, Arc<RolloutState>>,
    /// Routes that are closed by a command.
    closed: Arc<ArcSwap<Closed>>,
    tickets: Arc<TicketKeys>,
    /// Standing of certificates that CAs issue, by their files.
    certificates: HashMap<PathBuf, Arc<Standing>>,
    challenges: Arc<Challenges>,
    /// One reference is the registry's own; each snapshot holds another.
    snapshots: Arc<()>,
}

/// Connections that the limits of a listener have refused.
#[derive(Debug, Default)]
pub struct RefusedConnections {
    /// By the limit on all of them.
    pub of_all: AtomicU64,
    /// By the limit on those of one client.
    pub of_client: AtomicU64,
}

/// Identity of what a filter remembers: route, kind of filter, and its name there.
type FilterKey = (Arc<str>, &'static str, Arc<str>);

impl Registry {
    /// Makes an empty registry for this many workers.
    pub fn new(workers: usize) -> Self {
        Self {
            workers,
            pools: HashMap::new(),
            listeners: HashMap::new(),
            clients: HashMap::new(),
            refused: HashMap::new(),
            filters: HashMap::new(),
            rollouts: HashMap::new(),
            closed: Arc::default(),
            tickets: Arc::new(TicketKeys::new(Instant::now())),
            certificates: HashMap::new(),
            challenges: Arc::default(),
            snapshots: Arc::new(()),
        }
    }

    /// Returns the state of the pool of this name; made at the first call.
    pub fn pool(&mut self, name: &Arc<str>, settings: &HealthSettings) -> Arc<PoolShared> {
        let workers = self.workers;
        let pool = self.pools.entry(Arc::clone(name)).or_insert_with(|| {
            let health = PoolHealthState::new(Arc::clone(name), settings.clone(), workers);
            let budget = RetryBudget::new(workers);
            let breaker = Breaker::new(workers, Instant::now());
            let pool = PoolShared::new(Arc::clone(name), health, budget, breaker);
            Arc::new(pool)
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

    /// State of a filter of this kind and name on a route; made when first asked for. It
    /// outlives every reload after which the route still asks for it.
    pub fn filter<T: Send + Sync + 'static>(
        &mut self,
        route: &Arc<str>,
        kind: &'static str,
        name: &Arc<str>,
        make: impl FnOnce() -> T,
    ) -> Arc<T> {
        let key = (Arc::clone(route), kind, Arc::clone(name));
        let known = self.filters.get(&key).cloned();
        if let Some(Ok(known)) = known.map(Arc::downcast) {
            return known;
        }
        let new = Arc::new(make());
        self.filters.insert(key, Arc::clone(&new) as _);
        new
    }

    /// Progress of the rollout of this name; made when first asked for.
    pub fn rollout(&mut self, name: &Arc<str>) -> Arc<RolloutState> {
        let workers = self.workers;
        let state = self.rollouts.entry(Arc::clone(name));
        Arc::clone(state.or_insert_with(|| Arc::new(RolloutState::new(workers))))
    }

    /// Connections of each client of the listener at that address; made when first asked for.
    pub fn clients(&mut self, address: &BindAddress) -> Arc<ClientTable<()>> {
        Arc::clone(self.clients.entry(address.clone()).or_default())
    }

    /// Connections that the listener at that address has refused; made when first asked for.
    pub fn refused_connections(&mut self, address: &BindAddress) -> Arc<RefusedConnections> {
        Arc::clone(self.refused.entry(address.clone()).or_default())
    }

    /// Routes that are closed by a command; they are so from the next compilation on.
    pub fn closed(&self) -> &Arc<ArcSwap<Closed>> {
        &self.closed
    }

    /// Keys of TLS session tickets.
    pub fn tickets(&self) -> &Arc<TicketKeys> {
        &self.tickets
    }

    /// Standing of the certificate in this file, which a CA issues; made when first asked for.
    pub fn certificate(&mut self, file: PathBuf) -> Arc<Standing> {
        Arc::clone(self.certificates.entry(file).or_default())
    }

    /// Challenges of CAs that are under way.
    pub fn challenges(&self) -> &Arc<Challenges> {
        &self.challenges
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
        self.refused
            .retain(|_, counts| Arc::strong_count(counts) > 1);
        self.rollouts
            .retain(|_, state| Arc::strong_count(state) > 1);
        self.certificates
            .retain(|_, standing| Arc::strong_count(standing) > 1);
        self.filters
            .retain(|_, states| Arc::strong_count(states) > 1);
    }
}
