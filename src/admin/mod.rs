//! The admin API: state for operators and tools to read, and their commands.
//!
//! An HTTP/1.1 server of its own on the control runtime, so that nothing here touches a worker. It
//! knows the proxy only through [`Operations`]. Order of a request: connection limit, head within
//! its deadline, [`auth`] (access), [`router`] (entry), `api` (answer).

mod api;
mod auth;
mod body;
mod dashboard;
mod entries;
mod figures;
mod listener;
pub mod model;
mod openapi;
mod operations;
mod places;
mod rate;
mod reads;
mod reply;
mod router;
mod server;

pub use auth::Tokens;
pub use figures::{Figures, LatencyCounts, RequestCounts};
pub use listener::{AdminListener, AdminOffer, AdminSocket};
pub use operations::{
    BoxFuture, EndpointAction, ExplainRequest, OperationError, Operations, RolloutAction,
};
pub use router::Scope;
pub use server::{AdminControl, AdminServer, AdminSettings, SettingsError};

#[cfg(test)]
mod tests;
