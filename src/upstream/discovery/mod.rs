//! Where the endpoints of a pool come from.
//!
//! Runs on the control thread, never in the walk of a request. A source hands over the whole list each
//! time it changes; what differs from the last one is worked out by identity, pool with address, so that
//! endpoints that stay keep their health, counts and connections.

use std::{future::Future, pin::Pin};

use super::endpoint::Endpoint;

mod fixed;

pub use fixed::Fixed;

/// A boxed future, so that [`Discovery`] is object-safe.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A source of the endpoints of one pool.
pub trait Discovery: Send {
    /// Waits for the next list: the first at once, then each time it changes. After an error the last good
    /// list stays in force, and the caller asks again. Must be cancel-safe: no change may be lost.
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Endpoint>, DiscoveryError>>;
}

/// Why a source has no list to give.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// The source cannot be reached or does not answer.
    #[error("cannot reach the source of endpoints")]
    Unreachable(#[source] std::io::Error),
    /// The source answered with what is no list of endpoints.
    #[error("malformed list of endpoints: {0}")]
    Malformed(String),
}
