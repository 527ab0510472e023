//! The streams of an HTTP/3 client: the first byte says which one. What is taken for a request is
//! one, whatever pieces its bytes come in.

use bytes::Bytes;
use sluicegate::http1::HeadLimits;
use sluicegate::http2::request::RequestHead;
use sluicegate::http3::Code;
use sluicegate::http3::control::{ControlReader, DecoderStreamReader, read_encoder};
use sluicegate::http3::message::{Event, MessageReader};
use sluicegate::http3::qpack::{Decoder, encode};
use sluicegate::http3::request::{read_request, read_trailers};

/// The first byte chooses the stream and the size of the pieces.
pub(crate) fn run(bytes: &[u8]) {
    let Some((&first, rest)) = bytes.split_first() else {
        return;
    };
    let piece = usize::from(first >> 2) + 1;
    match first & 3 {
        0 => request(rest, piece),
        1 => control(rest, piece),
        2 => {
            let _ = read_encoder(rest);
        }
        _ => {
            let _ = DecoderStreamReader::default().read(rest);
        }
    }
}

const LIMITS: HeadLimits = HeadLimits {
    bytes_max: 4096,
    headers_max: 30,
    target_max: 1024,
};

fn request(bytes: &[u8], piece: usize) {
    let whole = events(bytes, bytes.len().max(1));
    assert_eq!(whole, events(bytes, piece), "in pieces of {piece}");
    let Ok(events) = whole else { return };
    let mut blocks = 0;
    for event in &events {
        if let Event::Block(block) = event {
            blocks += 1;
            read_block(block, blocks == 1);
        }
    }
    assert!(blocks <= 2, "a head and trailers");
}

/// The events of a stream; pieces of a body that follow one another are joined.
fn events(bytes: &[u8], piece: usize) -> Result<Vec<Event>, Code> {
    let mut reader = MessageReader::new(LIMITS.bytes_max);
    let mut events = Vec::new();
    for piece in bytes.chunks(piece) {
        let mut piece = Bytes::copy_from_slice(piece);
        while let Some(event) = reader.read(&mut piece)? {
            match (events.last_mut(), event) {
                (Some(Event::Data(before)), Event::Data(more)) => {
                    *before = [&before[..], &more[..]].concat().into();
                }
                (_, event) => events.push(event),
            }
        }
    }
    // An end within a frame is a fault of its own.
    let _ = reader.end();
    Ok(events)
}

fn read_block(block: &[u8], is_head: bool) {
    let mut decoder = Decoder::default();
    if !is_head {
        if let Ok(trailers) = read_trailers(&mut decoder, block, &LIMITS) {
            assert!(trailers.len() <= LIMITS.headers_max);
        }
        return;
    }
    if let Ok(head) = read_request(&mut decoder, block, &LIMITS) {
        check(&head);
        come_back(&head);
    }
}

fn check(head: &RequestHead) {
    assert!(head.protocol.is_none());
    assert!(head.headers.len() <= LIMITS.headers_max + 1);
    let path = head.target.path();
    let authority = head.method == http::Method::CONNECT;
    assert!(
        authority || path.starts_with('/') || path == "*",
        "{head:?}"
    );
    for (name, value) in head.headers.iter() {
        assert!(http::HeaderName::from_lowercase(name).is_ok(), "{head:?}");
        let value = value.as_bytes();
        assert!(http::HeaderValue::from_bytes(value).is_ok(), "{value:?}");
        assert_eq!(value.trim_ascii(), value, "blanks around it");
    }
}

/// Property: fields written by the encoder are read back unchanged.
fn come_back(head: &RequestHead) {
    let mut block = Vec::new();
    let mut writing = encode(&mut block);
    for (name, value) in head.headers.iter() {
        writing.field(None, name, value.as_bytes(), value.is_sensitive());
    }
    let mut fields = head.headers.iter();
    let decoded = Decoder::default().decode(&block, |field| {
        let (name, value) = fields.next().expect("no more than were written");
        assert_eq!(&field.line[..field.name_length], name);
        assert_eq!(field.value(), value.as_bytes());
        std::ops::ControlFlow::Continue(())
    });
    assert!(decoded.is_ok(), "{decoded:?}");
    assert!(fields.next().is_none());
}

fn control(bytes: &[u8], piece: usize) {
    let at_once = ControlReader::default().read(bytes);
    let mut reader = ControlReader::default();
    let in_pieces = bytes
        .chunks(piece)
        .try_fold(0, |sum, piece| Ok(sum + reader.read(piece)?));
    assert_eq!(at_once, in_pieces, "in pieces of {piece}");
}
