//! Endpoints of a pool at one time, and the slot of the newest set.
//!
//! A pool's settings belong to a snapshot; its endpoints may change more often, through discovery.
//! [`EndpointSet`] is immutable and replaced as a whole; the pool keeps the newest one in an
//! [`EndpointSlot`]. A request under way keeps its endpoint, not the set: a set may be large, and a
//! tunnel may last for days.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use semver::{Version, VersionReq};

use super::{
    endpoint::Endpoint,
    health::PoolHealthView,
    picker::{Candidate, EndpointIndex, Table, TableKind},
    pool::ViewIndex,
};

/// Endpoints of a pool, with derived data.
#[derive(Debug)]
pub struct EndpointSet {
    /// Increases with each set of the pool.
    pub serial: u64,
    /// The endpoints; [`EndpointIndex`] is an index into them. An unchanged endpoint is the same
    /// object as in the set before.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// Subsets by version, in the order of [`SetRules::requirements`].
    pub views: Vec<View>,
    /// Health of the endpoints: those that may be picked.
    pub health: Arc<PoolHealthView>,
    /// Maximum number of open upstream connections, over all workers, if the pool does not set it.
    pub connections_max: usize,
    /// Properties of each endpoint for pickers, by index.
    candidates: Vec<Candidate>,
    places: HashMap<Arc<str>, EndpointIndex>,
    /// By [`Endpoint::key`]; made when the first session asks.
    keyed: OnceLock<HashMap<u64, EndpointIndex>>,
    /// Made when a client first asks for a version.
    versions: OnceLock<Box<[Version]>>,
}

/// Rules for making the set of a pool from its endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetRules {
    /// Version requirement of each view; none: every endpoint belongs to it. The first view is the
    /// whole pool.
    pub requirements: Vec<Option<VersionReq>>,
    /// The preferred zone.
    pub zone: Option<Arc<str>>,
    /// Number of workers that connections are spread over.
    pub workers: usize,
    /// Kind of table that the picker looks keys up in, if any.
    pub table: Option<TableKind>,
}

impl SetRules {
    /// Returns true if an endpoint belongs to a view.
    pub(super) fn admits(&self, view: ViewIndex, endpoint: &Endpoint) -> bool {
        let requirement = self.requirements.get(view.0 as usize);
        requirement.is_some_and(|requirement| meets(requirement.as_ref(), endpoint))
    }
}

/// A subset of a pool's endpoints, by version, in tiers of preference.
#[derive(Debug)]
pub struct View {
    /// Groups of endpoints, the preferred first: by priority, then the preferred zone.
    pub tiers: Vec<Vec<EndpointIndex>>,
    /// Tables of hashing pickers, by tier; empty for other pickers.
    tables: Vec<Table>,
}

/// The newest endpoint set of a pool.
#[derive(Debug)]
pub struct EndpointSlot {
    /// Its serial. Written only with each replacement, so that comparing it per request reads a
    /// line that all workers share.
    serial: AtomicU64,
    newest: ArcSwap<EndpointSet>,
}

impl EndpointSet {
    /// Sorts the endpoints into views, and makes the tables of hashing pickers. `before` is an
    /// earlier set of the pool, from which tables are made faster.
    ///
    /// For the control thread: making the ring of 10,000 endpoints from that of an earlier set takes 40 ms.
    pub fn new(
        serial: u64,
        endpoints: Vec<Arc<Endpoint>>,
        rules: &SetRules,
        health: Arc<PoolHealthView>,
        before: Option<&Self>,
    ) -> Self {
        let indexed = || (0_u32..).map(EndpointIndex).zip(&endpoints);
        let candidates: Vec<Candidate> = indexed()
            .map(|(index, endpoint)| Candidate {
                index,
                weight: endpoint.share(),
                key: endpoint.key(),
            })
            .collect();
        let requirements = rules.requirements.iter().enumerate();
        let views = requirements
            .map(|(at, requirement)| {
                let admits = |endpoint: &Endpoint| meets(requirement.as_ref(), endpoint);
                let mut view = View::new(&endpoints, admits, rules.zone.as_deref());
                if let Some(kind) = rules.table {
                    let before = before.and_then(|before| before.views.get(at));
                    view.make_tables(kind, &candidates, before);
                }
                view
            })
            .collect();
        Self {
            serial,
            views,
            health,
            connections_max: connections_max(endpoints.len(), rules.workers),
            places: indexed()
                .map(|(index, endpoint)| (Arc::clone(&endpoint.label), index))
                .collect(),
            keyed: OnceLock::new(),
            versions: OnceLock::new(),
            candidates,
            endpoints,
        }
    }

    /// Returns the endpoint of that [`Endpoint::key`]; none if the set has none. The first call reads all
    /// endpoints.
    pub fn keyed(&self, key: u64) -> Option<EndpointIndex> {
        let keyed = self.keyed.get_or_init(|| {
            let keys = self.candidates.iter().map(|it| (it.key, it.index));
            keys.collect()
        });
        keyed.get(&key).copied()
    }

    /// Returns the versions of the endpoints, each once. The first call reads all endpoints.
    pub(super) fn versions(&self) -> &[Version] {
        self.versions.get_or_init(|| {
            let versions = self.endpoints.iter().filter_map(|it| it.version.clone());
            let versions: BTreeSet<Version> = versions.collect();
            versions.into_iter().collect()
        })
    }

    /// Makes the view of those endpoints of a view whose version meets a further requirement.
    pub(super) fn derive(&self, rules: &SetRules, base: ViewIndex, wanted: &VersionReq) -> View {
        let admits = |it: &Endpoint| rules.admits(base, it) && meets(Some(wanted), it);
        let mut view = View::new(&self.endpoints, admits, rules.zone.as_deref());
        if let Some(kind) = rules.table {
            let before = self.views.get(base.0 as usize);
            view.make_tables(kind, &self.candidates, before);
        }
        view
    }

    /// Returns one endpoint.
    pub fn endpoint(&self, index: EndpointIndex) -> Option<&Arc<Endpoint>> {
        self.endpoints.get(index.0 as usize)
    }

    /// Returns the index of the endpoint with this address; none if the set does not have it.
    pub fn find(&self, address: &str) -> Option<EndpointIndex> {
        self.places.get(address).copied()
    }

    /// Returns the properties of an endpoint for pickers.
    pub(super) fn candidate(&self, index: EndpointIndex) -> Option<&Candidate> {
        self.candidates.get(index.0 as usize)
    }

    /// Returns true if the weight of an endpoint is above 0.
    pub(super) fn has_weight(&self, index: EndpointIndex) -> bool {
        self.candidate(index).is_some_and(|it| it.weight > 0)
    }

    /// Returns the addresses, by index.
    pub fn addresses(endpoints: &[Arc<Endpoint>]) -> Vec<Arc<str>> {
        let labels = endpoints.iter().map(|endpoint| Arc::clone(&endpoint.label));
        labels.collect()
    }
}

impl View {
    /// Sorts the endpoints that it admits into tiers.
    fn new(
        endpoints: &[Arc<Endpoint>],
        admits: impl Fn(&Endpoint) -> bool,
        zone: Option<&str>,
    ) -> Self {
        let mut ranked: Vec<((u32, bool), EndpointIndex)> = (0_u32..)
            .zip(endpoints)
            .filter(|(_, endpoint)| admits(endpoint))
            .map(|(index, endpoint)| {
                let far = zone.is_some() && endpoint.zone.as_deref() != zone;
                ((endpoint.priority, far), EndpointIndex(index))
            })
            .collect();
        ranked.sort_unstable();
        let tiers = ranked
            .chunk_by(|a, b| a.0 == b.0)
            .map(|tier| tier.iter().map(|(_, index)| *index).collect())
            .collect();
        Self {
            tiers,
            tables: Vec::new(),
        }
    }

    fn make_tables(&mut self, kind: TableKind, candidates: &[Candidate], before: Option<&Self>) {
        let tables = self.tiers.iter().enumerate().map(|(at, tier)| {
            let members = tier.iter().filter_map(|it| candidates.get(it.0 as usize));
            let members: Vec<Candidate> = members.filter(|it| it.weight > 0).copied().collect();
            Table::following(before.and_then(|before| before.table(at)), kind, &members)
        });
        self.tables = tables.collect();
    }

    /// Returns the table of a tier, if its picker has one.
    pub(super) fn table(&self, tier: usize) -> Option<&Table> {
        self.tables.get(tier)
    }
}

impl EndpointSlot {
    /// Makes a slot with this first set.
    pub fn new(first: EndpointSet) -> Self {
        Self {
            serial: AtomicU64::new(first.serial),
            newest: ArcSwap::from_pointee(first),
        }
    }

    /// Returns the newest set. Changes a reference count that all threads share: not for every
    /// request.
    pub fn newest(&self) -> Arc<EndpointSet> {
        self.newest.load_full()
    }

    /// The serial of the newest set.
    pub fn serial(&self) -> u64 {
        self.serial.load(Ordering::Acquire)
    }

    /// Makes `set` the newest one.
    pub(super) fn replace(&self, set: Arc<EndpointSet>) {
        let serial = set.serial;
        self.newest.store(set);
        self.serial.store(serial, Ordering::Release);
    }
}

/// Returns true if the version of an endpoint meets a requirement, if there is one.
pub(crate) fn meets(requirement: Option<&VersionReq>, endpoint: &Endpoint) -> bool {
    requirement.is_none_or(|requirement| {
        let version = endpoint.version.as_ref();
        version.is_some_and(|version| requirement.matches(version))
    })
}

/// Returns the default limit of upstream connections. Each worker keeps its own idle connections:
/// with less than one for each endpoint and worker, every other request would open one.
fn connections_max(endpoints: usize, workers: usize) -> usize {
    let each = endpoints
        .saturating_mul(workers)
        .saturating_mul(CONNECTIONS_EACH);
    each.max(CONNECTIONS_MIN)
}

/// Minimum of the default limit: as many as Envoy allows a cluster.
const CONNECTIONS_MIN: usize = 1024;
/// Connections for each endpoint and worker.
const CONNECTIONS_EACH: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_worker_may_keep_a_connection_to_every_endpoint() {
        for (endpoints, workers, max) in [(3, 8, 1024), (1000, 2, 4000), (10_000, 64, 1_280_000)] {
            assert_eq!(connections_max(endpoints, workers), max);
        }
    }
}
