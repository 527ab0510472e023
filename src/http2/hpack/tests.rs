//! Blocks as a whole.

use std::ops::ControlFlow::{Break, Continue};

use bytes::BytesMut;
use http::StatusCode;
use proptest::prelude::*;

use super::*;
use crate::semantics::{Known, headers::look_up};

/// A field as a test compares it.
type Pair = (String, String);

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<Pair>, BlockFault> {
    let mut fields = Vec::new();
    decoder.decode(block, |field| {
        let line = String::from_utf8_lossy(field.line);
        let line = line.strip_suffix("\r\n").unwrap();
        let (name, value) = line.split_at(field.name_length);
        let value = value.strip_prefix(": ").unwrap();
        assert_eq!(value.as_bytes(), field.value());
        assert_eq!(field.size(), name.len() + value.len() + 32);
        fields.push((name.to_owned(), value.to_owned()));
        Continue(())
    })?;
    Ok(fields)
}

fn pairs(fields: &[(&str, &str)]) -> Vec<Pair> {
    let fields = fields.iter();
    fields
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect()
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// A block, its fields, and the size of the table behind it.
type Example<'a> = (&'a str, &'a [(&'a str, &'a str)], usize);

/// Decodes the blocks of one connection.
fn check_example(table_max: usize, blocks: &[Example<'_>]) {
    let mut decoder = Decoder::new(table_max);
    for (block, fields, size) in blocks {
        assert_eq!(decode(&mut decoder, &hex(block)), Ok(pairs(fields)));
        assert_eq!(decoder.table_size(), *size);
    }
}

#[test]
fn single_fields_of_the_standard_are_read() {
    let custom = "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572";
    check_example(4096, &[(custom, &[("custom-key", "custom-header")], 55)]);
    let path = "040c 2f73 616d 706c 652f 7061 7468";
    check_example(4096, &[(path, &[(":path", "/sample/path")], 0)]);
    let secret = "1008 7061 7373 776f 7264 0673 6563 7265 74";
    check_example(4096, &[(secret, &[("password", "secret")], 0)]);
    check_example(4096, &[("82", &[(":method", "GET")], 0)]);
}

#[test]
fn requests_of_the_standard_are_read() {
    let host = (":authority", "www.example.com");
    let get = (":method", "GET");
    let (http, https) = ((":scheme", "http"), (":scheme", "https"));
    let fields: [&[(&str, &str)]; 3] = [
        &[get, http, (":path", "/"), host],
        &[
            get,
            http,
            (":path", "/"),
            host,
            ("cache-control", "no-cache"),
        ],
        &[
            get,
            https,
            (":path", "/index.html"),
            host,
            ("custom-key", "custom-value"),
        ],
    ];
    let plain = [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ];
    let coded = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    for blocks in [plain, coded] {
        check_example(
            4096,
            &[
                (blocks[0], fields[0], 57),
                (blocks[1], fields[1], 110),
                (blocks[2], fields[2], 164),
            ],
        );
    }
}

#[test]
fn responses_of_the_standard_are_read() {
    let private = ("cache-control", "private");
    let date = ("date", "Mon, 21 Oct 2013 20:13:21 GMT");
    let later = ("date", "Mon, 21 Oct 2013 20:13:22 GMT");
    let location = ("location", "https://www.example.com");
    let cookie = "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
    let fields: [&[(&str, &str)]; 3] = [
        &[(":status", "302"), private, date, location],
        &[(":status", "307"), private, date, location],
        &[
            (":status", "200"),
            private,
            later,
            location,
            ("content-encoding", "gzip"),
            ("set-cookie", cookie),
        ],
    ];
    let plain = [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a
         3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04
         677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49
         553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
    ];
    let coded = [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e
         919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7
         821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed
         4ee5 b106 3d50 07",
    ];
    for blocks in [plain, coded] {
        check_example(
            256,
            &[
                (blocks[0], fields[0], 222),
                (blocks[1], fields[1], 222),
                (blocks[2], fields[2], 215),
            ],
        );
    }
}

#[test]
fn names_are_told_apart_and_faults_in_fields_are_told() {
    let cases: [(&[u8], &[u8], FieldName); 16] = [
        (b"accept", b"*/*", FieldName::Known(Known::Accept)),
        (b"accept", b"", FieldName::Known(Known::Accept)),
        (b"x-none-such", b"a\tb \xff", FieldName::Unknown),
        (b":path", b"/", FieldName::Pseudo(Pseudo::Path)),
        (
            b":protocol",
            b"websocket",
            FieldName::Pseudo(Pseudo::Protocol),
        ),
        (b"", b"", FieldName::Malformed),
        (b":", b"", FieldName::Malformed),
        (b":host", b"", FieldName::Malformed),
        (b"Accept", b"", FieldName::Malformed),
        (b"x-None", b"", FieldName::Malformed),
        (b"x none", b"", FieldName::Malformed),
        (b"x:none", b"", FieldName::Malformed),
        (b"x\xff", b"", FieldName::Malformed),
        (b"accept", b"a\nb", FieldName::Malformed),
        (b"accept", b" a", FieldName::Malformed),
        (b":path", b"/\t", FieldName::Malformed),
    ];
    for (name, value, expected) in cases {
        let text = |text: &[u8]| [&[u8::try_from(text.len()).unwrap()], text].concat();
        let first = [&[0x40][..], &text(name), &text(value)].concat();
        // Again by its index, and with its name by index and a value that any field can have.
        let block = [&first[..], &[0xbe], &[0x0f, 62 - 15], &text(b"v")].concat();
        let mut names = Vec::new();
        let result = Decoder::new(4096).decode(&block, |field| {
            names.push(field.name);
            Continue(())
        });
        assert_eq!(result, Ok(()));
        assert_eq!(names, [expected, expected, FieldName::of(name)]);
    }
}

#[test]
fn a_literal_can_evict_the_field_that_it_has_its_name_from() {
    let mut decoder = Decoder::new(64);
    let block = [
        &b"\x40\x06x-name\x03one"[..],
        b"\x7e\x14twotwotwotwotwotwo22",
    ]
    .concat();
    let fields = decode(&mut decoder, &block).unwrap();
    assert_eq!(
        fields,
        pairs(&[("x-name", "one"), ("x-name", "twotwotwotwotwotwo22")])
    );
    let fields = decode(&mut decoder, b"\xbe").unwrap();
    assert_eq!(fields, pairs(&[("x-name", "twotwotwotwotwotwo22")]));
    // Larger than the table: handed out all the same.
    let block = [&b"\x7e\x1e"[..], &[b'x'; 30]].concat();
    assert_eq!(decode(&mut decoder, &block).unwrap()[0].1, "x".repeat(30));
    assert_eq!(decoder.table_size(), 0);
    assert_eq!(decode(&mut decoder, b"\xbe"), Err(BlockFault::Index));
}

#[test]
fn broken_blocks_are_faults() {
    let cases: [(&[u8], BlockFault); 24] = [
        (b"\x80", BlockFault::Index),
        (b"\xbe", BlockFault::Index),
        (b"\xff\x00", BlockFault::Index),
        (b"\xff\x80\x80\x80\x7f", BlockFault::Index),
        (b"\xff\xff\xff\xff\xff\x7f", BlockFault::Integer),
        (b"\xff\x80\x80\x80\x80\x00", BlockFault::Integer),
        (b"\xff\x80\x80\x80", BlockFault::Truncated),
        (b"\xff", BlockFault::Truncated),
        (b"\x7e\x00", BlockFault::Index),
        (b"\x0f\x2f\x00", BlockFault::Index),
        (b"\x40", BlockFault::Truncated),
        (b"\x40\x01", BlockFault::Truncated),
        (b"\x40\x01a", BlockFault::Truncated),
        (b"\x40\x01a\x02b", BlockFault::Truncated),
        (b"\x41\x7f\xff\xff\xff\x7fa", BlockFault::Truncated),
        (b"\x41\x7f\xff\xff\xff\xff\x7fa", BlockFault::Integer),
        // The end of text in the Huffman code, and texts that are not filled up as they must.
        (b"\x41\x84\xff\xff\xff\xff", BlockFault::Huffman),
        (b"\x41\x81\x00", BlockFault::Huffman),
        (b"\x41\x82\x07\xff", BlockFault::Huffman),
        // Above what was announced, behind a field, too often.
        (b"\x3f\xe2\x1f\x82", BlockFault::TableSize),
        (b"\x82\x20", BlockFault::TableSize),
        (b"\x20\x20\x20\x82", BlockFault::TableSize),
        (b"\x3f", BlockFault::Truncated),
        (b"\x3f\xff\xff\xff\xff\xff", BlockFault::Integer),
    ];
    for (block, fault) in cases {
        assert_eq!(
            decode(&mut Decoder::new(4096), block),
            Err(fault),
            "{block:x?}"
        );
    }
    let fields = decode(&mut Decoder::new(4096), b"\x20\x3f\xe1\x1f\x82").unwrap();
    assert_eq!(fields, pairs(&[(":method", "GET")]));
}

#[test]
fn who_takes_the_fields_can_stop() {
    let mut seen = 0;
    let result = Decoder::new(4096).decode(b"\x82\x84\x86", |_| {
        seen += 1;
        if seen == 2 { Break(()) } else { Continue(()) }
    });
    assert_eq!((result, seen), (Err(BlockFault::Stopped), 2));
}

/// Returns the encoded form of these fields, with names in any case.
fn encode(encoder: &mut Encoder, status: u16, fields: &[(&str, &str)]) -> BytesMut {
    let mut block = BytesMut::new();
    encoder.begin(&mut block);
    encoder.status(StatusCode::from_u16(status).unwrap(), &mut block);
    for (name, value) in fields {
        let known = look_up(name.as_bytes());
        encoder.field(known, name.as_bytes(), value.as_bytes(), false, &mut block);
    }
    block
}

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

/// Names that come often, so that much is found again, and others.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "(Server|date|Content-Type|ETag|set-cookie|X-Frame-Options|VARY|x-own|X-Other-Own)",
        "[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,40}",
    ]
}

/// Values that a field can have.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(b'\t'), 0x20..0x7f_u8, 0x80..=0xff_u8];
    prop_oneof![
        "[ab]{0,2}".prop_map(String::into_bytes),
        "[!-~]([ -~]{0,60}[!-~])?".prop_map(String::into_bytes),
        (proptest::collection::vec(byte, 1..30), 1..60_usize)
            .prop_map(|(part, times)| part.repeat(times).trim_ascii().to_vec()),
    ]
}

/// An event in the life of an encoder.
#[derive(Clone, Debug)]
enum Step {
    Limit(usize),
    Block(u16, Vec<(String, Vec<u8>, bool)>),
}

fn step() -> impl Strategy<Value = Step> {
    let field = (name(), value(), proptest::bool::weighted(0.1));
    let fields = proptest::collection::vec(field, 0..20);
    let status = prop_oneof![Just(200), 100..1000_u16];
    prop_oneof![
        1 => (0..5000_usize).prop_map(Step::Limit),
        6 => (status, fields).prop_map(|(status, fields)| Step::Block(status, fields)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(steps in proptest::collection::vec(step(), 1..12)) {
        let mut encoder = Encoder::new();
        let mut decoder = Decoder::new(4096);
        for step in steps {
            let (status, fields) = match step {
                Step::Limit(max) => {
                    encoder.limit_table(max);
                    continue;
                }
                Step::Block(status, fields) => (status, fields),
            };
            let mut block = BytesMut::new();
            encoder.begin(&mut block);
            encoder.status(StatusCode::from_u16(status).unwrap(), &mut block);
            let mut expected = vec![(":status".to_owned(), status.to_string().into_bytes(), false)];
            for (name, value, sensitive) in fields {
                let known = look_up(name.as_bytes());
                encoder.field(known, name.as_bytes(), &value, sensitive, &mut block);
                expected.push((name.to_ascii_lowercase(), value, sensitive));
            }
            let mut seen = 0;
            decoder.decode(&block, |field| {
                let (name, value, sensitive) = &expected[seen];
                assert_eq!(&field.line[..field.name_length], name.as_bytes());
                assert_eq!(field.value(), value);
                let secret = matches!(&name[..], "set-cookie" | "cookie" | "authorization");
                assert!(secret || field.sensitive == *sensitive);
                assert_ne!(field.name, FieldName::Malformed);
                seen += 1;
                Continue(())
            }).unwrap();
            prop_assert_eq!(seen, expected.len());
            prop_assert_eq!(decoder.table_size(), encoder.table_size());
        }
    }

    #[test]
    fn any_bytes_end_in_fields_or_in_a_fault(
        blocks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..10),
    ) {
        let mut decoder = Decoder::new(300);
        for block in blocks {
            let _ = decoder.decode(&block, |field| {
                assert!(field.line.ends_with(b"\r\n"));
                assert_eq!(field.value().len() + field.name_length + 32, field.size());
                Continue(())
            });
            prop_assert!(decoder.table_size() <= 300);
        }
    }

    #[test]
    fn blocks_that_were_changed_end_in_fields_or_in_a_fault(
        blocks in proptest::collection::vec(
            proptest::collection::vec((name(), value()), 1..20),
            1..6,
        ),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut encoder = Encoder::new();
        let mut decoder = Decoder::new(4096);
        for fields in blocks {
            let mut block = BytesMut::new();
            for (name, value) in &fields {
                let known = look_up(name.as_bytes());
                encoder.field(known, name.as_bytes(), value, false, &mut block);
            }
            for (place, byte) in &changes {
                let length = block.len();
                block[place.index(length)] = *byte;
            }
            let mut bytes = 0;
            let _ = decoder.decode(&block, |field| {
                bytes += field.line.len();
                Continue(())
            });
            prop_assert!(decoder.table_size() <= 4096);
        }
    }

    #[test]
    fn any_text_comes_back_from_the_huffman_code(text in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut coded = Vec::new();
        huffman::encode(&text, |bytes| coded.extend_from_slice(bytes));
        prop_assert_eq!(coded.len(), huffman::coded_length(&text));
        let mut out = vec![b'x'];
        prop_assert_eq!(huffman::decode(&coded, &mut out), Ok(()));
        prop_assert_eq!(&out[1..], &text[..]);
    }

    #[test]
    fn any_bytes_in_the_huffman_code_are_a_text_or_a_fault(
        coded in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut text = Vec::new();
        if huffman::decode(&coded, &mut text).is_ok() {
            let mut again = Vec::new();
            huffman::encode(&text, |bytes| again.extend_from_slice(bytes));
            prop_assert_eq!(again, coded);
        }
    }
}
