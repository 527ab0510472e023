//! Values that are not kept: a keyed digest stands in their place.
//!
//! A digest tells whether a value is the one that a condition names, and whether two values are
//! the same, and nothing else: its key is random, of this process, and never leaves it.

use std::{
    borrow::Cow,
    collections::HashMap,
    hash::{BuildHasher as _, Hasher as _, RandomState},
};

use crate::semantics::{
    query,
    secret_names::{Part, SecretNames, split_cookies},
};

/// The key of the digests of this process.
#[derive(Clone, Debug, Default)]
pub struct DigestKey(RandomState);

impl DigestKey {
    /// The digest of a value.
    pub(super) fn digest(&self, value: impl IntoIterator<Item = u8>) -> u64 {
        let mut hasher = self.0.build_hasher();
        value.into_iter().for_each(|byte| hasher.write_u8(byte));
        hasher.finish()
    }

    /// Appends what is kept of a secret value.
    pub(super) fn seal(&self, value: impl IntoIterator<Item = u8>, out: &mut Vec<u8>) {
        out.push(MARK);
        out.extend_from_slice(format!("{:016x}", self.digest(value)).as_bytes());
    }

    /// Returns what is kept of a target: without the values of secret parameters.
    pub(super) fn seal_target(&self, target: &str, names: &SecretNames) -> String {
        let mut out = Vec::with_capacity(target.len());
        names.split_url(target.as_bytes(), &mut |part| match part {
            Part::Shown(text) => out.extend_from_slice(text),
            // As conditions see it.
            Part::Secret(value) => self.seal(query::decode(value), &mut out),
        });
        String::from_utf8(out).unwrap_or_default()
    }

    /// Returns what is kept of the value of a header.
    pub(super) fn seal_header(&self, name: &[u8], value: &[u8], names: &SecretNames) -> Box<[u8]> {
        let mut out = Vec::with_capacity(value.len());
        let mut put = |part: Part<'_>| match part {
            Part::Shown(text) => out.extend_from_slice(text),
            Part::Secret(value) => self.seal(value.iter().copied(), &mut out),
        };
        if name.eq_ignore_ascii_case(b"cookie") {
            // Whatever the configuration says: conditions look for the names of cookies.
            split_cookies(value, true, &mut put);
        } else if is_sealed(value) {
            put(Part::Secret(value));
        } else {
            names.split_header(name, value, &mut put);
        }
        out.into()
    }
}

/// Texts that conditions name, by their digests: a kept digest that is here is known again.
#[derive(Debug, Default)]
pub(super) struct Named<'a>(HashMap<u64, &'a str>);

impl<'a> Named<'a> {
    pub(super) fn add(&mut self, key: &DigestKey, text: &'a str) {
        self.0.insert(key.digest(text.bytes()), text);
    }

    /// Returns a kept text with the named values in it, and with the digests in place of the
    /// others: no condition names them, and they stay apart from each other.
    pub(super) fn open<'t>(&self, kept: &'t [u8], form: Opened) -> Cow<'t, [u8]> {
        replaced(kept, |digits, out| {
            let known = u64::from_str_radix(digits, 16).ok();
            let known = known.and_then(|digest| self.0.get(&digest));
            match (known, form) {
                (None, _) => out.extend_from_slice(digits.as_bytes()),
                (Some(text), Opened::Field) => out.extend_from_slice(text.as_bytes()),
                (Some(text), Opened::Query) => {
                    let encoded = text
                        .bytes()
                        .flat_map(|byte| format!("%{byte:02X}").into_bytes());
                    out.extend(encoded);
                }
            }
        })
    }
}

/// Place of an opened value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// A header field.
    Field,
    /// A query, in which it is encoded.
    Query,
}

/// Returns true if a kept text has a digest in it.
pub(super) fn is_sealed(kept: &[u8]) -> bool {
    kept.contains(&MARK)
}

/// Returns true if a kept text has a digest in it, and more.
pub(super) fn is_sealed_in_part(kept: &[u8]) -> bool {
    is_sealed(kept) && kept.len() != 1 + DIGITS
}

/// Returns a kept text for people, with `***` in place of what was not kept.
pub(super) fn shown(kept: &[u8]) -> String {
    let shown = replaced(kept, |_, out| out.extend_from_slice(b"***"));
    String::from_utf8_lossy(&shown).into_owned()
}

fn replaced(kept: &[u8], with: impl Fn(&str, &mut Vec<u8>)) -> Cow<'_, [u8]> {
    if !is_sealed(kept) {
        return Cow::Borrowed(kept);
    }
    let mut out = Vec::with_capacity(kept.len());
    let mut parts = kept.split(|&byte| byte == MARK);
    out.extend_from_slice(parts.next().unwrap_or_default());
    for part in parts {
        let (digits, rest) = part.split_at(DIGITS.min(part.len()));
        with(std::str::from_utf8(digits).unwrap_or_default(), &mut out);
        out.extend_from_slice(rest);
    }
    Cow::Owned(out)
}

/// Byte in front of a digest. Neither a target nor the value of a header can have it.
const MARK: u8 = 1;
/// Digits of a digest.
const DIGITS: usize = 16;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secrets_are_not_kept_and_known_again() {
        let key = DigestKey::default();
        let names = SecretNames::new(["card"], [""; 0]);
        let target = key.seal_target("/a?page=2&Card=1%2B1&%74oken=abc&flag&x=", &names);
        assert_eq!(
            shown(target.as_bytes()),
            "/a?page=2&Card=***&%74oken=***&flag&x="
        );
        assert!(!target.contains("1%2B1") && !target.contains("abc"));
        let mut named = Named::default();
        named.add(&key, "1+1");
        named.add(&key, "other");
        let opened = named.open(target.as_bytes(), Opened::Query);
        let opened = String::from_utf8(opened.into_owned()).unwrap();
        assert!(
            opened.starts_with("/a?page=2&Card=%31%2B%31&%74oken="),
            "{opened}"
        );
        assert!(!opened.contains("abc"));

        let seal =
            |name: &str, value: &str| key.seal_header(name.as_bytes(), value.as_bytes(), &names);
        let line = seal("Cookie", "a=1;b=x=y; lonely");
        assert_eq!(shown(&line), "a=***;b=***; ***");
        named.add(&key, "x=y");
        let opened = named.open(&line, Opened::Field);
        assert!(
            String::from_utf8(opened.into_owned())
                .unwrap()
                .contains(";b=x=y; ")
        );
        let referer = seal("referer", "https://h/?code=1&a=2");
        assert_eq!(shown(&referer), "https://h/?code=***&a=2");
        assert_eq!(shown(&seal("card", "1")), "***");
        assert_eq!(shown(&seal("x-plain", "\u{1}0123456789abcdef")), "***");
    }
}
