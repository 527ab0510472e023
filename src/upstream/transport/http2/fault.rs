//! What the errors of an HTTP/2 connection say about the request that met them.

use std::error::Error as _;

use crate::exchange::Failure;

/// What an error of hyper's means for the request it met.
pub(super) struct Fault {
    pub(super) failure: Failure,
    /// The endpoint says that it did not look at the request.
    pub(super) unprocessed: bool,
    /// Only this stream is concerned, the connection lives on.
    pub(super) of_stream: bool,
}

impl Fault {
    pub(super) fn of(error: &hyper::Error) -> Self {
        let connection_closed = Self {
            failure: Failure::ConnectionClosed,
            unprocessed: false,
            of_stream: false,
        };
        let mut source = error.source();
        while let Some(cause) = source {
            if let Some(error) = cause.downcast_ref::<h2::Error>() {
                return Self {
                    failure: match error.reason() {
                        Some(h2::Reason::REFUSED_STREAM) if error.is_remote() => {
                            Failure::StreamRefused
                        }
                        Some(h2::Reason::PROTOCOL_ERROR | h2::Reason::FRAME_SIZE_ERROR)
                            if error.is_library() =>
                        {
                            Failure::ResponseMalformed
                        }
                        _ => Failure::ConnectionClosed,
                    },
                    // Only streams above the last one that a GOAWAY names end with it, whatever
                    // its reason (RFC 9113 section 6.8).
                    unprocessed: error.is_remote()
                        && (error.is_go_away()
                            || error.reason() == Some(h2::Reason::REFUSED_STREAM)),
                    of_stream: error.is_reset(),
                };
            }
            source = cause.source();
        }
        connection_closed
    }
}
