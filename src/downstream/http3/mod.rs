//! HTTP/3 of a client, below requests (RFC 9114): streams of a QUIC connection in both directions.
//!
//! QUIC has what the session of HTTP/2 does itself: streams, windows and their order on the wire.
//! Each exchange reads and writes its own stream; they share a [`session::Session`], which bounds
//! what is common to them.
//!
//! - `session`: that of a connection; `meter`: what is too much of a client.
//! - `stream`: the stream of an exchange; `receive`: its request; `send`: its answer.
//! - `body`: that of a request; `interim`: what comes before the response.

mod body;
mod interim;
pub(crate) mod meter;
pub(crate) mod receive;
mod send;
pub(crate) mod session;
pub(crate) mod stream;

pub use body::Http3RequestBody;
pub use interim::Http3Interim;
