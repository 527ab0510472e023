//! Blocks of this side: their bytes and the table behind them.

use super::*;

#[test]
fn a_response_of_the_standard_is_written_as_there() {
    let mut encoder = Encoder::new();
    let date = ("Date", "Mon, 21 Oct 2013 20:13:21 GMT");
    let block = encode(&mut encoder, 302, &[("Cache-Control", "private"), date]);
    let expected = "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0
                    82a6 2d1b ff";
    assert_eq!(block[..], hex(expected));
    let block = encode(&mut encoder, 307, &[("cache-control", "private"), date]);
    assert_eq!(block[..], hex("4803 3330 37c0 bf"));
    let block = encode(&mut encoder, 302, &[("cache-control", "private"), date]);
    assert_eq!(block[..], hex("c1c0 bf"));
}

#[test]
fn what_comes_again_is_a_byte_and_what_does_not_is_not_indexed() {
    let mut encoder = Encoder::new();
    let fields = [
        ("Server", "x"),
        ("X-None-Such", "Y"),
        ("Accept-Encoding", "gzip, deflate"),
        ("Vary", ""),
    ];
    let first = encode(&mut encoder, 200, &fields);
    assert_eq!(first[0], 0x88);
    let second = encode(&mut encoder, 200, &fields);
    assert_eq!(second[..], [0x88, 0xbf, 0xbe, 0x90, 0x80 | 59]);
    let etag = encode(&mut encoder, 200, &[("ETag", "\"0\"")]);
    assert_eq!(etag[..], *b"\x88\x0f\x13\x03\"0\"");
    let cookie = encode(&mut encoder, 200, &[("Set-Cookie", "a=b")]);
    assert_eq!(cookie[..], *b"\x88\x1f\x28\x03a=b");
    let request_id = encode(&mut encoder, 200, &[("X-Request-ID", "1")]);
    assert_eq!(request_id[..], *b"\x88\x00\x0cx-request-id\x011");
    let long = encode(&mut encoder, 200, &[("Vary", &"x".repeat(1000))]);
    assert_eq!(long[1..4], [0x0f, 59 - 15, 0x7f]);
    let mut block = BytesMut::new();
    encoder.field(None, b"X-None-Such", b"Y", true, &mut block);
    assert_eq!(block[..], *b"\x10\x0bx-none-such\x01Y");
    let mut sensitive = None;
    let result = Decoder::new(0).decode(&block, |field| {
        sensitive = Some(field.sensitive);
        Continue(())
    });
    assert_eq!((result, sensitive), (Ok(()), Some(true)));
}

#[test]
fn values_of_a_name_are_found_behind_one_another_and_the_name_is_sent_once() {
    let mut encoder = Encoder::new();
    let write = |encoder: &mut Encoder, value| encode(encoder, 200, &[("X-Own", value)]);
    assert_eq!(write(&mut encoder, "1")[..3], *b"\x88\x40\x84");
    assert_eq!(write(&mut encoder, "2")[..], *b"\x88\x7e\x012");
    assert_eq!(write(&mut encoder, "1")[..], *b"\x88\xbf");
    // A table that has become too small for it, but not for what it has.
    encoder.limit_table(100);
    let long = write(&mut encoder, "3");
    assert_eq!(long[..], *b"\x3f\x45\x88\x0f\x2f\x013");
}

#[test]
fn a_name_with_ever_new_values_leaves_the_table_to_others() {
    let mut encoder = Encoder::new();
    let mut decoder = Decoder::new(4096);
    let mut send = |name: &str, value: &str| {
        let block = encode(&mut encoder, 200, &[(name, value)]);
        let fields = decode(&mut decoder, &block).unwrap();
        assert_eq!(fields, pairs(&[(":status", "200"), (name, value)]));
        block.len()
    };
    assert!(send("x-node", "a") > 2);
    for n in 0..500 {
        send("x-trace", &format!("trace-{n:04}"));
    }
    assert_eq!(send("x-node", "a"), 2, "it was evicted");
    // A value that stays gets its turn.
    let kept = (0..32).position(|_| send("x-trace", "trace-for-good") == 2);
    assert!(kept.is_some_and(|at| at > 1), "{kept:?}");
    assert_eq!(send("x-trace", "trace-for-good"), 2);
}

#[test]
fn the_peer_is_told_how_the_table_changes() {
    let begun = |encoder: &mut Encoder| {
        let mut block = BytesMut::new();
        encoder.begin(&mut block);
        block.to_vec()
    };
    let mut encoder = Encoder::new();
    encoder.limit_table(65_536);
    assert_eq!(begun(&mut encoder), b"");
    encoder.limit_table(0);
    encoder.limit_table(4096);
    assert_eq!(begun(&mut encoder), b"\x20\x3f\xe1\x1f");
    assert_eq!(begun(&mut encoder), b"");
    encoder.limit_table(100);
    encoder.limit_table(50);
    assert_eq!(begun(&mut encoder), b"\x3f\x13");
    encoder.limit_table(usize::MAX);
    assert_eq!(begun(&mut encoder), b"\x3f\xe1\x1f");
}
