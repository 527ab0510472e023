//! Runs the fuzz target over its corpus, and over noise that looks like field blocks.

#[path = "../../fuzz/targets/field_blocks.rs"]
mod field_blocks;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::fuzz::run_corpus;

#[test]
fn the_corpus_passes() {
    run_corpus("field_blocks", field_blocks::run);
}

/// Pieces of field blocks.
const PIECES: &[&[u8]] = &[
    b"\x82\x86\x84\x41\x01a",
    b"\x82\x86\x84\xbe",
    b"\x82",
    b"\x84",
    b"\x86",
    b"\xbe",
    b"\xbf",
    b"\xc0",
    b"\x40\x03x-a\x03one",
    b"\x40\x03x-b\x83\xb0\xc9\x78",
    b"\x00\x03x-c\x05three",
    b"\x10\x06cookie\x03a=b",
    b"\x0f\x0d\x015",
    b"\x00\x02te\x08trailers",
    b"\x7f\x00\x02yy",
    b"\x20",
    b"\x3f\x21",
    b"\x3f\xe1\x1f",
    b"\x00\x01X\x01y",
    b"\x00\x01x\x02 y",
    b"\x00\x05:path\x02/x",
];

fn block() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        12 => prop::sample::select(PIECES).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 1..4),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn noise_is_a_request_or_a_fault(blocks in vec(block(), 1..8)) {
        let framed = blocks.iter().flat_map(|block| {
            let block = &block[..block.len().min(255)];
            [&[u8::try_from(block.len()).unwrap()][..], block].concat()
        });
        field_blocks::run(&framed.collect::<Vec<_>>());
    }

    #[test]
    fn any_bytes_are_a_request_or_a_fault(bytes in vec(any::<u8>(), 0..600)) {
        field_blocks::run(&bytes);
    }
}
