//! Where bytes arrive: connections accepted and limited.
//!
//! [`accept`] takes connections from the listening sockets, [`connection`] is what is known of one; [`http1`] and [`http2`] speak on it and hand each request
//! to [`crate::proxy::serve`].

pub mod accept;
pub mod connection;
mod http1;
mod http2;
mod linger;
mod protocol;
mod proxy_protocol;
pub(crate) mod shortage;
mod tls;

pub use connection::Connection;

/// Whether an answer has no body whatever its fields say (RFC 9112 section 6.3).
fn is_bodiless(method: &::http::Method, status: ::http::StatusCode) -> bool {
    *method == ::http::Method::HEAD
        || status == ::http::StatusCode::NO_CONTENT
        || status == ::http::StatusCode::NOT_MODIFIED
}
