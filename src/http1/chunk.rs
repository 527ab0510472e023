//! Decoder of the chunked transfer coding (RFC 9112 section 7.1).
//!
//! Line ends are CRLF and nothing else, sizes are 1 to 16 hexadecimal digits with nothing around
//! them. Extensions are skipped, but their bytes are limited per body: a peer that sends one byte
//! per chunk with kilobytes of extensions is cut.

use bytes::{Buf, BytesMut};

use super::HeadLimits;
use super::body::{BodyFault, Decoded, take_data};
use super::field::{FieldFault, Fields};
use super::scan::{self, Lines};
use crate::semantics::{Headers, trailer};

/// Position of the next byte in the chunked coding.
#[derive(Debug)]
pub(super) struct Chunks {
    state: State,
    limits: HeadLimits,
    /// Bytes of chunk extensions that may still come.
    extension_budget: usize,
}

#[derive(Debug)]
enum State {
    /// At the first digit of a size.
    Size,
    /// Number of bytes of the chunk's data still to come.
    Data(u64),
    /// At the CRLF after the data.
    DataEnd,
    /// In the trailer section; this many of its first bytes contain no end.
    Trailers {
        scanned: usize,
    },
    Done,
}

impl Chunks {
    pub(super) fn new(limits: &HeadLimits) -> Self {
        Self {
            state: State::Size,
            limits: *limits,
            extension_budget: EXTENSION_BYTES_MAX,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    pub(super) fn decode(&mut self, buffer: &mut BytesMut) -> Result<Decoded, BodyFault> {
        loop {
            match &mut self.state {
                State::Size => {
                    let Some(line) = SizeLine::parse(buffer, self.extension_budget)? else {
                        return Ok(Decoded::NeedMore);
                    };
                    buffer.advance(line.bytes);
                    self.extension_budget -= line.extension_bytes;
                    self.state = if line.size == 0 {
                        State::Trailers { scanned: 0 }
                    } else {
                        State::Data(line.size)
                    };
                }
                State::Data(remaining) => {
                    let decoded = take_data(buffer, remaining);
                    if *remaining == 0 {
                        self.state = State::DataEnd;
                    }
                    return Ok(decoded);
                }
                State::DataEnd => {
                    let known = buffer.len().min(2);
                    if buffer[..known] != b"\r\n"[..known] {
                        return Err(BodyFault::Chunk);
                    }
                    if known < 2 {
                        return Ok(Decoded::NeedMore);
                    }
                    buffer.advance(2);
                    self.state = State::Size;
                }
                State::Trailers { scanned } => {
                    let Some(trailers) = parse_trailers(buffer, scanned, &self.limits)? else {
                        return Ok(Decoded::NeedMore);
                    };
                    self.state = State::Done;
                    if !trailers.is_empty() {
                        return Ok(Decoded::Trailers(trailers));
                    }
                }
                State::Done => return Ok(Decoded::Done),
            }
        }
    }
}

/// The line before the data of a chunk.
struct SizeLine {
    size: u64,
    /// Length of the line with its CRLF.
    bytes: usize,
    extension_bytes: usize,
}

impl SizeLine {
    /// Reads the line at the start of `buffer`; none until its end has arrived.
    ///
    /// An incomplete line is read again from its start on the next call: it has at most 18 bytes
    /// without the extensions, whose bytes are limited for the whole body.
    fn parse(buffer: &[u8], extension_budget: usize) -> Result<Option<Self>, BodyFault> {
        let mut size = 0_u64;
        let mut digits = 0;
        for &byte in buffer.iter().take(DIGITS_MAX) {
            let Some(digit) = hex_digit(byte) else { break };
            size = (size << 4) | u64::from(digit);
            digits += 1;
        }
        let Some(&after) = buffer.get(digits) else {
            return Ok(None);
        };
        if digits == 0 || !matches!(after, b'\r' | b';') {
            return Err(BodyFault::Chunk);
        }
        let extension = &buffer[digits..];
        let Some(end) = extension.iter().position(|&byte| !is_extension_byte(byte)) else {
            return if extension.len() > extension_budget {
                Err(BodyFault::Chunk)
            } else {
                Ok(None)
            };
        };
        if end > extension_budget || extension[end] != b'\r' {
            return Err(BodyFault::Chunk);
        }
        match extension.get(end + 1) {
            None => Ok(None),
            Some(b'\n') => Ok(Some(Self {
                size,
                bytes: digits + end + 2,
                extension_bytes: end,
            })),
            Some(_) => Err(BodyFault::Chunk),
        }
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Returns true for visible ASCII and blanks: no control bytes, and no bytes that some parsers do
/// not take for text.
fn is_extension_byte(byte: u8) -> bool {
    byte == b'\t' || (b' '..0x7f).contains(&byte)
}

/// Takes the trailer section off `buffer`; none until its end has arrived.
fn parse_trailers(
    buffer: &mut BytesMut,
    scanned: &mut usize,
    limits: &HeadLimits,
) -> Result<Option<Headers>, BodyFault> {
    match &buffer[..] {
        [] | [b'\r'] => return Ok(None),
        [b'\r', b'\n', ..] => {
            buffer.advance(2);
            return Ok(Some(Headers::new()));
        }
        [b'\r', ..] => return Err(BodyFault::Chunk),
        _ => {}
    }
    let mut lines = Lines::default();
    let whole = scan::head_lines(buffer, 0, scanned, &mut lines).map_err(|_| BodyFault::Chunk)?;
    let known = lines.ends.last().filter(|_| whole);
    let bytes = known.map_or(buffer.len(), |end| end + 1);
    if bytes > limits.bytes_max {
        return Err(BodyFault::TrailersTooLarge);
    }
    if !whole {
        return Ok(None);
    }
    let section = buffer.split_to(bytes).freeze();
    let fields = Fields::parse(&section, 0, &lines.ends, lines.suspect, limits.headers_max)
        .map_err(|fault| match fault {
            FieldFault::Malformed => BodyFault::Chunk,
            FieldFault::TooMany => BodyFault::TrailersTooLarge,
        })?;
    let mut trailers = fields.headers;
    trailer::strip(&mut trailers, |_| false);
    Ok(Some(trailers))
}

/// Maximum number of digits of a chunk size: all that fit 64 bits.
const DIGITS_MAX: usize = 16;

/// Maximum number of bytes of chunk extensions in one body; no known client sends any.
const EXTENSION_BYTES_MAX: usize = 4096;
