//! A worker's own view of a snapshot: its side of each pool, its metric handles.
//!
//! Handed from exchange to exchange by a plain reference count, so that no
//! counter that other workers write is touched on the request path.

use std::{rc::Rc, sync::Arc};

use super::Snapshot;
use crate::{proxy::RouteMetrics, upstream::local::LocalPool};

/// One worker's view of a snapshot.
#[derive(Debug)]
pub struct LocalSnapshot {
    /// What all workers share.
    pub shared: Arc<Snapshot>,
    /// This worker's side of each pool, by `PoolIndex`.
    pub pools: Vec<Rc<LocalPool>>,
    /// This worker's metric handles of each route, by `RouteIndex`; the last is for no route.
    pub(crate) routes: Vec<RouteMetrics>,
}
