//! Blocks of a peer: their fields and their faults.

use std::ops::ControlFlow::Break;

use super::*;
use crate::semantics::Known;

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
