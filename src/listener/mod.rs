//! Listeners: accept and limit connections, and read requests from them.
//!
//! [`accept`] takes connections from the listening sockets; [`http1`] and [`http2`] serve them and
//! pass each request to [`crate::proxy::serve`]. `http3` does both for QUIC.

pub mod accept;
mod age;
mod answer_head;
mod http1;
mod http2;
#[cfg(feature = "http3")]
pub(crate) mod http3;
mod linger;
mod protocol;
mod proxy_protocol;
mod refused;
mod tls;

/// Returns true if an answer has no body whatever its fields say (RFC 9112 section 6.3): for HEAD,
/// and for some statuses.
fn is_bodiless(head_only: bool, status: http::StatusCode) -> bool {
    head_only || status == http::StatusCode::NO_CONTENT || status == http::StatusCode::NOT_MODIFIED
}
