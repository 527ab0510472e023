//! Any bytes as a PROXY protocol header: no panic, the same verdict however they arrive, and what is
//! accepted survives its own encoding.

use sluicegate::proxy_protocol::{HEADER_MAX, Header, Version, parse};

/// Checks one input.
pub(crate) fn run(data: &[u8]) {
    let whole = parse(data);
    let trickled = (0..=data.len()).find_map(|end| match parse(&data[..end]) {
        Ok(None) => None,
        verdict => Some(verdict),
    });
    match whole {
        Ok(None) => assert!(trickled.is_none() && data.len() < HEADER_MAX),
        Ok(Some((header, length))) => {
            assert!(length <= data.len() && length <= HEADER_MAX);
            assert_eq!(trickled, Some(Ok(Some((header, length)))));
            encodes_to_itself(&header);
        }
        Err(_) => assert!(matches!(trickled, Some(Err(_)))),
    }
}

fn encodes_to_itself(header: &Header) {
    for version in [Version::V1, Version::V2] {
        let encoded = header.encode(version);
        let again = parse(&encoded).expect("own encoding is refused");
        let (again, length) = again.expect("own encoding is cut short");
        assert_eq!(length, encoded.len());
        // The second encoding is of one family.
        assert_eq!(again.encode(version), encoded);
    }
}
