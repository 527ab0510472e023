//! Which endpoint, over which connection.
//!
//! [`pool`] and [`endpoint`] are what the configuration says; [`shared`] is what
//! all workers share of a pool; [`local`] and [`idle`] are one worker's side, with
//! the [`picker`]s of each [`tier`]; [`acquire`] finds a connection, [`room`] makes
//! room for one at the limit, [`transport`] carries a request over
//! it; `name` finds the addresses of names; [`health`] decides who may be picked.

pub mod acquire;
pub mod connect;
pub mod discovery;
pub mod endpoint;
pub mod freed;
pub mod health;
pub mod idle;
pub mod local;
pub mod metrics;
mod name;
pub mod occupancy;
pub mod opening;
pub mod pick;
pub mod picker;
pub mod pinned;
pub mod pool;
pub mod room;
mod secure;
pub mod shared;
pub mod standing;
pub mod tier;
pub mod transport;
