//! Failures of requests by the errors of their HTTP/2 connection.

use crate::failure::Failure;

/// Meaning of an error for the request it met.
pub(super) struct Fault {
    pub(super) failure: Failure,
    /// The endpoint declared that it did not process the request.
    pub(super) unprocessed: bool,
    /// The endpoint sent it for this stream.
    pub(super) of_stream: bool,
    /// The connection ended with it.
    pub(super) of_connection: bool,
}

impl Fault {
    /// Interprets an error of a stream. If it is the end of the connection, `ended` is the reason.
    pub(super) fn of(error: &h2::Error, ended: Failure) -> Self {
        let failure = match error.reason() {
            Some(h2::Reason::REFUSED_STREAM) if error.is_remote() => Failure::StreamRefused,
            Some(h2::Reason::PROTOCOL_ERROR | h2::Reason::FRAME_SIZE_ERROR)
                if error.is_library() =>
            {
                Failure::ResponseMalformed
            }
            // A header block many times the limit: it ends the connection.
            Some(h2::Reason::ENHANCE_YOUR_CALM) if error.is_library() => {
                Failure::ResponseHeadTooLarge
            }
            _ if error.is_io() => ended,
            _ => Failure::ConnectionClosed,
        };
        Self {
            failure,
            // Only streams above the last one that a GOAWAY names end with it, whatever its
            // reason (RFC 9113 section 6.8).
            unprocessed: error.is_remote()
                && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM)),
            of_stream: error.is_reset(),
            of_connection: !error.is_reset(),
        }
    }

    /// Makes a fault of the answer on this stream.
    pub(super) fn of_answer(failure: Failure) -> Self {
        Self {
            failure,
            unprocessed: false,
            of_stream: true,
            of_connection: false,
        }
    }

    /// Makes the fault of an attempt that ended on our side: it took too long, or its client
    /// failed.
    pub(super) fn of_ours(failure: Failure) -> Self {
        Self {
            failure,
            unprocessed: false,
            of_stream: false,
            of_connection: false,
        }
    }
}
