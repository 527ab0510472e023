//! Field blocks of one connection, one behind the other: what is taken for a request is one,
//! and comes back from the encoder as it was.

use sluicegate::http1::HeadLimits;
use sluicegate::http2::hpack::{Decoder, Encoder};
use sluicegate::http2::request::{HeadFault, RequestHead, read_request, read_trailers};
use sluicegate::semantics::Headers;

/// Each block has its length in front, in one byte.
pub(crate) fn run(bytes: &[u8]) {
    let limits = HeadLimits {
        bytes_max: 4096,
        headers_max: 30,
        target_max: 1024,
    };
    let mut decoder = Decoder::new(4096);
    let mut encoder = Encoder::new();
    let mut again = Decoder::new(4096);
    let mut rest = bytes;
    while let Some((&length, behind)) = rest.split_first() {
        let length = usize::from(length).min(behind.len());
        let (block, behind) = behind.split_at(length);
        rest = behind;
        let read = if length % 8 == 7 {
            read_trailers(&mut decoder, block, &limits).map(|_| None)
        } else {
            read_request(&mut decoder, block, &limits).map(Some)
        };
        match read {
            Ok(Some(head)) => {
                check(&head, &limits);
                come_back(&head, &mut encoder, &mut again);
            }
            Err(HeadFault::Flood | HeadFault::Block(_)) => return,
            Ok(None) | Err(HeadFault::Malformed(_) | HeadFault::TooLarge) => {}
        }
    }
}

fn check(head: &RequestHead, limits: &HeadLimits) {
    assert!(head.headers.len() <= limits.headers_max + 1);
    let path = head.target.path();
    let authority = head.method == http::Method::CONNECT && head.protocol.is_none();
    assert!(
        authority || path.starts_with('/') || path == "*",
        "{head:?}"
    );
    for (name, value) in head.headers.iter() {
        let name = String::from_utf8_lossy(name);
        assert!(
            http::HeaderName::from_lowercase(name.as_bytes()).is_ok(),
            "{name:?}"
        );
        let value = value.as_bytes();
        assert!(http::HeaderValue::from_bytes(value).is_ok(), "{value:?}");
        assert_eq!(value.trim_ascii(), value, "blanks around it");
    }
}

/// Property: fields written by the encoder are read back unchanged.
fn come_back(head: &RequestHead, encoder: &mut Encoder, decoder: &mut Decoder) {
    let mut block = Vec::new();
    encoder.begin(&mut block);
    for (name, value) in head.headers.iter() {
        let known = None;
        encoder.field(
            known,
            name,
            value.as_bytes(),
            value.is_sensitive(),
            &mut block,
        );
    }
    let mut fields = Vec::new();
    let decoded = decoder.decode(&block, |field| {
        let name = field.line[..field.name_length].to_vec();
        fields.push((name, field.value().to_vec()));
        std::ops::ControlFlow::Continue(())
    });
    assert!(decoded.is_ok(), "{decoded:?}");
    assert_eq!(fields, written(&head.headers));
}

fn written(headers: &Headers) -> Vec<(Vec<u8>, Vec<u8>)> {
    let fields = headers.iter();
    let fields = fields.map(|(name, value)| (name.to_vec(), value.as_bytes().to_vec()));
    fields.collect()
}
