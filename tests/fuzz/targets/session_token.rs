//! Any bytes as the token of a session: no panic, and only tokens of the proxy's own count.

use std::{sync::LazyLock, time::Duration};

use sluicegate::upstream::session::{Carrier, Sessions};

/// Checks one input.
pub(crate) fn run(data: &[u8]) {
    assert!(UNUSED.open(data, NOW_SECS).is_none(), "it was forged");
    let mut bytes = [0; 8];
    for (byte, given) in bytes.iter_mut().zip(data) {
        *byte = *given;
    }
    let endpoint = u64::from_be_bytes(bytes);
    let token = SESSIONS.seal(endpoint, NOW_SECS).expect("a token");
    let opened = SESSIONS.open(token.as_bytes(), NOW_SECS);
    assert_eq!(opened.map(|session| session.endpoint), Some(endpoint));
    // A token into which some of the bytes were put is none any more. Only some: a fuzzer that
    // watches comparisons knows earlier tokens as a whole.
    let at = usize::from(bytes[7]) % token.len();
    let mut forged = token.clone().into_bytes();
    for (byte, given) in forged[at..].iter_mut().zip(&bytes) {
        *byte = *given;
    }
    if forged != token.as_bytes() {
        assert!(SESSIONS.open(&forged, NOW_SECS).is_none(), "it was changed");
    }
}

static SESSIONS: LazyLock<Sessions> = LazyLock::new(|| sessions("0123456789abcdef"));
/// With a secret by which no token is ever made.
static UNUSED: LazyLock<Sessions> = LazyLock::new(|| sessions("fedcba9876543210"));

fn sessions(secret: &str) -> Sessions {
    let carrier = Carrier::Header(http::HeaderName::from_static("x-session"));
    let hour = Duration::from_secs(3600);
    Sessions::new(&"app".into(), carrier, hour, secret).expect("a key")
}

const NOW_SECS: u64 = 1_800_000_000;
