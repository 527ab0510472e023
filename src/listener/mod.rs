//! Where bytes arrive: sockets bound, connections accepted and limited.
//!
//! [`bind`] makes the sockets that were not [`inherited`], [`accept`] takes connections from them, [`connection`]
//! is what is known of one; [`http1`] and [`http2`] speak on it and hand each request
//! to [`crate::proxy::serve`].

pub mod accept;
pub mod bind;
pub mod connection;
mod http1;
mod http2;
pub mod inherited;
mod linger;
mod protocol;
mod proxy_protocol;
mod request_body;
pub(crate) mod shortage;
pub mod socket_file;
mod tls;

pub use connection::Connection;
pub(crate) use http2::STREAM_READ_MIN;
pub use http2::{Http2RequestBody, StreamInterim};
pub use request_body::{Exchanging, RequestBody, Rest};

/// Whether an answer has no body whatever its fields say (RFC 9112 section 6.3).
fn is_bodiless(method: &::http::Method, status: ::http::StatusCode) -> bool {
    *method == ::http::Method::HEAD
        || status == ::http::StatusCode::NO_CONTENT
        || status == ::http::StatusCode::NOT_MODIFIED
}
