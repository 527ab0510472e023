//! Use that an exchange makes of the cache of its route.

use std::{
    cell::{RefCell, RefMut},
    rc::Rc,
    sync::Arc,
};

use super::Answering;
use crate::cache::{Outcome, RouteCache};

/// Use of a cache by one exchange.
#[derive(Debug)]
pub(crate) struct CacheUse {
    pub(crate) cache: Arc<RouteCache>,
    /// Place of the first filter behind it.
    pub(crate) behind: u16,
    /// The result; none while it is open.
    pub(crate) outcome: Option<Outcome>,
    /// Place of an answer that may turn out too long to be stored; none for all others.
    pub(crate) left: Option<LeftAnswering>,
}

/// Place of an answer that a cache has begun to read, and leaves to the client's exchange.
pub(crate) type LeftAnswering = Rc<RefCell<Option<Answering>>>;

impl CacheUse {
    /// An exchange arrives at the cache.
    pub(crate) fn new(cache: &Arc<RouteCache>, behind: u16) -> Box<Self> {
        Box::new(Self {
            cache: Arc::clone(cache),
            behind,
            outcome: None,
            left: None,
        })
    }

    /// The answer that was too long to be stored, which this exchange reads to its end.
    pub(crate) fn left(&self) -> Option<RefMut<'_, Answering>> {
        let left = self.left.as_ref()?.borrow_mut();
        RefMut::filter_map(left, Option::as_mut).ok()
    }
}
