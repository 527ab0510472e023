//! The HTTP/2 codec: bytes to heads and numbers, and back (RFC 9113).
//!
//! No I/O happens here, and no stream is remembered: the owner of a connection reads into a
//! `BytesMut`, takes the frames apart with what is here, and writes what is appended. Towards
//! clients only; towards endpoints HTTP/2 is spoken by a library.
//!
//! The rule that decides every doubt is that of [`crate::http1`]: what two readers could
//! understand in two ways is refused, never mended.
//!
//! - `frame`: heads of frames, and payloads that are a few numbers.
//! - `hpack`: the compression of fields (RFC 7541).
//! - `request`: a field block to the head of a request, or to trailers.
//! - `response`: the way out.
//! - `window`: flow control.
//!
//! State: what both sides of a connection agree on for the compression of fields, which the
//! owner holds. Must never: decide policy, or panic on what a peer sends.

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
    /// Nothing is wrong.
    NoError = 0,
    /// A rule was broken, and no other reason says which.
    ProtocolError = 1,
    /// The side that says so is at fault.
    InternalError = 2,
    /// More was sent than the window allows.
    FlowControlError = 3,
    /// Something was sent on a stream after its end.
    StreamClosed = 5,
    /// A frame does not have the size of its kind.
    FrameSizeError = 6,
    /// Nothing was done about the stream: it may be tried again.
    RefusedStream = 7,
    /// Nobody wants the rest.
    Cancel = 8,
    /// The compression of fields is out of step.
    CompressionError = 9,
    /// The peer does what only burdens.
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
