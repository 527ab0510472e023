//! The rules of the HTTP standards that every version shares; no policy.
//!
//! Second in the walk: between the bytes of a connection and the choice of a
//! route. Nothing here knows the configuration, keeps state between requests or
//! does I/O. What a peer sends ends in a value or in a
//! [`BadRequest`](crate::failure::BadRequest), never in a panic.

pub(crate) mod address;
pub mod authority;
pub mod base64;
pub mod connection_auth;
pub mod cookie;
pub mod date;
pub mod forwarded;
pub mod grpc;
pub mod grpc_web;
pub mod headers;
pub mod hop_by_hop;
pub mod method;
pub mod path;
pub mod query;
pub mod request_id;
pub mod target;
pub mod token;
pub mod trailer;
pub mod upgrade;
pub mod via;
pub mod websocket;

pub use headers::{Headers, Known, Names, Value};
