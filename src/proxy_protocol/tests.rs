//! Both forms against their own writer, byte by byte, and against garbage.

use proptest::prelude::*;

use super::*;

fn ends(source: &str, destination: &str) -> Header {
    Header::Ends(Ends {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    })
}

#[test]
fn lines_of_version_1_are_read() {
    let line = b"PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\nGET / HTTP/1.1\r\n";
    let header = ends("192.0.2.7:51234", "198.51.100.1:443");
    assert_eq!(parse(line), Ok(Some((header, 45))));
    let line = b"PROXY TCP6 2001:db8::7 ::1 1 65535\r\n";
    let header = ends("[2001:db8::7]:1", "[::1]:65535");
    assert_eq!(parse(line), Ok(Some((header, line.len()))));
    for line in [
        &b"PROXY UNKNOWN\r\n"[..],
        b"PROXY UNKNOWN ffff:f 1 2 what ever\r\n",
    ] {
        assert_eq!(parse(line), Ok(Some((Header::Unknown, line.len()))));
    }
}

#[test]
fn lines_that_two_readers_could_take_for_different_ones_are_refused() {
    for line in [
        "PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\n",
        "PROXY  TCP4 192.0.2.7 198.51.100.1 51234 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 51234 443 \r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 051234 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 +1 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n",
        "PROXY TCP4 192.0.2.07 198.51.100.1 1 443\r\n",
        "PROXY TCP4 ::1 ::2 1 443\r\n",
        "PROXY TCP6 192.0.2.7 198.51.100.1 1 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n",
        "PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n",
        "PROXY unknown\r\n",
        "proxy TCP4 192.0.2.7 198.51.100.1 1 2\r\n",
        "PUT / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\n",
        "\r\n\r\nGET",
    ] {
        assert_eq!(parse(line.as_bytes()), Err(Malformed), "{line:?}");
    }
    let endless = format!("PROXY UNKNOWN {}", "x".repeat(200));
    assert_eq!(parse(endless.as_bytes()), Err(Malformed));
}

#[test]
fn version_2_knows_commands_families_and_further_fields() {
    let written = |command: u8, family: u8, body: &[u8]| {
        let mut bytes = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
        bytes.extend([command, family]);
        bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend(body);
        bytes
    };
    let with_fields = [
        192, 0, 2, 7, 198, 51, 100, 1, 0, 80, 1, 187, 3, 0, 4, 1, 2, 3, 4,
    ];
    let bytes = written(0x21, 0x11, &with_fields);
    let header = ends("192.0.2.7:80", "198.51.100.1:443");
    assert_eq!(parse(&bytes), Ok(Some((header, bytes.len()))));
    for (command, family, body, says) in [
        (0x20, 0x00, &[][..], Ok(Header::Local)),
        (0x20, 0x11, &with_fields[..], Ok(Header::Local)),
        (0x21, 0x00, &[], Ok(Header::Unknown)),
        (0x21, 0x31, &[0; 216], Ok(Header::Unknown)),
        (0x21, 0x12, &with_fields, Ok(Header::Unknown)),
        (0x21, 0x31, &[0; 215], Err(Malformed)),
        (0x21, 0x11, &[0; 11], Err(Malformed)),
        (0x21, 0x21, &[0; 35], Err(Malformed)),
        (0x22, 0x11, &with_fields, Err(Malformed)),
        (0x11, 0x11, &with_fields, Err(Malformed)),
        (0x21, 0x41, &with_fields, Err(Malformed)),
        (0x21, 0x13, &with_fields, Err(Malformed)),
        (0x21, 0x11, &[0; HEADER_MAX], Err(Malformed)),
    ] {
        let bytes = written(command, family, body);
        let wanted = says.map(|header| Some((header, bytes.len())));
        assert_eq!(
            parse(&bytes),
            wanted,
            "{command:x} {family:x} {}",
            body.len()
        );
    }
}

#[test]
fn ends_of_two_families_are_written_in_the_larger() {
    let header = ends("192.0.2.7:80", "[2001:db8::1]:443");
    for version in [Version::V1, Version::V2] {
        let (read, _) = parse(&header.encode(version)).unwrap().unwrap();
        assert_eq!(read, ends("[::ffff:192.0.2.7]:80", "[2001:db8::1]:443"));
    }
}

const BEGINNINGS: &[&[u8]] = &[
    b"",
    b"PROXY ",
    b"PROXY TCP4 ",
    b"PROXY TCP6 ::1 ",
    b"\r\n\r\n\0\r\nQUIT\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11",
];

fn any_header() -> impl Strategy<Value = Header> {
    let v4 = any::<((u32, u16), (u32, u16))>().prop_map(|((a, p), (b, q))| {
        Header::Ends(Ends {
            source: (std::net::Ipv4Addr::from(a), p).into(),
            destination: (std::net::Ipv4Addr::from(b), q).into(),
        })
    });
    let v6 = any::<((u128, u16), (u128, u16))>().prop_map(|((a, p), (b, q))| {
        Header::Ends(Ends {
            source: (Ipv6Addr::from(a), p).into(),
            destination: (Ipv6Addr::from(b), q).into(),
        })
    });
    prop_oneof![Just(Header::Local), Just(Header::Unknown), v4, v6]
}

proptest! {
    #[test]
    fn what_is_written_is_read_however_it_arrives(
        header in any_header(),
        first in any::<bool>(),
        behind in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let version = if first { Version::V1 } else { Version::V2 };
        let written = header.encode(version);
        for end in 0..written.len() {
            prop_assert_eq!(parse(&written[..end]), Ok(None));
        }
        let read = match (header, version) {
            (Header::Local, Version::V1) => Header::Unknown,
            (header, _) => header,
        };
        let length = written.len();
        let bytes = [written, behind].concat();
        prop_assert_eq!(parse(&bytes), Ok(Some((read, length))));
    }

    #[test]
    fn garbage_behind_a_true_beginning_never_panics_and_is_bounded(
        beginning in proptest::sample::select(BEGINNINGS),
        garbage in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let bytes = [beginning, &garbage].concat();
        if let Ok(Some((_, length))) = parse(&bytes) {
            prop_assert!(length <= bytes.len() && length <= HEADER_MAX);
        }
    }

    #[test]
    fn a_refusal_stays_a_refusal_when_more_comes(
        bytes in proptest::collection::vec(prop_oneof![Just(b'P'), Just(b'\r'), Just(b' '), any::<u8>()], 1..60),
        cut in 0_usize..60,
    ) {
        let cut = cut.min(bytes.len());
        if parse(&bytes[..cut]).is_err() {
            prop_assert!(parse(&bytes).is_err());
        }
    }
}
