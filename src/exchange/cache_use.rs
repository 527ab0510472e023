//! Use that an exchange makes of the cache of its route.

use std::sync::Arc;

use crate::cache::{Outcome, RouteCache};

/// Use of a cache by one exchange.
#[derive(Debug)]
pub(crate) struct CacheUse {
    pub(crate) cache: Arc<RouteCache>,
    /// Place of the first filter behind it.
    pub(crate) behind: u16,
    /// The result; none while it is open.
    pub(crate) outcome: Option<Outcome>,
}

impl CacheUse {
    /// An exchange arrives at the cache.
    pub(crate) fn new(cache: &Arc<RouteCache>, behind: u16) -> Box<Self> {
        Box::new(Self {
            cache: Arc::clone(cache),
            behind,
            outcome: None,
        })
    }
}
