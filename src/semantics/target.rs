//! Bytes of a request target: one check for every protocol, and targets that must be kept raw.
//!
//! All bytes but control bytes, space and `#` pass unchanged: clients send quotes, angle brackets
//! and UTF-8 unencoded, and servers accept them. [`Uri`], which the walk uses, cannot hold all of
//! these; there they are percent-encoded, and the target as received is kept beside it. Source: RFC
//! 9112 section 3.2, RFC 9113 section 8.3.1.

use bytes::Bytes;
use http::{Uri, uri::PathAndQuery};

use crate::failure::BadRequest;

/// A target as received, path and query, that a [`Uri`] cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawTarget {
    bytes: Bytes,
    /// The path and query that stand for it in the walk.
    stands_for: PathAndQuery,
}

/// Union of the kinds of all bytes of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TargetKind(u8);

impl TargetKind {
    pub(crate) fn of(target: &[u8]) -> Self {
        let kinds = target
            .iter()
            .fold(0, |kinds, &byte| kinds | KINDS[usize::from(byte)]);
        Self(kinds)
    }

    /// Some byte is not allowed.
    pub(crate) fn is_bad(self) -> bool {
        self.0 & BAD != 0
    }

    /// Some byte is possibly not allowed in a [`Uri`].
    pub(crate) fn is_odd(self) -> bool {
        self.0 & ODD != 0
    }
}

/// Tells whether a target may contain the byte.
pub(crate) fn is_target_byte(byte: u8) -> bool {
    KINDS[usize::from(byte)] & BAD == 0
}

impl RawTarget {
    /// Reads a target whose bytes are allowed, but unusual.
    ///
    /// # Errors
    /// [`BadRequest::Target`] if it is not a target even when encoded.
    #[cold]
    pub fn read(target: Bytes) -> Result<(Uri, Option<Box<Self>>), BadRequest> {
        if let Ok(uri) = Uri::from_maybe_shared(target.clone()) {
            return Ok((uri, None));
        }
        let uri = Uri::try_from(encoded(&target)).map_err(|_| BadRequest::Target)?;
        let path = uri.path_and_query().ok_or(BadRequest::Target)?.clone();
        let raw = Self {
            bytes: origin_form(target),
            stands_for: path,
        };
        Ok((uri, Some(Box::new(raw))))
    }

    /// Returns the bytes to send for a target; none if the target was changed meanwhile.
    pub fn bytes_of(&self, target: &PathAndQuery) -> Option<&[u8]> {
        (self.stands_for == *target).then_some(&self.bytes[..])
    }

    /// Returns the same query with another path; none if a [`Uri`] can hold both.
    pub fn with_path(&self, target: &PathAndQuery) -> Option<Box<Self>> {
        let at = memchr::memchr(b'?', &self.bytes)?;
        let query = &self.bytes[at..];
        (encoded(query).as_bytes() != query).then(|| {
            Box::new(Self {
                bytes: [target.path().as_bytes(), query].concat().into(),
                stands_for: target.clone(),
            })
        })
    }
}

/// Returns path and query of a target in origin or absolute form.
fn origin_form(target: Bytes) -> Bytes {
    let Some(colon) = memchr::memmem::find(&target, b"://").filter(|_| target[0] != b'/') else {
        return target;
    };
    let rest = target.slice(colon + 3..);
    match memchr::memchr2(b'/', b'?', &rest) {
        Some(at) if rest[at] == b'/' => rest.slice(at..),
        Some(at) => [b"/", &rest[at..]].concat().into(),
        None => Bytes::from_static(b"/"),
    }
}

fn encoded(target: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut text = String::with_capacity(target.len() + 16);
    for &byte in target {
        if KINDS[usize::from(byte)] == 0 {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    text
}

static KINDS: [u8; 256] = {
    let mut kinds = [BAD; 256];
    let mut byte = 0x21;
    while byte < 256 {
        kinds[byte] = match byte {
            0x23 | 0x7f => BAD,
            0x22 | 0x3c | 0x3e | 0x60 | 0x80.. => ODD,
            _ => 0,
        };
        byte += 1;
    }
    kinds
};

const BAD: u8 = 1;
const ODD: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(target: &'static [u8]) -> (String, Option<Box<RawTarget>>) {
        assert!(!TargetKind::of(target).is_bad());
        let (uri, raw) = RawTarget::read(Bytes::from_static(target)).unwrap();
        (uri.path_and_query().unwrap().to_string(), raw)
    }

    #[test]
    fn what_a_uri_cannot_hold_goes_along() {
        let (text, raw) = read(b"/a<b>?c=\"`d\"&\xff");
        assert_eq!(text, "/a%3Cb%3E?c=%22%60d%22&%FF");
        let sent = raw.unwrap();
        let target = PathAndQuery::try_from(text).unwrap();
        assert_eq!(sent.bytes_of(&target).unwrap(), b"/a<b>?c=\"`d\"&\xff");
        assert_eq!(sent.bytes_of(&PathAndQuery::from_static("/x")), None);
        let moved = PathAndQuery::from_static("/x?c=%22%60d%22&%FF");
        let sent = sent.with_path(&moved).unwrap();
        assert_eq!(sent.bytes_of(&moved).unwrap(), b"/x?c=\"`d\"&\xff");
    }

    #[test]
    fn what_a_uri_can_hold_is_not_encoded() {
        let (text, raw) = read("/é?ü\\".as_bytes());
        assert_eq!((text.as_str(), raw), ("/é?ü\\", None));
    }

    #[test]
    fn an_absolute_form_is_sent_as_path_and_query() {
        for (target, expected) in [
            (&b"http://a/<"[..], &b"/<"[..]),
            (b"http://a?<", b"/?<"),
            (b"/<?u=http://a/", b"/<?u=http://a/"),
        ] {
            assert_eq!(&read(target).1.unwrap().bytes[..], expected);
        }
        assert!(RawTarget::read(Bytes::from_static(b"http://<a>/")).is_err());
    }

    #[test]
    fn only_controls_spaces_and_fragments_are_refused() {
        for byte in 0..=u8::MAX {
            let refused = byte <= b' ' || byte == 0x7f || byte == b'#';
            assert_eq!(TargetKind::of(&[b'/', byte]).is_bad(), refused, "{byte:#x}");
        }
    }
}
