//! Bytes of a body, handed on as they arrive (RFC 9112 sections 6 and 7).
//!
//! The decoder never waits for more than it needs and never copies: data is split off
//! the buffer that the connection reads into. Bytes past the end of the body stay there.

use bytes::{Bytes, BytesMut};

use super::chunk::Chunks;
use super::{Framing, HeadLimits};
use crate::{
    failure::{BadRequest, Failure},
    semantics::Headers,
};

/// Finds the end of one body, and its trailers.
#[derive(Debug)]
pub struct BodyDecoder {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Number of bytes still to come; zero is the end.
    Length(u64),
    Chunked(Chunks),
    UntilClose,
}

/// Result of decoding the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// Some bytes of the body, never none.
    Data(Bytes),
    /// The trailer section, if it has any fields; the end follows.
    Trailers(Headers),
    /// The buffer holds nothing that can be handed on; read more.
    NeedMore,
    /// The body has ended. Returned again on every further call.
    Done,
}

/// Reasons why a body cannot be read to its end; the connection cannot be used any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFault {
    /// A chunk or a trailer field is malformed.
    Chunk,
    /// The peer closed before the end.
    Incomplete,
    /// The trailer section is larger, or has more fields, than the limit.
    TrailersTooLarge,
}

impl BodyDecoder {
    /// Makes the decoder for one body; `limits` bounds the trailer section.
    pub fn new(framing: Framing, limits: &HeadLimits) -> Self {
        let kind = match framing {
            Framing::None => Kind::Length(0),
            Framing::Length(length) => Kind::Length(length),
            Framing::Chunked => Kind::Chunked(Chunks::new(limits)),
            Framing::UntilClose => Kind::UntilClose,
        };
        Self { kind }
    }

    /// Takes the next part of the body off `buffer`.
    ///
    /// # Errors
    /// The chunked coding is malformed or its trailers are too large.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Decoded, BodyFault> {
        match &mut self.kind {
            Kind::Length(0) => Ok(Decoded::Done),
            Kind::Length(remaining) => Ok(take_data(buffer, remaining)),
            Kind::Chunked(chunks) => chunks.decode(buffer),
            Kind::UntilClose => {
                let mut all = u64::MAX;
                Ok(take_data(buffer, &mut all))
            }
        }
    }

    /// Tells whether the body has ended, without reading any bytes.
    ///
    /// True from the start for an empty body; a chunked body ends when its last line was decoded. A
    /// body until close ends with [`Self::on_eof`].
    pub fn is_done(&self) -> bool {
        match &self.kind {
            Kind::Length(remaining) => *remaining == 0,
            Kind::Chunked(chunks) => chunks.is_done(),
            Kind::UntilClose => false,
        }
    }

    /// Number of bytes still to come, if known.
    pub fn left(&self) -> Option<u64> {
        match &self.kind {
            Kind::Length(remaining) => Some(*remaining),
            Kind::Chunked(chunks) => chunks.is_done().then_some(0),
            Kind::UntilClose => None,
        }
    }

    /// Notes that the peer closed, after the buffer was decoded to `NeedMore`.
    ///
    /// # Errors
    /// The body was announced longer than the bytes that arrived.
    pub fn on_eof(&mut self) -> Result<Decoded, BodyFault> {
        if matches!(self.kind, Kind::UntilClose) {
            self.kind = Kind::Length(0);
        }
        if self.is_done() {
            Ok(Decoded::Done)
        } else {
            Err(BodyFault::Incomplete)
        }
    }
}

impl BodyFault {
    /// Returns the rule that a request body with this fault broke.
    pub fn of_request(self) -> BadRequest {
        match self {
            Self::Chunk => BadRequest::Chunk,
            Self::Incomplete => BadRequest::BodyLength,
            Self::TrailersTooLarge => BadRequest::HeadTooLarge,
        }
    }

    /// Returns the failure for a response body with this fault.
    pub fn of_response(self) -> Failure {
        match self {
            Self::Chunk | Self::TrailersTooLarge => Failure::ResponseMalformed,
            Self::Incomplete => Failure::ResponseIncomplete,
        }
    }
}

/// Splits off the part of the `remaining` bytes that is in `buffer`.
pub(super) fn take_data(buffer: &mut BytesMut, remaining: &mut u64) -> Decoded {
    if buffer.is_empty() {
        return Decoded::NeedMore;
    }
    let wanted = usize::try_from(*remaining).unwrap_or(usize::MAX);
    let data = buffer.split_to(wanted.min(buffer.len())).freeze();
    // A `usize` always fits; saturating to zero would end the body, never extend it.
    *remaining = remaining.saturating_sub(u64::try_from(data.len()).unwrap_or(u64::MAX));
    Decoded::Data(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder(framing: Framing) -> BodyDecoder {
        BodyDecoder::new(framing, &HeadLimits::default())
    }

    fn data(text: &'static str) -> Result<Decoded, BodyFault> {
        Ok(Decoded::Data(Bytes::from_static(text.as_bytes())))
    }

    #[test]
    fn no_body_is_done_and_leaves_the_buffer_alone() {
        for framing in [Framing::None, Framing::Length(0)] {
            let mut decoder = decoder(framing);
            let mut buffer = BytesMut::from("GET");
            assert!(decoder.is_done());
            assert_eq!(decoder.decode(&mut buffer), Ok(Decoded::Done));
            assert_eq!(decoder.on_eof(), Ok(Decoded::Done));
            assert_eq!(&buffer[..], b"GET");
        }
    }

    #[test]
    fn a_length_takes_its_bytes_and_no_more() {
        let mut decoder = decoder(Framing::Length(5));
        let mut buffer = BytesMut::from("abc");
        assert_eq!(decoder.decode(&mut buffer), data("abc"));
        assert_eq!(decoder.decode(&mut buffer), Ok(Decoded::NeedMore));
        assert!(!decoder.is_done());
        buffer.extend_from_slice(b"deGET");
        assert_eq!(decoder.decode(&mut buffer), data("de"));
        assert!(decoder.is_done());
        assert_eq!(decoder.decode(&mut buffer), Ok(Decoded::Done));
        assert_eq!(&buffer[..], b"GET");
    }

    #[test]
    fn a_close_before_the_length_is_a_fault() {
        let mut decoder = decoder(Framing::Length(2));
        assert_eq!(decoder.decode(&mut BytesMut::from("a")), data("a"));
        assert_eq!(decoder.on_eof(), Err(BodyFault::Incomplete));
    }

    #[test]
    fn a_close_before_the_last_chunk_is_a_fault() {
        let mut decoder = decoder(Framing::Chunked);
        assert_eq!(decoder.decode(&mut BytesMut::from("1\r\na\r\n")), data("a"));
        assert_eq!(decoder.on_eof(), Err(BodyFault::Incomplete));
    }

    #[test]
    fn until_close_ends_with_the_close() {
        let mut decoder = decoder(Framing::UntilClose);
        let mut buffer = BytesMut::from("abc");
        assert_eq!(decoder.decode(&mut buffer), data("abc"));
        assert_eq!(decoder.decode(&mut buffer), Ok(Decoded::NeedMore));
        assert!(!decoder.is_done());
        assert_eq!(decoder.on_eof(), Ok(Decoded::Done));
        assert!(decoder.is_done());
        assert_eq!(decoder.decode(&mut buffer), Ok(Decoded::Done));
    }
}
