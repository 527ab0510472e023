//! Reasons why a request has no answer.

use std::time::Duration;

/// Reasons why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No connection.
    #[error("{0}")]
    Connect(String),
    /// The TLS settings cannot be used, or the handshake failed.
    #[error("TLS: {0}")]
    Tls(String),
    /// No whole answer in time.
    #[error("no answer within {}", humantime::format_duration(*.0))]
    Late(Duration),
    /// The connection ended before the answer did.
    #[error("the connection ended before the answer")]
    CutShort,
    /// The answer is not HTTP/1.1, or its head is too large.
    #[error("the answer is not valid HTTP/1.1")]
    Malformed,
    /// The body is larger than the limit.
    #[error("the answer is longer than {} KiB", .0 >> 10)]
    TooLong(usize),
    /// The request cannot be written: its path or a header has forbidden characters.
    #[error("the request has characters that HTTP does not allow")]
    Unsendable,
}
