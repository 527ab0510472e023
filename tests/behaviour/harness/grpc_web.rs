//! gRPC-Web as a client reads and writes it.

use super::client::Answer;
use super::message::Fields;

/// Content of an answer's body.
#[derive(Debug, Default)]
pub(crate) struct WebCall {
    pub(crate) messages: Vec<Vec<u8>>,
    /// The fields of the last frame.
    pub(crate) trailers: Fields,
}

impl WebCall {
    /// Reads an answer in the form of its content type; all of it must be frames, of which only the
    /// last one holds the trailers.
    #[track_caller]
    pub(crate) fn read(answer: &Answer) -> Self {
        assert!(!answer.fields.has("grpc-status"), "{answer:?}");
        assert!(answer.trailers.iter().next().is_none(), "{answer:?}");
        let kind = answer.field("content-type");
        let bytes = if kind.starts_with("application/grpc-web-text") {
            from_base64(&answer.body)
        } else {
            assert!(kind.starts_with("application/grpc-web+"), "{answer:?}");
            answer.body.clone()
        };
        let mut call = Self::default();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            assert_eq!(call.status(), "", "the trailers come last: {answer:?}");
            let length = u32::from_be_bytes(rest[1..5].try_into().expect("a length"));
            let (frame, behind) = rest[5..].split_at(length.try_into().expect("a length"));
            match rest[0] {
                0 => call.messages.push(frame.to_vec()),
                0x80 => {
                    let text = String::from_utf8(frame.to_vec()).expect("fields");
                    assert!(text.ends_with("\r\n"), "{text:?}");
                    for line in text.trim_end().split("\r\n") {
                        let (name, value) = line.split_once(':').expect("a field");
                        assert_eq!(name, name.to_ascii_lowercase());
                        call.trailers.push(name, value.trim());
                    }
                }
                flags => panic!("a frame with the flags {flags:#x}: {answer:?}"),
            }
            rest = behind;
        }
        call
    }

    /// The status in the trailers; empty before they have arrived.
    pub(crate) fn status(&self) -> &str {
        self.trailers.get("grpc-status").unwrap_or_default()
    }
}

/// A message in its frame.
pub(crate) fn message(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("a short message");
    [&[0][..], &length.to_be_bytes(), bytes].concat()
}

/// Base64 of bytes, padded.
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        for place in 0..4 {
            text.push(if place <= group.len() {
                char::from(DIGITS[(bits >> (18 - 6 * place) & 63) as usize])
            } else {
                '='
            });
        }
    }
    text
}

/// Decodes texts in base64, one after the other.
pub(crate) fn from_base64(text: &[u8]) -> Vec<u8> {
    assert_eq!(text.len() % 4, 0, "groups of four: {text:?}");
    let mut bytes = Vec::new();
    for group in text.chunks(4) {
        let digits = group.iter().take_while(|digit| **digit != b'=').count();
        let bits = group[..digits].iter().fold(0_u32, |bits, digit| {
            let value = DIGITS.iter().position(|known| known == digit);
            bits << 6 | u32::try_from(value.expect("a digit")).expect("below 64")
        });
        let bits = bits << (6 * (4 - digits));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..digits]);
    }
    bytes
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
