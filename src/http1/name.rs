//! Field names that are known beforehand, and what the codec does about them.
//!
//! Nearly every name on the wire is one of a few dozen, written as the standards write
//! it or in lower case. A comparison of bytes finds those without a table lookup per
//! byte and without an allocation; every other name takes the general way.

use http::HeaderName;
use http::header::{self as h, InvalidHeaderName};

/// Which part of the framing a field takes part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Plain,
    ContentLength,
    TransferEncoding,
    Connection,
    Upgrade,
    Expect,
}

/// Reads a field name and its role; fails for anything but a token.
pub(super) fn parse(bytes: &[u8]) -> Result<(HeaderName, Role), InvalidHeaderName> {
    for known in of_length(bytes.len()) {
        // The first byte rules out nearly every other name without a comparison.
        let spelling = if bytes.first() == known.canonical.first() {
            known.canonical
        } else {
            known.lower
        };
        if bytes.first() == spelling.first() && bytes == spelling {
            return Ok((known.name.clone(), known.role));
        }
    }
    let name = HeaderName::from_bytes(bytes)?;
    let role = role(&name);
    Ok((name, role))
}

/// The role of a name that was not written in one of the two usual ways.
fn role(name: &HeaderName) -> Role {
    match *name {
        h::CONTENT_LENGTH => Role::ContentLength,
        h::TRANSFER_ENCODING => Role::TransferEncoding,
        h::CONNECTION => Role::Connection,
        h::UPGRADE => Role::Upgrade,
        h::EXPECT => Role::Expect,
        _ => Role::Plain,
    }
}

/// A known name: as the standards write it, in lower case, parsed, and its role.
struct Known {
    canonical: &'static [u8],
    lower: &'static [u8],
    name: HeaderName,
    role: Role,
}

/// The known names of one length.
fn of_length(length: usize) -> &'static [Known] {
    match (STARTS.get(length), STARTS.get(length + 1)) {
        (Some(&start), Some(&end)) => &KNOWN[start..end],
        _ => &[],
    }
}

/// Where the names of each length start in [`KNOWN`].
static STARTS: [usize; LENGTH_MAX + 2] = starts();

const fn starts() -> [usize; LENGTH_MAX + 2] {
    let mut starts = [0; LENGTH_MAX + 2];
    let mut length = 0;
    let mut at = 0;
    while length < starts.len() {
        while at < LENGTHS.len() && LENGTHS[at] < length {
            at += 1;
        }
        starts[length] = at;
        length += 1;
    }
    starts
}

/// Length of the longest known name.
const LENGTH_MAX: usize = LENGTHS[LENGTHS.len() - 1];

macro_rules! known {
    ($($canonical:literal $lower:literal $role:ident)*) => {
        const LENGTHS: &[usize] = &[$($lower.len()),*];
        static KNOWN: [Known; LENGTHS.len()] = [$(Known {
            canonical: $canonical.as_bytes(),
            lower: $lower.as_bytes(),
            name: HeaderName::from_static($lower),
            role: Role::$role,
        }),*];
    };
}

// By length, and in one length the most frequent first.
known! {
    "TE" "te" Plain
    "Via" "via" Plain
    "Age" "age" Plain
    "Host" "host" Plain
    "Date" "date" Plain
    "ETag" "etag" Plain
    "Vary" "vary" Plain
    "Range" "range" Plain
    "Allow" "allow" Plain
    "Accept" "accept" Plain
    "Cookie" "cookie" Plain
    "Server" "server" Plain
    "Origin" "origin" Plain
    "Expect" "expect" Expect
    "Pragma" "pragma" Plain
    "Referer" "referer" Plain
    "Upgrade" "upgrade" Upgrade
    "Expires" "expires" Plain
    "Trailer" "trailer" Plain
    "Alt-Svc" "alt-svc" Plain
    "Location" "location" Plain
    "If-Match" "if-match" Plain
    "If-Range" "if-range" Plain
    "Forwarded" "forwarded" Plain
    "X-Real-IP" "x-real-ip" Plain
    "Connection" "connection" Connection
    "User-Agent" "user-agent" Plain
    "Set-Cookie" "set-cookie" Plain
    "Keep-Alive" "keep-alive" Plain
    "Tracestate" "tracestate" Plain
    "Traceparent" "traceparent" Plain
    "Retry-After" "retry-after" Plain
    "Content-Type" "content-type" Plain
    "X-Request-ID" "x-request-id" Plain
    "Cache-Control" "cache-control" Plain
    "Authorization" "authorization" Plain
    "Last-Modified" "last-modified" Plain
    "If-None-Match" "if-none-match" Plain
    "Accept-Ranges" "accept-ranges" Plain
    "Content-Range" "content-range" Plain
    "Content-Length" "content-length" ContentLength
    "Sec-Fetch-Site" "sec-fetch-site" Plain
    "Sec-Fetch-Mode" "sec-fetch-mode" Plain
    "Sec-Fetch-Dest" "sec-fetch-dest" Plain
    "Sec-Fetch-User" "sec-fetch-user" Plain
    "Accept-Charset" "accept-charset" Plain
    "Accept-Encoding" "accept-encoding" Plain
    "Accept-Language" "accept-language" Plain
    "X-Forwarded-For" "x-forwarded-for" Plain
    "X-Frame-Options" "x-frame-options" Plain
    "Content-Encoding" "content-encoding" Plain
    "X-Forwarded-Host" "x-forwarded-host" Plain
    "WWW-Authenticate" "www-authenticate" Plain
    "Transfer-Encoding" "transfer-encoding" TransferEncoding
    "If-Modified-Since" "if-modified-since" Plain
    "X-Forwarded-Proto" "x-forwarded-proto" Plain
    "Content-Disposition" "content-disposition" Plain
    "If-Unmodified-Since" "if-unmodified-since" Plain
    "X-Content-Type-Options" "x-content-type-options" Plain
    "Content-Security-Policy" "content-security-policy" Plain
    "Upgrade-Insecure-Requests" "upgrade-insecure-requests" Plain
    "Strict-Transport-Security" "strict-transport-security" Plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_both_spellings() {
        assert!(LENGTHS.is_sorted());
        for known in &KNOWN {
            assert_eq!(known.canonical.to_ascii_lowercase(), known.lower);
            assert_eq!(role(&known.name), known.role);
            let found = of_length(known.lower.len());
            assert!(found.iter().any(|other| other.lower == known.lower));
            for spelling in [known.canonical, known.lower] {
                let (name, role) = parse(spelling).unwrap();
                assert_eq!((&name, role), (&known.name, known.role));
            }
        }
    }

    #[test]
    fn lengths_without_known_names_have_none() {
        for length in [0, 1, 18, LENGTH_MAX + 1, usize::MAX - 1] {
            assert!(of_length(length).is_empty(), "{length}");
        }
    }

    #[test]
    fn spelling_does_not_change_name_or_role() {
        for spelling in [
            "content-length",
            "Content-Length",
            "CONTENT-LENGTH",
            "cOnTeNt-lEnGtH",
        ] {
            let (name, role) = parse(spelling.as_bytes()).unwrap();
            assert_eq!((name, role), (h::CONTENT_LENGTH, Role::ContentLength));
        }
        let (name, role) = parse(b"X-Custom").unwrap();
        assert_eq!((name.as_str(), role), ("x-custom", Role::Plain));
    }

    #[test]
    fn names_are_tokens() {
        for byte in 0..=u8::MAX {
            let name = [b'x', byte, b'y'];
            let token = super::super::framing::is_token_byte(byte);
            assert_eq!(parse(&name).is_ok(), token, "{byte:#x}");
            let long = [&name[..], &[b'z'; 80]].concat();
            assert_eq!(parse(&long).is_ok(), token, "{byte:#x} in a long name");
        }
        assert!(parse(b"").is_err());
    }
}
