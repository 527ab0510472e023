//! Requests from clients: their bodies, and the streams that they arrive on.
//!
//! Below an exchange, which carries these bodies, and above sockets and codecs. Nothing here
//! knows routes, configuration or workers.

pub(crate) mod http2;
mod interim;
mod request_body;

pub(crate) use http2::STREAM_READ_MIN;
pub use http2::{Http2RequestBody, StreamInterim};
pub use interim::Interim;
pub use request_body::{Exchanging, RequestBody, Rest};
