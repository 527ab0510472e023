//! The rules of the HTTP standards that every version shares; no policy.
//!
//! Second in the walk: between the bytes of a connection and the choice of a route. Nothing here
//! knows the configuration, keeps state between requests or does I/O. A peer's input ends in a
//! value or in a [`BadRequest`](crate::failure::BadRequest), never in a panic.

#[doc(hidden)]
pub mod accept;
pub(crate) mod address;
#[doc(hidden)]
pub mod authority;
#[doc(hidden)]
pub mod base64;
#[doc(hidden)]
pub mod body;
#[doc(hidden)]
pub mod connection_auth;
#[doc(hidden)]
pub mod cookie;
#[doc(hidden)]
pub mod date;
#[doc(hidden)]
pub mod deadline;
#[doc(hidden)]
pub mod forwarded;
#[doc(hidden)]
pub mod grpc;
#[doc(hidden)]
pub mod grpc_web;
#[doc(hidden)]
pub mod headers;
#[doc(hidden)]
pub mod hop_by_hop;
#[doc(hidden)]
pub mod method;
#[doc(hidden)]
pub mod path;
#[doc(hidden)]
pub mod query;
pub(crate) mod quoted;
#[doc(hidden)]
pub mod request_id;
#[doc(hidden)]
pub mod secret_names;
#[doc(hidden)]
pub mod target;
#[doc(hidden)]
pub mod token;
#[doc(hidden)]
pub mod trace;
#[doc(hidden)]
pub mod trailer;
pub(crate) mod transform;
#[doc(hidden)]
pub mod upgrade;
pub(crate) mod variable;
#[doc(hidden)]
pub mod via;
#[doc(hidden)]
pub mod websocket;

pub use body::BodyLength;
#[doc(hidden)]
pub use body::{BodySource, Frame, PolledFrame};
pub use headers::{Headers, Known, Names, Value};
pub use transform::Transform;
