//! Sluicegate: a layer-7 load-balancing reverse proxy.
//!
//! The areas, in the order in which a request meets them:
//!
//! 1. [`listener`]: connections are accepted, limited and served.
//!    [`downstream`]: bodies of requests, and the streams that they come on.
//! 2. [`semantics`], [`http1`] and [`http2`]: the rules of the standards, without policy; the
//!    codecs. [`proxy_protocol`]: client addresses, sent in front of a connection.
//! 3. [`proxy`]: the walk of one request, a file per step; [`exchange`] is its record.
//! 4. [`route`]: the destination. One pure function from a snapshot and a head to a decision.
//! 5. [`filter`]: changes to requests and responses, compiled from the route.
//!    [`rollout`]: the choice between versions and pools, by weight and by user.
//! 6. [`upstream`]: the choice of an endpoint by a picker, and the connection to it.
//! 7. [`telemetry`]: metrics, logs and records.
//!
//! [`worker`] is one thread's own state, which the walk uses. [`failure`] is the list of reasons
//! for which a request ends early, [`task`] starts all tasks; [`socket`] has the sockets and
//! streams of both sides, [`tls`] certificates and the sessions made with them.
//!
//! Around them: [`config`] turns text into types, [`state`] holds the compiled snapshot and the
//! state that outlives it, [`resilience`] has the pure state machines, [`server`] is the life of
//! the process, [`admin`] and [`cli`] are for people, and `import` writes the configurations of
//! other proxies anew. `dial` opens connections, and `fetch` asks
//! the HTTP services that the proxy itself uses; [`acme`] orders certificates from a CA. `seal` makes
//! what clients carry unreadable to them. `timer`, `memory`, `file` and `wake` are tools that all of
//! them use.
//!
//! An area imports only areas below it: `tests/layers/rules.txt` has them from the bottom up.

#![forbid(unsafe_code)]

// What an embedding program needs.
pub mod exchange;
pub mod filter;
pub mod semantics;
pub mod server;
pub mod telemetry;
pub mod upstream;

// Open to the program, the tests and the benches of this crate; promised to nobody else.
#[doc(hidden)]
pub mod acme;
#[doc(hidden)]
pub mod admin;
#[doc(hidden)]
pub mod cache;
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod config;
#[doc(hidden)]
pub mod downstream;
#[doc(hidden)]
pub mod failure;
#[doc(hidden)]
pub mod fetch;
#[doc(hidden)]
pub mod http1;
#[doc(hidden)]
pub mod http2;
#[doc(hidden)]
pub mod http3;
mod import;
#[doc(hidden)]
pub mod listener;
#[doc(hidden)]
pub mod proxy;
#[doc(hidden)]
pub mod proxy_protocol;
#[doc(hidden)]
pub mod resilience;
#[doc(hidden)]
pub mod rollout;
#[doc(hidden)]
pub mod route;
#[doc(hidden)]
pub mod socket;
#[doc(hidden)]
pub mod state;
#[doc(hidden)]
pub mod task;
#[doc(hidden)]
pub mod timer;
#[doc(hidden)]
pub mod tls;
#[doc(hidden)]
pub mod worker;

mod dial;
mod file;
mod memory;
mod seal;
mod wake;
