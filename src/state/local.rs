//! A worker's own view of a snapshot: its side of each pool, its metric handles.
//!
//! Handed from exchange to exchange by a plain reference count, so that no
//! counter that other workers write is touched on the request path.

use std::{rc::Rc, sync::Arc};

use super::{Listener, Snapshot};
use crate::{proxy::RouteMetrics, upstream::local::LocalPool};

/// A listener as one worker holds on to it: every exchange does, and workers that count
/// themselves in and out at one place would take it from each other.
pub type LocalListener = Rc<Arc<Listener>>;

/// One worker's view of a snapshot.
#[derive(Debug)]
pub struct LocalSnapshot {
    /// What all workers share.
    pub shared: Arc<Snapshot>,
    /// The listeners, in the order of the snapshot.
    pub listeners: Vec<LocalListener>,
    /// This worker's side of each pool, by `PoolIndex`.
    pub pools: Vec<Rc<LocalPool>>,
    /// This worker's metric handles of each route, by `RouteIndex`; the last is for no route.
    pub(crate) routes: Vec<RouteMetrics>,
}
