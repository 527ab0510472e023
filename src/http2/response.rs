//! Heads of responses, and trailers, to field blocks (RFC 9113 section 8.3.2).

use http::StatusCode;

use super::hpack::Encoder;
use crate::semantics::{Headers, Known, Names};

/// Writes the head of a response, or with a 1xx that of an interim response.
///
/// Content-Length is `length`; the one in `headers` is sent if nothing follows the head (`end`), as
/// in the answer to HEAD, but not with 204. Connection-specific fields of HTTP/1.1 are left out
/// (section 8.2.2).
pub fn encode_head(
    block: &mut Vec<u8>,
    encoder: &mut Encoder,
    status: StatusCode,
    headers: &Headers,
    length: Option<u64>,
    end: bool,
) {
    encoder.begin(block);
    encoder.status(status, block);
    head_fields(
        status,
        headers,
        length,
        end,
        |known, name, value, sensitive| {
            encoder.field(known, name, value, sensitive, block);
        },
    );
}

/// Writes trailers.
pub fn encode_trailers(block: &mut Vec<u8>, encoder: &mut Encoder, trailers: &Headers) {
    encoder.begin(block);
    trailer_fields(trailers, |known, name, value, sensitive| {
        encoder.field(known, name, value, sensitive, block);
    });
}

/// Passes the regular fields of a head to `write`, each with its name, if known, and whether it must
/// not be kept by a compression. The rules are those of [`encode_head`], and those of HTTP/3.
pub(crate) fn head_fields(
    status: StatusCode,
    headers: &Headers,
    length: Option<u64>,
    end: bool,
    mut write: impl FnMut(Option<Known>, &[u8], &[u8], bool),
) {
    let left_out = if end && status != StatusCode::NO_CONTENT {
        OF_HTTP1
    } else {
        OF_HTTP1.with(Names::of(&[Known::ContentLength]))
    };
    for (known, name, value) in headers.fields() {
        if !left_out.contains(known) {
            write(known, name, value.as_bytes(), value.is_sensitive());
        }
    }
    if let Some(length) = length {
        let mut digits = itoa::Buffer::new();
        let name = Known::ContentLength;
        let value = digits.format(length).as_bytes();
        write(Some(name), name.as_str().as_bytes(), value, false);
    }
}

/// Passes the fields of trailers to `write`, as [`head_fields`] does those of a head.
pub(crate) fn trailer_fields(
    trailers: &Headers,
    mut write: impl FnMut(Option<Known>, &[u8], &[u8], bool),
) {
    for (known, name, value) in trailers.fields() {
        if !OF_HTTP1.contains(known) {
            write(known, name, value.as_bytes(), value.is_sensitive());
        }
    }
}

/// Fields of a connection of HTTP/1.1 (section 8.2.2).
const OF_HTTP1: Names = Names::of(&[
    Known::Connection,
    Known::ProxyConnection,
    Known::KeepAlive,
    Known::TransferEncoding,
    Known::Upgrade,
]);
