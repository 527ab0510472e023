//! The HTTP/1.1 codec: bytes to heads and bodies, and back (RFC 9112).
//!
//! Does no I/O: the owner of a connection reads into a `BytesMut`, passes it to the parsers, and
//! writes the output of the encoders. The same code serves both directions, towards clients and
//! towards endpoints.
//!
//! The rule in all doubtful cases: bytes that two parsers could read differently are refused. Bare
//! LF, folded lines, space before a colon, more than one Content-Length, Content-Length next to
//! Transfer-Encoding and codings other than one `chunked` all end in a fault, never in a guess.
//!
//! - `request`, `response`: a head from bytes; `scan` over `block`s of bytes, `field` and
//!   `framing` are its parts.
//! - `body`, `chunk`: the bytes of a body, as they come.
//! - `encode`, `body_encoder`: the way out.
//!
//! State: none outside the values that the owner holds. Must never: decide policy
//! (Host, hop-by-hop fields, routing), copy a body, or panic on what a peer sends.

mod block;
pub mod body;
pub mod body_encoder;
mod chunk;
pub mod encode;
mod field;
pub mod framing;
pub mod request;
pub mod response;
mod scan;

pub use body::{BodyDecoder, BodyFault, Decoded};
pub use body_encoder::{BodyEncoder, LengthFault};
pub use encode::{KeepAlive, encode_continue, encode_request_head, encode_response_head};
pub use framing::Framing;
pub use request::{RequestHead, parse_request_head};
pub use response::{ResponseFault, ResponseHead, parse_response_head};

/// Size limits of a head; they also bound the trailer section of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of the whole head, from the first of its first line to its empty line.
    pub bytes_max: usize,
    /// Number of field lines.
    pub headers_max: usize,
    /// Bytes of the request target.
    pub target_max: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self {
            bytes_max: 64 * 1024,
            headers_max: 100,
            target_max: 16 * 1024,
        }
    }
}
