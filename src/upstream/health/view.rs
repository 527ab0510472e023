//! Health of a pool for one endpoint set: held by a snapshot, and read by the request path.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Acquire, Ordering::Release},
};

use arc_swap::ArcSwap;
use tokio::time::Instant;

use super::{
    observed::{EndpointHealth, Observed, Trial},
    picture::Picture,
    state::PoolHealthState,
};
use crate::upstream::picker::EndpointIndex;

/// The published health of one endpoint set. Its indexes are those of the set it was made for.
#[derive(Debug)]
pub struct PoolHealthView {
    /// Written only with each new picture, so that comparing it per request touches a line all
    /// workers share.
    serial: AtomicU64,
    picture: ArcSwap<Picture>,
    addresses: Box<[Arc<str>]>,
    endpoints: Box<[Arc<EndpointHealth>]>,
    pool: Arc<PoolHealthState>,
}

impl PoolHealthView {
    pub(super) fn new(
        pool: Arc<PoolHealthState>,
        addresses: Box<[Arc<str>]>,
        endpoints: Box<[Arc<EndpointHealth>]>,
        picture: Picture,
    ) -> Self {
        let serial = AtomicU64::new(picture.serial);
        Self {
            serial,
            picture: ArcSwap::from_pointee(picture),
            addresses,
            endpoints,
            pool,
        }
    }

    /// Returns the pool this is a view of.
    #[must_use]
    pub const fn pool(&self) -> &Arc<PoolHealthState> {
        &self.pool
    }

    /// The endpoint set, by index.
    #[must_use]
    pub fn addresses(&self) -> &[Arc<str>] {
        &self.addresses
    }

    /// The counters of one endpoint.
    #[must_use]
    pub fn endpoint(&self, endpoint: EndpointIndex) -> Option<&Arc<EndpointHealth>> {
        self.endpoints.get(usize::try_from(endpoint.0).ok()?)
    }

    /// The serial of the newest picture.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.serial.load(Acquire)
    }

    /// Returns the newest picture. Changes a shared reference count: keep it and compare serials
    /// instead of calling this per request.
    #[must_use]
    pub fn picture(&self) -> Arc<Picture> {
        self.picture.load_full()
    }

    /// Notes the outcome of a request. `now` is read only if an endpoint is ejected.
    ///
    /// The failure that completes a run ejects before this returns, so that the next pick avoids
    /// the endpoint.
    pub fn observe(&self, worker: usize, endpoint: EndpointIndex, outcome: Observed, now: Instant) {
        if let Some(endpoint) = self.endpoint(endpoint) {
            self.pool.observe(endpoint, worker, outcome, now);
        }
    }

    /// Claims the one request that decides about an endpoint on probation; `None` if another has it
    /// or it is not on probation.
    #[must_use]
    pub fn try_take_trial(&self, endpoint: EndpointIndex) -> Option<Trial> {
        let endpoint = self.endpoint(endpoint)?;
        let claim = endpoint.claim()?;
        Some(Trial::new(
            Arc::clone(&self.pool),
            Arc::clone(endpoint),
            claim,
        ))
    }

    /// While the picture is `pending` and the set still the newest, waits for a change, at most
    /// until the deadline; returns the newest picture. Cancel-safe.
    pub async fn ready(&self, deadline: Instant, is_newest: impl Fn() -> bool) -> Arc<Picture> {
        let changed = self.pool.changed();
        // Looked at when every change from here on is noticed.
        if self.picture().pending && is_newest() {
            let _ = tokio::time::timeout_at(deadline, changed).await;
        }
        self.picture()
    }

    /// Publishes a picture unless it equals the last one; returns true if it was published.
    pub(super) fn publish(&self, picture: Picture) -> bool {
        let last = self.picture.load();
        if last.agrees_with(&picture) {
            return false;
        }
        let serial = picture.serial;
        self.picture.store(Arc::new(picture));
        self.serial.store(serial, Release);
        true
    }
}
