//! The HTTP/3 codec against noise: the fuzz target over its corpus, and over what looks like streams.

#[path = "../../fuzz/targets/http3_streams.rs"]
mod http3_streams;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::fuzz::run_corpus;

#[test]
fn the_corpus_passes() {
    run_corpus("http3_streams", http3_streams::run);
}

/// Pieces of streams.
const PIECES: &[&[u8]] = &[
    b"\x01\x13\0\0\xd1\xd7\xc1\x50\x0cshop.example",
    b"\x01\x03\0\0\xd1",
    b"\x01\x08\0\0\x23x-a\x01b",
    b"\x00\x05hello",
    b"\x00\x00",
    b"\x21\x02ab",
    b"\x40\x21\x40\x01x",
    b"\x04\x02\x01\x00",
    b"\x07\x01\x00",
    b"\x0d\x01\x08",
    b"\x03\x01\x00",
    b"\x80\x0f\x07\x00\x02ab",
    b"\x20",
    b"\x44",
    b"\x7f\x80\x01",
];

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        12 => prop::sample::select(PIECES).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 1..4),
    ];
    (any::<u8>(), vec(piece, 0..12))
        .prop_map(|(first, pieces)| [&[first][..], &pieces.concat()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn noise_is_a_message_or_a_fault(bytes in stream()) {
        http3_streams::run(&bytes);
    }

    #[test]
    fn any_bytes_are_a_message_or_a_fault(bytes in vec(any::<u8>(), 0..600)) {
        http3_streams::run(&bytes);
    }
}
