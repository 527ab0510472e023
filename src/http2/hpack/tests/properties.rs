//! Properties that hold for any fields and any bytes.

use proptest::prelude::*;

use super::*;

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
