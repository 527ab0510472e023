//! A field block to the head of a request, or to trailers (RFC 9114 sections 4.2 and 4.3). The rules
//! are those of HTTP/2.

use super::qpack::Decoder;
use crate::{
    failure::BadRequest,
    http1::HeadLimits,
    http2::request::{HeadFault, Reader, RequestHead},
    semantics::Headers,
};

/// Reads the head of a request.
///
/// # Errors
/// See [`HeadFault`]. An extended CONNECT is malformed, as it is not offered (RFC 9220 section 3).
pub fn read_request(
    decoder: &mut Decoder,
    block: &[u8],
    limits: &HeadLimits,
) -> Result<RequestHead, HeadFault> {
    let mut reader = Reader::new(limits);
    let decoded = decoder.decode(block, |field| reader.take(&field));
    let head = reader.finish(decoded)?;
    match head.protocol {
        None => Ok(head),
        Some(_) => Err(HeadFault::Malformed(BadRequest::RequestLine)),
    }
}

/// Reads trailers.
///
/// # Errors
/// See [`HeadFault`].
pub fn read_trailers(
    decoder: &mut Decoder,
    block: &[u8],
    limits: &HeadLimits,
) -> Result<Headers, HeadFault> {
    let mut reader = Reader::of_trailers(limits);
    let decoded = decoder.decode(block, |field| reader.take(&field));
    reader.finish_trailers(decoded)
}
