//! The walk of a request, a file per step; [`serve`] is its table of contents.

mod admit;
mod begin;
mod body_bound;
mod cached;
mod call;
mod challenge;
mod deadline;
mod debug;
mod divide;
mod finish;
mod forward;
mod grpc_web;
mod open;
mod outgoing;
mod reply;
mod request;
mod response;
mod serve;
mod shadow;
mod subrequest;
mod trace;
mod trailer_rules;
mod tunnel;
mod unserved;
mod upload;
mod version;
mod watch;
mod way_back;

pub use outgoing::Outgoing;
pub use serve::{finish, refuse, serve};
pub(crate) use tunnel::{Carries, TUNNEL, tunnel};
