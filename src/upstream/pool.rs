//! Compiled pool: immutable, part of a snapshot.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    discovery::{Begun, DiscoveryError, Skipped, SourceSpec, Update},
    endpoint::Endpoint,
    endpoint_set::{EndpointSet, EndpointSlot, SetRules},
    health::HealthSettings,
    session::Sessions,
    shared::PoolShared,
};
use crate::{
    config::value::{PickerSpec, PoolProtocol},
    proxy_protocol,
    resilience::BreakerSettings,
    tls::ClientTls,
};

/// Position of a pool in its snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PoolIndex(pub u32);

/// Position of a view in its pool; 0 is the view of all endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ViewIndex(pub u32);

/// A named group of endpoints with the rules for using them.
#[derive(Debug)]
pub struct Pool {
    /// Its identity across reloads.
    pub name: Arc<str>,
    /// Picker of the pool.
    pub picker: PickerSpec,
    /// The endpoints, which discovery may replace while all else stays.
    pub endpoints: EndpointSlot,
    /// Rules for making a set from endpoints.
    pub rules: SetRules,
    /// The endpoints that the configuration lists.
    pub listed: Vec<Arc<Endpoint>>,
    /// Source of further endpoints, if any.
    pub discovery: Option<PoolDiscovery>,
    /// Protocol to the endpoints.
    pub protocol: PoolProtocol,
    /// Version of the PROXY protocol header sent in front of a connection; with one, no connection
    /// is reused.
    pub proxy_protocol: Option<proxy_protocol::Version>,
    /// TLS; none: plain text.
    pub tls: Option<Arc<ClientTls>>,
    /// Version of the TLS settings that a connection must have been made with; 0 for none.
    pub security: u64,
    /// Time from starting to connect to an established connection.
    pub connect_timeout: Duration,
    /// Maximum time that an upstream connection is idle.
    pub idle_timeout: Duration,
    /// Maximum lifetime of an upstream connection.
    pub lifetime: Duration,
    /// Limits of the pool.
    pub limits: PoolLimits,
    /// Sessions of clients with endpoints, if clients are to have them.
    pub sessions: Option<Sessions>,
    /// Pools tried in order when no endpoint here can serve.
    pub failover: Vec<PoolIndex>,
    /// The live state.
    pub shared: Arc<PoolShared>,
    /// Health settings.
    pub health_settings: HealthSettings,
    /// Share of healthy endpoints of a tier, 0 to 1, below which health is ignored there; 0: never.
    pub panic_threshold: f64,
    /// Time in which an endpoint that joined or came back gets its whole share; 0: at once.
    pub slow_start: Duration,
    /// Breaker of the pool; none: it has none.
    pub breaker: Option<BreakerSettings>,
    /// Maximum share of retries under way among the requests.
    pub retry_ratio: f64,
    /// Number of retries under way that are always allowed.
    pub retry_minimum: u32,
}

/// Origin of each endpoint of a pool.
#[derive(Debug)]
pub struct Origin<'p> {
    listed: HashSet<&'p str>,
    source: &'static str,
}

impl<'p> Origin<'p> {
    /// Makes the origins from the configured list.
    pub fn of(pool: &'p Pool) -> Self {
        let discovery = pool.discovery.as_ref();
        Self {
            listed: pool.listed.iter().map(|it| &*it.label).collect(),
            source: discovery.map_or(LISTED, |discovery| discovery.source.kind()),
        }
    }

    /// Returns the kind of source of the endpoint with this address; `config` if it is listed.
    pub fn word(&self, address: &str) -> &'static str {
        if self.listed.contains(address) {
            LISTED
        } else {
            self.source
        }
    }
}

const LISTED: &str = "config";

/// Limits of a pool; for counts, 0 means none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// Maximum number of open upstream connections, over all workers; none: by the number of
    /// endpoints.
    pub connections: Option<usize>,
    /// Maximum number of exchanges under way, over all workers.
    pub requests: usize,
    /// Maximum number of attempts under way at one endpoint, over all workers.
    pub per_endpoint: usize,
    /// Maximum number of exchanges that wait for one of the above; 0: none waits.
    pub queue: usize,
    /// Maximum wait in the queue.
    pub queue_timeout: Duration,
}

/// Source of a pool's endpoints besides the configuration.
#[derive(Debug)]
pub struct PoolDiscovery {
    /// The source.
    pub source: SourceSpec,
    /// Time for which endpoints stay that a list suddenly leaves out.
    pub hold: Duration,
    /// True if an endpoint that is not listed any more is used until its check fails.
    pub keeps_absent: bool,
    /// Its answer when the pool was compiled, if it had not been heard before.
    pub first: Option<Result<Update, DiscoveryError>>,
    /// The source while it runs already, if it was asked over the network before the pool is used.
    pub begun: Begun,
}

impl PoolDiscovery {
    /// Returns the reason why the source has no list, if it was asked before the pool is used.
    pub fn trouble(&self) -> Option<String> {
        if let Some(first) = &self.first {
            return first.as_ref().err().map(ToString::to_string);
        }
        self.begun.trouble(&self.source)
    }

    /// Returns the first list, if the source was asked and has one: the number of its endpoints, and
    /// what is left out.
    pub fn first_list(&self) -> Option<(usize, Skipped)> {
        match &self.first {
            Some(Ok(Update::List(list))) => Some((list.endpoints.len(), list.skipped.clone())),
            Some(_) => None,
            None => self.begun.first_list(),
        }
    }
}

impl Pool {
    /// Returns the endpoints that the pool should have: those listed, and those that the source
    /// returned last. If an address occurs twice, the first entry counts.
    pub fn wanted_endpoints(&self) -> Vec<Arc<Endpoint>> {
        let mut wanted = self.listed.clone();
        if self.discovery.is_some() {
            wanted.extend(self.shared.discovered.list());
        }
        wanted
    }

    /// Replaces the endpoints of the pool; requests under way keep theirs.
    ///
    /// For the control thread alone: of two concurrent calls one would be lost.
    pub fn replace_endpoints(&self, endpoints: Vec<Arc<Endpoint>>, now: Instant) {
        let addresses = EndpointSet::addresses(&endpoints);
        let health = self.shared.health.view(&addresses, now);
        let serial = self.endpoints.serial() + 1;
        let before = self.endpoint_set();
        let set = EndpointSet::new(serial, endpoints, &self.rules, health, Some(&before));
        let settings = self.health_settings.clone();
        self.shared.health.adopt(&set.health, settings, now);
        self.endpoints.replace(Arc::new(set));
        self.shared.tell_endpoints_changed();
    }

    /// Returns the newest endpoint set. Changes a reference count that all threads share: not for
    /// every request.
    pub fn endpoint_set(&self) -> Arc<EndpointSet> {
        self.endpoints.newest()
    }
}
