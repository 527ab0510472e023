//! Requests from clients: their bodies, and the streams that they arrive on.
//!
//! Below an exchange, which carries these bodies, and above sockets and codecs. Nothing here
//! knows routes, configuration or workers.

mod bucket;
pub(crate) mod http2;
#[cfg(feature = "http3")]
pub(crate) mod http3;
mod interim;
mod request_body;
mod stream_interim;

pub(crate) use http2::STREAM_READ_MIN;
pub use http2::{Http2Interim, Http2RequestBody};
#[cfg(feature = "http3")]
pub use http3::{Http3Interim, Http3RequestBody};
pub use interim::Interim;
pub use request_body::{Exchanging, RequestBody, Rest};
pub use stream_interim::StreamInterim;
