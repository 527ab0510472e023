//! Interim responses on a stream of their exchange.

use http::StatusCode;

use super::Http2Interim;
#[cfg(feature = "http3")]
use super::Http3Interim;
use crate::semantics::Headers;

/// Sender of interim responses on a stream.
#[derive(Debug)]
pub enum StreamInterim {
    /// A stream of HTTP/2.
    Http2(Http2Interim),
    /// A stream of HTTP/3.
    #[cfg(feature = "http3")]
    Http3(Http3Interim),
}

impl StreamInterim {
    /// Sends one; false if it exceeds the limits, or is no longer wanted.
    pub(crate) fn offer(&self, status: StatusCode, headers: Headers) -> bool {
        match self {
            Self::Http2(stream) => stream.offer(status, headers),
            #[cfg(feature = "http3")]
            Self::Http3(stream) => stream.offer(status, headers),
        }
    }
}
