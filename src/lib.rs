//! Sluicegate: a layer-7 load-balancing reverse proxy.
//!
//! The areas, in the order in which a request meets them:
//!
//! 1. [`listener`]: bytes arrive. Sockets are bound, accepted, limited.
//! 2. [`http`], [`http1`] and [`http2`]: the rules of the standards, without policy; the codecs.
//!    [`proxy_protocol`]: who the client is, said in front of a connection.
//! 3. [`proxy`]: the walk of one request, a file per step; [`exchange`] is what is known of it.
//! 4. [`route`]: where to. One pure function from a snapshot and a head to a decision.
//! 5. [`filter`]: what happens on the way, compiled from the route.
//! 6. [`upstream`]: which endpoint, by which picker, over which connection.
//! 7. [`telemetry`]: what is remembered.
//!
//! [`failure`] is the one list of reasons for which a request ends early, [`task`] where every
//! task starts. [`tls`] is under both sides: certificates, and the sessions made with them.
//!
//! Around them: [`config`] turns text into types, [`state`] holds the compiled
//! snapshot and what outlives it, [`resilience`] has the pure machines, [`server`]
//! is the life of the process, [`admin`] and [`cli`] are for people. `timer`, `memory`, `file`
//! and `wake` are tools that all of them use.

#![forbid(unsafe_code)]

pub mod admin;
pub mod cli;
pub mod config;
pub mod exchange;
pub mod failure;
mod file;
pub mod filter;
pub mod http;
pub mod http1;
pub mod http2;
pub mod listener;
mod memory;
pub mod proxy;
pub mod proxy_protocol;
pub mod resilience;
pub mod route;
pub mod server;
pub mod socket;
pub mod state;
pub mod task;
pub mod telemetry;
pub mod timer;
pub mod tls;
pub mod upstream;
mod wake;
