//! Outgoing bytes of a body (RFC 9112 sections 6 and 7).
//!
//! Small parts are copied after the head with [`BodyEncoder::frame`]; large ones are not copied,
//! but written between a prefix and a suffix in a vectored write.

use bytes::{BufMut, BytesMut};

use super::Framing;
use crate::semantics::{Headers, headers::write_field, trailer};

/// Frames one body and checks its announced length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEncoder {
    /// No body may follow.
    None,
    /// Number of bytes still to be written.
    Length(u64),
    /// Each part becomes a chunk.
    Chunked,
    /// Plain bytes; the connection is closed after them.
    UntilClose,
}

/// Violation of the announced length; the connection must be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LengthFault {
    /// More bytes arrived than were announced.
    TooLong,
    /// The body ended before its announced length.
    TooShort,
}

impl BodyEncoder {
    /// Makes the encoder for one body.
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::None => Self::None,
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked,
            Framing::UntilClose => Self::UntilClose,
        }
    }

    /// Appends a part with its frame; an empty part appends nothing.
    ///
    /// # Errors
    /// The part goes past the announced length; nothing was appended.
    pub fn frame(&mut self, out: &mut BytesMut, part: &[u8]) -> Result<(), LengthFault> {
        let suffix = self.prefix(out, part.len())?;
        out.reserve(part.len() + suffix.len());
        out.extend_from_slice(part);
        out.extend_from_slice(suffix);
        Ok(())
    }

    /// Appends the prefix of a part of `part_bytes`, and returns its suffix.
    ///
    /// The caller writes the part and the returned bytes after what is in `out`.
    ///
    /// # Errors
    /// The part goes past the announced length; nothing was appended.
    pub fn prefix(
        &mut self,
        out: &mut BytesMut,
        part_bytes: usize,
    ) -> Result<&'static [u8], LengthFault> {
        if part_bytes == 0 {
            return Ok(b"");
        }
        match self {
            Self::None => Err(LengthFault::TooLong),
            Self::Length(remaining) => {
                let part = u64::try_from(part_bytes).map_err(|_| LengthFault::TooLong)?;
                *remaining = remaining.checked_sub(part).ok_or(LengthFault::TooLong)?;
                Ok(b"")
            }
            Self::Chunked => {
                put_size(out, part_bytes);
                Ok(b"\r\n")
            }
            Self::UntilClose => Ok(b""),
        }
    }

    /// Appends the end of the body, with its trailers if the framing has room for them.
    ///
    /// Fields that must not be sent as trailers are left out.
    ///
    /// # Errors
    /// The body is shorter than was announced; nothing was appended.
    pub fn finish(
        &mut self,
        out: &mut BytesMut,
        trailers: Option<&Headers>,
    ) -> Result<(), LengthFault> {
        match self {
            Self::None | Self::Length(0) | Self::UntilClose => {}
            Self::Length(_) => return Err(LengthFault::TooShort),
            Self::Chunked => {
                out.put_slice(b"0\r\n");
                for (name, value) in trailers.into_iter().flat_map(Headers::iter) {
                    if !trailer::is_forbidden(name) {
                        write_field(out, name, value.as_bytes());
                    }
                }
                out.put_slice(b"\r\n");
            }
        }
        *self = Self::None;
        Ok(())
    }
}

/// Appends a chunk size in hexadecimal digits and its CRLF.
fn put_size(out: &mut BytesMut, size: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut line = [0; usize::BITS as usize / 4 + 2];
    let mut rest = size;
    let mut at = line.len() - 2;
    line[at..].copy_from_slice(b"\r\n");
    loop {
        at -= 1;
        line[at] = DIGITS[rest & 0xf];
        rest >>= 4;
        if rest == 0 {
            break;
        }
    }
    out.put_slice(&line[at..]);
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::semantics::headers::fields;

    fn framed(framing: Framing, parts: &[&[u8]]) -> Result<BytesMut, LengthFault> {
        let mut encoder = BodyEncoder::new(framing);
        let mut out = BytesMut::new();
        for part in parts {
            encoder.frame(&mut out, part)?;
        }
        encoder.finish(&mut out, None)?;
        Ok(out)
    }

    #[test]
    fn chunks_have_their_size_in_hexadecimal() {
        let big = vec![b'x'; 0x1a0];
        let out = framed(Framing::Chunked, &[b"hello", b"", &big]).unwrap();
        let expected = [b"5\r\nhello\r\n1a0\r\n", &big[..], b"\r\n0\r\n\r\n"].concat();
        assert_eq!(out, expected);
    }

    #[test]
    fn a_size_of_all_digits_fits() {
        let mut out = BytesMut::new();
        put_size(&mut out, usize::MAX);
        assert_eq!(out, format!("{:x}\r\n", usize::MAX));
    }

    #[test]
    fn the_announced_length_is_kept() {
        assert_eq!(
            framed(Framing::Length(5), &[b"he", b"llo"]).unwrap(),
            "hello"
        );
        let long = framed(Framing::Length(4), &[b"he", b"llo"]);
        assert_eq!(long, Err(LengthFault::TooLong));
        let short = framed(Framing::Length(6), &[b"he", b"llo"]);
        assert_eq!(short, Err(LengthFault::TooShort));
        assert_eq!(framed(Framing::None, &[b"x"]), Err(LengthFault::TooLong));
        assert_eq!(framed(Framing::None, &[b""]).unwrap(), "");
        assert_eq!(framed(Framing::UntilClose, &[b"a", b"b"]).unwrap(), "ab");
    }

    #[test]
    fn trailers_stand_after_the_last_chunk_without_the_forbidden() {
        let mut trailers = fields(&[("content-length", "3")]);
        trailers.append("Grpc-Status", HeaderValue::from_static("0"));
        let mut out = BytesMut::new();
        let mut encoder = BodyEncoder::Chunked;
        encoder.finish(&mut out, Some(&trailers)).unwrap();
        assert_eq!(out, "0\r\nGrpc-Status: 0\r\n\r\n");
        assert_eq!(encoder, BodyEncoder::None);
    }
}
