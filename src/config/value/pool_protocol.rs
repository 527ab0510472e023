//! Protocols spoken to endpoints.

/// Protocol to the endpoints of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolProtocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: negotiated with TLS, by prior knowledge without.
    Http2,
    /// HTTP/2 or HTTP/1.1, as negotiated with TLS.
    Auto,
}
