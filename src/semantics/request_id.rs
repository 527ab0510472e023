//! Request id, for header, log and trace.
//!
//! UUID version 7 (RFC 9562 section 5.7): sorts by time, so that a log can be searched by it. Time
//! and random bits are arguments; nothing is allocated.

use smallvec::SmallVec;

use super::headers::Value;

/// A request id: made here, or received from a trusted peer.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RequestId(SmallVec<[u8; TEXT_BYTES]>);

impl RequestId {
    /// Makes an id from the time in milliseconds of the Unix epoch (48 bits are used) and random
    /// bits (74 are used).
    pub fn new(unix_ms: u64, random: u128) -> Self {
        let time = u128::from(unix_ms & 0xffff_ffff_ffff) << 80;
        let low = random & 0x0fff_3fff_ffff_ffff_ffff;
        let version = 0x7 << 76;
        let variant = 0b10 << 62;
        let bytes = (time | low | version | variant).to_be_bytes();
        let mut text = [b'-'; TEXT_BYTES];
        let mut at = 0;
        for (place, byte) in bytes.into_iter().enumerate() {
            if matches!(place, 4 | 6 | 8 | 10) {
                at += 1;
            }
            text[at] = HEX[usize::from(byte >> 4)];
            text[at + 1] = HEX[usize::from(byte & 15)];
            at += 2;
        }
        Self(SmallVec::from_buf(text))
    }

    /// Takes the id of a received request: 1 to 128 visible ASCII bytes, so that it fits a log line
    /// and cannot forge one.
    pub fn sent(value: Value<'_>) -> Option<Self> {
        let text = value.as_bytes();
        let fits = (1..=BYTES_MAX).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic);
        fits.then(|| Self(SmallVec::from_slice(text)))
    }

    /// The text; 36 bytes if it was made here.
    pub fn as_str(&self) -> &str {
        // Visible ASCII, so never the empty string.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The value of an `X-Request-Id` field.
    ///
    /// Header compression must not remember it: no other message repeats it, and it would evict
    /// useful entries.
    pub fn as_value(&self) -> Value<'_> {
        Value::of_checked(&self.0).sensitive()
    }
}

impl std::fmt::Debug for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

const TEXT_BYTES: usize = 36;
const BYTES_MAX: usize = 128;
const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    use crate::semantics::headers::AsValue as _;

    #[test]
    fn the_text_is_that_of_the_standard() {
        // RFC 9562 appendix A.6.
        let random = (0xcc3 << 64) | 0x18c4_dc0c_0c07_398f;
        let id = RequestId::new(0x017f_22e2_79b0, random);
        assert_eq!(id.as_str(), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
        assert_eq!(RequestId::sent(id.as_value()), Some(id));
    }

    #[test]
    fn any_draw_gives_a_valid_version_7() {
        for (unix_ms, random) in [(0, 0), (u64::MAX, u128::MAX), (1, 0x5555_5555)] {
            let id = RequestId::new(unix_ms, random);
            let parsed = uuid::Uuid::parse_str(id.as_str()).unwrap();
            assert_eq!(parsed.get_version_num(), 7);
            assert_eq!(parsed.get_variant(), uuid::Variant::RFC4122);
        }
    }

    #[test]
    fn what_could_break_a_log_line_is_not_kept() {
        let keep = |text: &[u8]| {
            let value = HeaderValue::from_bytes(text).unwrap();
            RequestId::sent(value.as_value()).is_some()
        };
        assert!(keep(b"abc-123/=+"));
        assert!(keep(&[b'a'; 128]));
        for text in [&b""[..], b"a b", b"a\tb", b"\xc3\xa9", &[b'a'; 129]] {
            assert!(!keep(text));
        }
    }
}
