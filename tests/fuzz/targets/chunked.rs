//! Any bytes as a chunked body: no panic, the same verdict however they arrive, and
//! what is accepted survives its own encoding.

use bytes::BytesMut;
use sluicegate::http1::{BodyDecoder, BodyEncoder, BodyFault, Decoded, Framing, HeadLimits};
use sluicegate::semantics::Headers;

/// Checks one input.
pub(crate) fn run(data: &[u8]) {
    let whole = decode(&mut data.chunks(data.len().max(1)));
    let trickled = decode(&mut data.chunks(1));
    assert_eq!(whole, trickled);
    if let Ok(body) = whole
        && body.done
    {
        encodes_to_itself(&body);
    }
}

#[derive(Debug, Default, PartialEq)]
struct Body {
    data: Vec<u8>,
    trailers: Option<Headers>,
    done: bool,
    taken: usize,
}

fn decode(parts: &mut dyn Iterator<Item = &[u8]>) -> Result<Body, BodyFault> {
    let limits = HeadLimits {
        bytes_max: 256,
        headers_max: 8,
        target_max: 0,
    };
    let mut decoder = BodyDecoder::new(Framing::Chunked, &limits);
    let (mut buffer, mut body, mut fed) = (BytesMut::new(), Body::default(), 0);
    'parts: for part in parts {
        buffer.extend_from_slice(part);
        fed += part.len();
        loop {
            match decoder.decode(&mut buffer)? {
                Decoded::Data(data) => body.data.extend_from_slice(&data),
                Decoded::Trailers(trailers) => body.trailers = Some(trailers),
                Decoded::NeedMore => break,
                Decoded::Done => {
                    body.done = true;
                    break 'parts;
                }
            }
        }
    }
    body.taken = fed - buffer.len();
    Ok(body)
}

fn encodes_to_itself(body: &Body) {
    let mut encoder = BodyEncoder::new(Framing::Chunked);
    let mut out = BytesMut::new();
    encoder
        .frame(&mut out, &body.data)
        .expect("chunks have no length");
    encoder
        .finish(&mut out, body.trailers.as_ref())
        .expect("chunks have no length");
    let again = decode(&mut std::iter::once(&out[..])).expect("own encoding is refused");
    assert!(again.done);
    assert_eq!((&again.data, &again.trailers), (&body.data, &body.trailers));
}
