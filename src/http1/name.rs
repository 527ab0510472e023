//! Field names that are known beforehand, and what the codec does about them.
//!
//! Nearly every name on the wire is one of a few dozen, written as the standards write
//! it or in lower case. A perfect hash and one comparison find those without a table
//! lookup per byte and without an allocation; every other name takes the general way.

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
    if let Some(known) = look_up(bytes) {
        return Ok((known.name.clone(), known.role));
    }
    let name = HeaderName::from_bytes(bytes)?;
    let role = role(&name);
    Ok((name, role))
}

/// The known name that is written like this, in one of its two spellings.
fn look_up(bytes: &[u8]) -> Option<&'static Known> {
    let known = KNOWN.get(usize::from(SLOTS[slot(bytes)?]))?;
    let lower = bytes.first() == known.lower.first();
    let spelling = if lower { known.lower } else { known.canonical };
    (bytes == spelling).then_some(known)
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

/// Where in [`SLOTS`] a name belongs, by its length and three of its letters in either case.
const fn slot(name: &[u8]) -> Option<usize> {
    let [first, .., last] = name else { return None };
    let third_last = match name {
        [.., third_last, _, _] => *third_last,
        _ => *first,
    };
    let mut hash = (name.len() & 0xff) * FACTORS[0];
    hash += (*first | 0x20) as usize * FACTORS[1];
    hash += (*last | 0x20) as usize * FACTORS[2];
    hash += (third_last | 0x20) as usize * FACTORS[3];
    Some(hash >> 8 & 0xff)
}

/// Chosen so that no two known names share a slot; [`slots`] proves it when it compiles.
const FACTORS: [usize; 4] = [36_805, 33_460, 21_013, 14_493];

/// The index of the known name of each slot; [`EMPTY`] where there is none.
static SLOTS: [u8; 256] = slots();

const EMPTY: u8 = u8::MAX;

#[expect(
    clippy::expect_used,
    reason = "evaluated when this is compiled, and only then"
)]
const fn slots() -> [u8; 256] {
    let mut slots = [EMPTY; 256];
    let mut index: u8 = 0;
    while (index as usize) < KNOWN.len() {
        let slot = slot(KNOWN[index as usize].lower);
        let slot = slot.expect("a known name is too short");
        assert!(slots[slot] == EMPTY, "two known names share a slot");
        slots[slot] = index;
        index += 1;
    }
    slots
}

macro_rules! known {
    ($($canonical:literal $lower:literal $role:ident)*) => {
        static KNOWN: [Known; [$($lower.len()),*].len()] = [$(Known {
            canonical: $canonical.as_bytes(),
            lower: $lower.as_bytes(),
            name: HeaderName::from_static($lower),
            role: Role::$role,
        }),*];
    };
}

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
    "Priority" "priority" Plain
    "Sec-CH-UA" "sec-ch-ua" Plain
    "Sec-CH-UA-Mobile" "sec-ch-ua-mobile" Plain
    "Sec-CH-UA-Platform" "sec-ch-ua-platform" Plain
    "DNT" "dnt" Plain
    "Link" "link" Plain
    "Server-Timing" "server-timing" Plain
    "X-Powered-By" "x-powered-by" Plain
    "Content-Language" "content-language" Plain
    "Proxy-Connection" "proxy-connection" Plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_both_spellings() {
        for known in &KNOWN {
            assert_eq!(known.canonical.to_ascii_lowercase(), known.lower);
            assert_eq!(role(&known.name), known.role);
            for spelling in [known.canonical, known.lower] {
                assert_eq!(look_up(spelling).unwrap().lower, known.lower);
                let (name, role) = parse(spelling).unwrap();
                assert_eq!((&name, role), (&known.name, known.role));
            }
        }
    }

    #[test]
    fn a_name_that_differs_in_one_byte_is_not_taken_for_a_known_one() {
        for known in &KNOWN {
            for at in 0..known.lower.len() {
                for bit in 0..8 {
                    let mut near = known.lower.to_vec();
                    near[at] ^= 1 << bit;
                    let found = look_up(&near).map(|found| found.lower);
                    let spelled = found.is_none_or(|lower| near.eq_ignore_ascii_case(lower));
                    assert!(spelled, "{near:?}");
                }
            }
        }
    }

    #[test]
    fn names_too_short_to_have_a_slot_are_unknown() {
        assert!(look_up(b"").is_none() && look_up(b"a").is_none());
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
