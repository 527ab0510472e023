//! A place among the requests under way in a pool.

use std::sync::Arc;

use super::{freed::Limit, shared::PoolShared};

/// One of the pool's places for requests under way; released on drop.
#[derive(Debug)]
pub(crate) struct RequestPlace(Option<Arc<PoolShared>>);

impl RequestPlace {
    /// Makes a place in a pool without a limit.
    pub(crate) fn unlimited() -> Self {
        Self(None)
    }

    /// Takes a place, unless there are `max` requests under way.
    pub(crate) fn try_take(shared: &Arc<PoolShared>, max: usize) -> Option<Self> {
        let taken = shared.requests.try_take(max);
        taken.then(|| Self(Some(Arc::clone(shared))))
    }
}

impl Drop for RequestPlace {
    fn drop(&mut self) {
        if let Some(shared) = &self.0 {
            shared.requests.give_back();
            shared.tell_freed(Limit::Requests);
        }
    }
}
