//! Heads of responses, and trailers, to HEADERS frames (RFC 9114 section 4.3.2).

use bytes::BufMut;
use http::StatusCode;

use super::{frame, qpack::encode};
use crate::{
    http2::response::{head_fields, trailer_fields},
    semantics::Headers,
};

/// Writes the head of a response, or with a 1xx that of an interim response.
///
/// Content-Length is `length`; the one in `headers` is sent if nothing follows the head (`end`), as
/// in the answer to HEAD, but not with 204.
pub fn put_head(
    out: &mut impl BufMut,
    status: StatusCode,
    headers: &Headers,
    length: Option<u64>,
    end: bool,
) {
    let mut block = Vec::with_capacity(BLOCK_USUAL);
    let mut writing = encode(&mut block);
    writing.status(status);
    head_fields(
        status,
        headers,
        length,
        end,
        |known, name, value, sensitive| {
            writing.field(known, name, value, sensitive);
        },
    );
    frame::put_headers(&block, out);
}

/// Writes trailers.
pub fn put_trailers(out: &mut impl BufMut, trailers: &Headers) {
    let mut block = Vec::with_capacity(BLOCK_USUAL);
    let mut writing = encode(&mut block);
    trailer_fields(trailers, |known, name, value, sensitive| {
        writing.field(known, name, value, sensitive);
    });
    frame::put_headers(&block, out);
}

/// Size that most field blocks stay below.
const BLOCK_USUAL: usize = 512;
