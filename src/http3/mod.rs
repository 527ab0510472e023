//! The HTTP/3 codec: bytes of QUIC streams to frames and heads, and back (RFC 9114, RFC 9204).
//!
//! Does no I/O and keeps no streams: the owner of a stream passes what it has read, and writes what
//! these functions append. Used towards clients only.
//!
//! As in [`crate::http2`], input that two readers could understand differently is refused. The
//! rules of a request's head are those of HTTP/2 (RFC 9114 section 4.3), and the same code.
//!
//! - `varint`: numbers; `frame`: heads of frames.
//! - `message`: the frames of a request, in order; `control`: those of a client's control stream.
//! - `qpack`: the compression of fields, by the static table alone.
//! - `request`, `response`: field blocks to heads, and back.
//!
//! State: the place of a reader in its stream. Must never: decide policy, keep more of a peer's
//! input than the limits, or panic on it.

pub mod control;
pub mod frame;
pub mod message;
pub mod qpack;
pub mod request;
pub mod response;
pub mod varint;

/// Error codes that end a stream or a connection (RFC 9114 section 8.1, RFC 9204 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Code {
    /// No error.
    NoError = 0x100,
    /// A violation without a more specific code.
    GeneralProtocolError = 0x101,
    /// The sender of the error is at fault.
    InternalError = 0x102,
    /// A stream of a kind that the peer may not open.
    StreamCreationError = 0x103,
    /// A stream that the connection needs was closed.
    ClosedCriticalStream = 0x104,
    /// A frame that is not allowed there.
    FrameUnexpected = 0x105,
    /// A frame whose layout or size is not that of its type.
    FrameError = 0x106,
    /// The peer's behaviour causes excessive load.
    ExcessiveLoad = 0x107,
    /// An identifier was used wrongly.
    IdError = 0x108,
    /// A setting that is not allowed.
    SettingsError = 0x109,
    /// The control stream does not begin with settings.
    MissingSettings = 0x10a,
    /// The request was not processed: it may be sent again.
    RequestRejected = 0x10b,
    /// The request or its answer is not wanted any more.
    RequestCancelled = 0x10c,
    /// The stream of a request ended before its head.
    RequestIncomplete = 0x10d,
    /// The message is malformed.
    MessageError = 0x10e,
    /// A field block cannot be decoded.
    DecompressionFailed = 0x200,
    /// The peer's encoder stream cannot be read.
    EncoderStreamError = 0x201,
    /// The peer's decoder stream cannot be read.
    DecoderStreamError = 0x202,
}

/// Types of unidirectional streams (RFC 9114 section 6.2, RFC 9204 section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamType {
    /// Settings and what concerns the connection.
    Control,
    /// A pushed answer, which only servers send.
    Push,
    /// Additions to the dynamic table of field compression.
    Encoder,
    /// Acknowledgements of these.
    Decoder,
    /// A type that this version does not know: not read.
    Unknown,
}

impl StreamType {
    /// Returns the type of a number.
    pub fn of(number: u64) -> Self {
        match number {
            0 => Self::Control,
            1 => Self::Push,
            2 => Self::Encoder,
            3 => Self::Decoder,
            _ => Self::Unknown,
        }
    }
}
