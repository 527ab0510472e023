use std::ops::ControlFlow;

use http::StatusCode;
use proptest::prelude::*;

use super::*;
use crate::{http2::hpack::BlockFault, semantics::headers::look_up};

type Fields = Vec<(String, String, bool)>;

fn decode(block: &[u8]) -> Result<Fields, BlockFault> {
    let mut fields = Vec::new();
    let decoded = Decoder::default().decode(block, |field| {
        let name = String::from_utf8_lossy(&field.line[..field.name_length]);
        let value = String::from_utf8_lossy(field.value());
        fields.push((name.into_owned(), value.into_owned(), field.sensitive));
        ControlFlow::Continue(())
    });
    decoded.map(|()| fields)
}

fn field(name: &str, value: &str) -> (String, String, bool) {
    (name.to_owned(), value.to_owned(), false)
}

#[test]
fn the_example_of_the_standard_is_read() {
    // RFC 9204 appendix B.1.
    let block = b"\x00\x00\x51\x0b/index.html";
    assert_eq!(decode(block), Ok(vec![field(":path", "/index.html")]));
}

#[test]
fn all_forms_are_read() {
    let indexed = decode(&[0, 0, 0xd1, 0xff, 0, 0xc0 | 31]).unwrap();
    let expected = [
        field(":method", "GET"),
        field(":status", "100"),
        field("accept-encoding", "gzip, deflate, br"),
    ];
    assert_eq!(indexed, expected);
    // A name written out, in the Huffman code, never to be indexed.
    let block = [0, 0, 0x3a, 0xf3, 0xeb, 1, b'v'];
    let (name, value, sensitive) = decode(&block).unwrap().remove(0);
    assert_eq!(
        (name.as_str(), value.as_str(), sensitive),
        ("xy", "v", true)
    );
}

#[test]
fn whatever_refers_to_the_other_table_is_refused() {
    for block in [
        &[1, 0][..],
        &[0, 0x80],
        &[0, 0, 0x80],
        &[0, 0, 0x40, 0],
        &[0, 0, 0x10],
        &[0, 0, 0x00, 0],
        &[0, 0, 0xff, 0x24],
    ] {
        assert_eq!(decode(block), Err(BlockFault::Index), "{block:x?}");
    }
    for block in [
        &[][..],
        &[0],
        &[0, 0, 0x50],
        &[0, 0, 0x50, 5, b'x'],
        &[0, 0, 0x27],
    ] {
        assert_eq!(decode(block), Err(BlockFault::Truncated), "{block:x?}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        status in 100_u16..=599,
        fields in prop::collection::vec(
            ("(content-type|vary|X-Request-Id|[A-Za-z-]{1,20})", "[!-~]{0,40}", any::<bool>()),
            0..8,
        ),
    ) {
        let mut block = Vec::new();
        let mut writing = encode(&mut block);
        let status = StatusCode::from_u16(status).unwrap();
        writing.status(status);
        for (name, value, sensitive) in &fields {
            let (name, value) = (name.as_bytes(), value.as_bytes());
            writing.field(look_up(name), name, value, *sensitive);
        }
        let read = decode(&block).unwrap();
        prop_assert_eq!(&read[0], &field(":status", status.as_str()));
        let expected = fields.into_iter();
        let expected = expected.map(|(name, value, sensitive)| (name.to_lowercase(), value, sensitive));
        prop_assert_eq!(&read[1..], &expected.collect::<Fields>()[..]);
    }

    #[test]
    fn noise_ends_in_fields_or_a_fault(block in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&[&[0, 0], &block[..]].concat());
        let _ = decode(&block);
    }
}
