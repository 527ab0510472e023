//! The HTTP/1.1 codec from outside: a table per rule, properties, and hyper as a judge.

mod chunked;
mod corpus;
mod differential;
mod encode;
mod fuzz;
mod property;
mod request;
mod request_line;
mod response;

use bytes::{Bytes, BytesMut};
use http::Method;
use sluicegate::{
    failure::BadRequest,
    http1::{
        BodyDecoder, BodyFault, Decoded, Framing, HeadLimits, RequestHead, ResponseFault,
        ResponseHead, parse_request_head, parse_response_head,
    },
    semantics::Headers,
};

/// Parses a request head that is there at once.
fn parse_request(bytes: &[u8]) -> Result<Option<RequestHead>, BadRequest> {
    let mut buffer = BytesMut::from(bytes);
    parse_request_head(&mut buffer, &mut 0, &HeadLimits::default())
}

/// Parses a response head that is there at once.
fn parse_response(bytes: &[u8], method: &Method) -> Result<Option<ResponseHead>, ResponseFault> {
    let mut buffer = BytesMut::from(bytes);
    parse_response_head(&mut buffer, &mut 0, &HeadLimits::default(), method)
}

/// A whole body: its bytes and its trailers.
#[derive(Debug, Default, PartialEq, Eq)]
struct Body {
    data: Vec<u8>,
    trailers: Option<Headers>,
    done: bool,
}

/// Decodes what `buffer` holds of a body, as far as it goes.
fn decode(
    decoder: &mut BodyDecoder,
    buffer: &mut BytesMut,
    body: &mut Body,
) -> Result<(), BodyFault> {
    loop {
        match decoder.decode(buffer)? {
            Decoded::Data(data) => {
                assert!(!data.is_empty(), "data is never empty");
                body.data.extend_from_slice(&data);
            }
            Decoded::Trailers(trailers) => {
                assert!(!trailers.is_empty() && body.trailers.is_none());
                body.trailers = Some(trailers);
            }
            Decoded::NeedMore => return Ok(()),
            Decoded::Done => {
                assert!(decoder.is_done());
                body.done = true;
                return Ok(());
            }
        }
    }
}

/// Decodes a body that arrives in `parts`; also returns what was left behind it.
fn decode_parts(framing: Framing, parts: &[&[u8]]) -> Result<(Body, Bytes), BodyFault> {
    let mut decoder = BodyDecoder::new(framing, &HeadLimits::default());
    let mut buffer = BytesMut::new();
    let mut body = Body::default();
    for part in parts {
        buffer.extend_from_slice(part);
        decode(&mut decoder, &mut buffer, &mut body)?;
    }
    Ok((body, buffer.freeze()))
}
