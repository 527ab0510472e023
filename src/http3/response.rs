//! Heads of responses, and trailers, to HEADERS frames (RFC 9114 section 4.3.2).

use bytes::BufMut;
use http::StatusCode;

use super::{
    frame,
    qpack::{Encode, encode},
};
use crate::{
    http2::response::OF_HTTP1,
    semantics::{Headers, Known, Names},
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
    let left_out = if end && status != StatusCode::NO_CONTENT {
        OF_HTTP1
    } else {
        OF_HTTP1.with(Names::of(&[Known::ContentLength]))
    };
    let mut block = Vec::with_capacity(BLOCK_USUAL);
    let mut writing = encode(&mut block);
    writing.status(status);
    write(&mut writing, headers, left_out);
    if let Some(length) = length {
        let mut digits = itoa::Buffer::new();
        let name = Known::ContentLength;
        let value = digits.format(length).as_bytes();
        writing.field(Some(name), name.as_str().as_bytes(), value, false);
    }
    frame::put_headers(&block, out);
}

/// Writes trailers.
pub fn put_trailers(out: &mut impl BufMut, trailers: &Headers) {
    let mut block = Vec::with_capacity(BLOCK_USUAL);
    write(&mut encode(&mut block), trailers, OF_HTTP1);
    frame::put_headers(&block, out);
}

fn write<B: BufMut>(writing: &mut Encode<'_, B>, headers: &Headers, left_out: Names) {
    for (known, name, value) in headers.fields() {
        if !left_out.contains(known) {
            writing.field(known, name, value.as_bytes(), value.is_sensitive());
        }
    }
}

/// Size that most field blocks stay below.
const BLOCK_USUAL: usize = 512;
