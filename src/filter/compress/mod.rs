//! Compression of answers (RFC 9110 section 8.4).
//!
//! The answer goes through an encoder on its way to the client, piece by piece: what stands still
//! is flushed, so that events arrive at once, and nothing is read ahead.

mod accepted;
mod encoder;

use http::{HeaderValue, StatusCode};

use self::{
    accepted::choose,
    encoder::{Encoder, OF_THE_PLAIN_BODY},
};
use super::{Verdict, vary};
use crate::{
    config::{schema::Encoding, value::MediaPattern},
    exchange::{Exchange, Request, Response},
    semantics::{Headers, Known, Value, token::members},
};

/// Compresses the answers of a route.
#[derive(Debug)]
pub struct CompressFilter {
    /// Encodings in the order of preference.
    pub encodings: Vec<Encoding>,
    /// Length from which on an answer is compressed.
    pub min: u64,
    /// Media types that are compressed.
    pub types: Vec<MediaPattern>,
    /// Effort; none: the usual one of the encoding.
    pub level: Option<u16>,
}

/// The encoding that the client likes best, and the tags of what it has.
struct Chosen(Encoding, Option<HeaderValue>);

impl CompressFilter {
    pub(super) fn on_request(&self, exchange: &mut Exchange, request: &Request) -> Verdict {
        let values = request.headers.get_all(Known::AcceptEncoding);
        let values: smallvec::SmallVec<[&[u8]; 2]> = values.map(Value::as_bytes).collect();
        if let Some(encoding) = choose(&self.encodings, values.iter().copied()) {
            let known = request.headers.get_owned(Known::IfNoneMatch);
            exchange.keep(Chosen(encoding, known));
        }
        Verdict::Continue
    }

    pub(super) fn on_response(&self, exchange: &mut Exchange, response: &mut Response) {
        let chosen = exchange.take_kept::<Chosen>();
        if response.status == StatusCode::NOT_MODIFIED {
            not_modified(response, chosen);
            return;
        }
        if exchange.grpc || !self.fits(response) {
            return;
        }
        // Also where this client gets it as it is: another would not.
        vary::add(&mut response.headers, "Accept-Encoding");
        let Some(Chosen(encoding, _)) = chosen else {
            return;
        };
        let length = response.body.length().exact();
        let encoder = match Encoder::new(encoding, self.level, length) {
            Ok(encoder) => encoder,
            Err(error) => {
                tracing::error!(%error, "an answer is sent without compression");
                return;
            }
        };
        let headers = &mut response.headers;
        headers.insert(Known::ContentEncoding, Value::from_static(encoding.word()));
        weaken(headers);
        for name in OF_THE_PLAIN_BODY {
            headers.remove(name);
        }
        headers.remove(Known::AcceptRanges);
        response.transform(encoder);
    }

    /// Returns true for an answer that is compressed for those who accept it.
    fn fits(&self, response: &Response) -> bool {
        let status = response.status;
        let has_body = !status.is_informational()
            && !matches!(
                status,
                StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED
            );
        let headers = &response.headers;
        has_body
            && status != StatusCode::PARTIAL_CONTENT
            && !response.body.is_tunnel()
            && !headers.contains(Known::ContentRange)
            && headers.get_all(Known::ContentEncoding).all(is_identity)
            && !headers.get_all(Known::CacheControl).any(forbids_transform)
            && self.is_long_enough(response)
            && headers.get(Known::ContentType).is_some_and(|kind| {
                let kind = kind.as_bytes();
                !is_grpc(kind) && self.types.iter().any(|it| it.matches(kind))
            })
    }

    /// Goes by Content-Length where there is one: the answer to HEAD has it, and no body.
    fn is_long_enough(&self, response: &Response) -> bool {
        let written = response.headers.get(Known::ContentLength);
        let written = written.and_then(|length| length.to_str()?.parse::<u64>().ok());
        let length = written.or_else(|| response.body.length().exact());
        length.is_none_or(|length| length >= self.min)
    }
}

/// Gives a 304 the fields that the 200 would have (RFC 9110 section 15.4.5): the tag is weak if the
/// client has the weak one.
fn not_modified(response: &mut Response, chosen: Option<Chosen>) {
    let headers = &mut response.headers;
    vary::add(headers, "Accept-Encoding");
    if let Some(Chosen(_, Some(known))) = chosen
        && let Some(tag) = headers.get(Known::ETag)
    {
        let weak = [b"W/", tag.as_bytes()].concat();
        if memchr::memmem::find(known.as_bytes(), &weak).is_some() {
            weaken(headers);
        }
    }
}

fn is_identity(coding: Value<'_>) -> bool {
    coding.as_bytes().eq_ignore_ascii_case(b"identity")
}

fn is_grpc(kind: &[u8]) -> bool {
    let prefix = b"application/grpc";
    kind.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Returns true for `no-transform` (RFC 9111 section 5.2.2.6).
fn forbids_transform(value: Value<'_>) -> bool {
    members(value.as_bytes()).any(|it| it.eq_ignore_ascii_case(b"no-transform"))
}

/// Makes the entity tag weak: the bytes are others now, the meaning is the same.
fn weaken(headers: &mut Headers) {
    let Some(tag) = headers.get(Known::ETag) else {
        return;
    };
    if !tag.as_bytes().starts_with(b"W/") {
        let weak = [b"W/", tag.as_bytes()].concat();
        if let Ok(weak) = HeaderValue::from_bytes(&weak) {
            headers.insert(Known::ETag, &weak);
        }
    }
}
