//! The HTTP/2 codec: bytes to heads and numbers, and back (RFC 9113).
//!
//! Does no I/O and keeps no streams: the owner of a connection reads into a `BytesMut`, splits it
//! into frames with these functions, and writes their output. Used towards clients only; towards
//! endpoints a library speaks HTTP/2.
//!
//! The rule in all doubtful cases is that of [`crate::http1`]: input that two readers could
//! understand differently is refused, never repaired.
//!
//! - `frame`: heads of frames, and payloads that are a few numbers.
//! - `hpack`: the compression of fields (RFC 7541).
//! - `request`: a field block to the head of a request, or to trailers.
//! - `response`: the way out.
//! - `window`: flow control.
//!
//! State: the header compression state of a connection, which the owner holds. Must never: decide
//! policy, or panic on a peer's input.

pub mod frame;
pub mod hpack;
pub mod request;
pub mod response;
pub mod window;

/// Connection preface of a client (section 3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Error codes that end a stream or a connection (section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Reason {
    /// No error.
    NoError = 0,
    /// A violation without a more specific reason.
    ProtocolError = 1,
    /// The sender of the error is at fault.
    InternalError = 2,
    /// More was sent than the window allows.
    FlowControlError = 3,
    /// Something was sent on a stream after its end.
    StreamClosed = 5,
    /// A frame does not have the size of its kind.
    FrameSizeError = 6,
    /// The stream was not processed: it may be retried.
    RefusedStream = 7,
    /// The rest is not wanted.
    Cancel = 8,
    /// The compression of fields is out of step.
    CompressionError = 9,
    /// The peer's behaviour causes excessive load.
    EnhanceYourCalm = 11,
}

/// The stream or connection that a violation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection.
    Connection(Reason),
    /// Only this stream.
    Stream(u32, Reason),
}

impl From<Reason> for Fault {
    fn from(reason: Reason) -> Self {
        Self::Connection(reason)
    }
}
