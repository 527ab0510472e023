//! Upstream: the choice of an endpoint, and the connection to it.
//!
//! [`pool`] and [`endpoint`] are the configured parts, [`endpoint_set`] the endpoints of a pool at
//! one time, which [`discovery`] may replace; [`shared`] is the state of a pool that all workers
//! share; [`local`], [`local_set`] and [`idle`] are one worker's side, with the [`picker`]s of each
//! [`tier`]; [`acquire`] finds a connection, [`room`] makes room for one at the limit,
//! [`transport`] carries a request over it; [`health`] decides which endpoints may be picked.

#[doc(hidden)]
pub mod acquire;
mod bound;
#[doc(hidden)]
pub mod condition;
#[doc(hidden)]
pub mod connect;
#[doc(hidden)]
pub mod consul;
mod derived;
#[doc(hidden)]
pub mod discovery;
#[doc(hidden)]
pub mod endpoint;
#[doc(hidden)]
pub mod endpoint_metrics;
#[doc(hidden)]
pub mod endpoint_set;
#[doc(hidden)]
pub mod etcd;
#[doc(hidden)]
pub mod freed;
mod hash_input;
#[doc(hidden)]
pub mod health;
#[doc(hidden)]
pub mod idle;
mod latency;
#[doc(hidden)]
pub mod local;
#[doc(hidden)]
pub mod local_set;
#[doc(hidden)]
pub mod metrics;
#[doc(hidden)]
pub mod occupancy;
#[doc(hidden)]
pub mod opening;
#[doc(hidden)]
pub mod pick;
pub mod picker;
#[doc(hidden)]
pub mod pinned;
#[doc(hidden)]
pub mod pool;
#[doc(hidden)]
pub mod registration;
mod request_place;
#[doc(hidden)]
pub mod room;
mod secure;
mod servers;
#[doc(hidden)]
pub mod session;
pub mod shared;
mod slow_start;
#[doc(hidden)]
pub mod spoken;
#[doc(hidden)]
pub mod standing;
#[doc(hidden)]
pub mod tier;
#[doc(hidden)]
pub mod transport;
#[doc(hidden)]
pub mod tried;
#[doc(hidden)]
pub mod zookeeper;

#[doc(hidden)]
pub use hash_input::HashInput;
pub(crate) use request_place::RequestPlace;
