//! The shadow of a route, compiled: which requests are copied, where to, and what is compared.

use std::{fmt, sync::Arc};

use http::Method;
use semver::VersionReq;

use super::Route;
use crate::{
    rollout::shadow::{CompareRules, ShadowState},
    upstream::pool::{PoolIndex, ViewIndex},
};

/// A compiled shadow.
#[derive(Debug)]
pub struct Shadow {
    /// Pool that gets the copies.
    pub pool: PoolIndex,
    /// Name of the pool.
    pub pool_name: Arc<str>,
    /// The endpoints of it that get them.
    pub view: ViewIndex,
    /// Requirement of their version.
    pub version: Option<VersionReq>,
    /// Share of the requests, 0 to 1.
    pub share: f64,
    /// Methods whose requests are copied.
    pub methods: Vec<Method>,
    /// Comparison of the answers; none: they are dropped.
    pub compare: Option<CompareRules>,
    /// Copies under way at once.
    pub in_flight_max: u32,
    /// Bytes of a request body that is copied.
    pub body_max: usize,
    /// Terms of a copy, in the form of a route: one attempt, within its time.
    pub route: Route,
    /// Its results; outlives reloads.
    pub state: Arc<ShadowState>,
}

impl Shadow {
    /// Returns true if a request is copied that goes to these endpoints; `draw` is uniform.
    pub fn takes(&self, method: &Method, home: (PoolIndex, ViewIndex), draw: u64) -> bool {
        // 53 bits are all that a float holds.
        let draw = (draw >> 11) as f64 / (1_u64 << 53) as f64;
        draw < self.share && self.methods.contains(method) && home != (self.pool, self.view)
    }
}

impl fmt::Display for Shadow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pool \"{}\"", self.pool_name)?;
        match &self.version {
            Some(version) => write!(f, ", version {version}"),
            None => Ok(()),
        }
    }
}
