//! A pool as the configuration means it: immutable, part of a snapshot.

use std::{sync::Arc, time::Duration};

use semver::VersionReq;

use super::{
    endpoint::Endpoint,
    health::{HealthSettings, PoolHealthView},
    picker::{EndpointIndex, PickerSpec},
    shared::PoolShared,
};
use crate::{config::value::HashKey, proxy_protocol, tls::ClientTls};

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
    /// How an endpoint is chosen.
    pub picker: PickerSpec,
    /// What of a request is hashed, for the pickers that hash.
    pub hash_key: Option<HashKey>,
    /// The endpoints; [`EndpointIndex`] counts from 0 in here.
    pub endpoints: Vec<Endpoint>,
    /// What is spoken to the endpoints.
    pub protocol: PoolProtocol,
    /// How endpoints are told the client's address in front of a connection; then none is reused.
    pub proxy_protocol: Option<proxy_protocol::Version>,
    /// TLS; none: in the clear.
    pub tls: Option<Arc<ClientTls>>,
    /// Which TLS settings a connection must have been made under; 0 for none.
    pub security: u64,
    /// Time from starting to connect to an established connection.
    pub connect_timeout: Duration,
    /// How long an upstream connection waits for its next exchange.
    pub idle_timeout: Duration,
    /// How long an upstream connection is used at all.
    pub lifetime: Duration,
    /// What is bounded.
    pub limits: PoolLimits,
    /// Pools tried in order when nothing here can serve.
    pub failover: Vec<PoolIndex>,
    /// Subsets by version; the first is the whole pool.
    pub views: Vec<View>,
    /// The live state.
    pub shared: Arc<PoolShared>,
    /// Who of this endpoint set may be picked.
    pub health: Arc<PoolHealthView>,
    /// How health is judged.
    pub health_settings: HealthSettings,
    /// Share of endpoints of a tier, 0 to 1, under which health is ignored there; 0: never.
    pub panic_threshold: f64,
    /// Retries under way, as a share of the requests.
    pub retry_ratio: f64,
    /// Retries under way that are always allowed.
    pub retry_minimum: u32,
}

/// Bounds of a pool; 0 means none where a count is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// Upstream connections open at once, over all workers.
    pub connections: usize,
    /// Exchanges under way at once, over all workers.
    pub requests: usize,
    /// Attempts under way at once at one endpoint, over all workers.
    pub per_endpoint: usize,
    /// Exchanges that may wait for one of the above; 0: none waits.
    pub queue: usize,
    /// How long one waits.
    pub queue_timeout: Duration,
}

/// What is spoken to the endpoints of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolProtocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, agreed on where there is TLS, else by prior knowledge.
    Http2,
    /// What TLS agrees on.
    Auto,
}

/// A subset of a pool's endpoints, by version, in tiers of preference.
#[derive(Debug)]
pub struct View {
    /// What a version must satisfy; none: every endpoint belongs to the view.
    pub requirement: Option<VersionReq>,
    /// Groups of endpoints, the preferred first: by priority, then the preferred zone.
    pub tiers: Vec<Vec<EndpointIndex>>,
}

impl View {
    /// Sorts the endpoints that satisfy `requirement` into tiers.
    pub fn new(
        endpoints: &[Endpoint],
        requirement: Option<VersionReq>,
        zone: Option<&str>,
    ) -> Self {
        let mut ranked: Vec<((u32, bool), EndpointIndex)> = (0_u32..)
            .zip(endpoints)
            .filter(|(_, endpoint)| {
                requirement.as_ref().is_none_or(|requirement| {
                    endpoint
                        .version
                        .as_ref()
                        .is_some_and(|version| requirement.matches(version))
                })
            })
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
        Self { requirement, tiers }
    }
}
