//! Values that are not kept: a keyed digest stands in their place.
//!
//! A digest tells whether a value is the one that a condition names, and whether two values are
//! the same, and nothing else: its key is random, of this process, and never leaves it.

use std::{
    borrow::Cow,
    collections::HashMap,
    hash::{BuildHasher as _, Hasher as _, RandomState},
};

use crate::{
    config::{
        Config,
        schema::{AuthStep, KeySource},
    },
    semantics::query,
};

/// Names of headers and query parameters whose values are not kept, besides those that look like
/// names of secrets.
#[derive(Debug, Default)]
pub struct PrivateNames(Vec<Box<str>>);

/// The key of the digests of this process.
#[derive(Clone, Debug, Default)]
pub struct DigestKey(RandomState);

impl PrivateNames {
    /// The names of which a configuration says so: those of keys, those that the access log masks,
    /// those of conditions whose values come from elsewhere, and the debug header.
    pub fn of(config: &Config) -> Self {
        let ways = config
            .routes
            .values()
            .filter_map(|route| route.auth.as_ref());
        let ways = ways.flat_map(|auth| auth.ways());
        let sources = ways.filter_map(|way| match way {
            AuthStep::ApiKey(key) => Some(&key.source),
            AuthStep::Jwt(jwt) => jwt.source.as_ref(),
            _ => None,
        });
        let keys = sources.filter_map(|source| match source {
            KeySource::Header(name) => Some(name.as_str()),
            KeySource::Query(name) => Some(name.as_str()),
            // The value of no cookie is kept.
            KeySource::Cookie(_) => None,
        });
        let masked = config.access_log.iter().flat_map(|log| &log.fields.redact);
        let debug = config.proxy.debug_header.iter();
        let debug = debug.map(|header| header.name.as_str());
        let names = keys.chain(masked.map(String::as_str)).chain(debug);
        let names = names.chain(of_conditions(config));
        let mut names: Vec<Box<str>> = names.map(Box::from).collect();
        names.sort_unstable();
        names.dedup();
        Self(names)
    }

    /// Returns true if values of this name are not kept.
    pub fn has(&self, name: &[u8]) -> bool {
        let is_named = |own: &str| own.as_bytes().eq_ignore_ascii_case(name);
        let holds = |word: &&str| {
            let mut places = name.windows(word.len());
            places.any(|place| place.eq_ignore_ascii_case(word.as_bytes()))
        };
        WORDS.iter().any(holds) || self.0.iter().any(|own| is_named(own))
    }
}

/// Names of headers and parameters that routes compare with values from elsewhere.
fn of_conditions(config: &Config) -> impl Iterator<Item = &str> {
    config.routes.iter().flat_map(move |(route, written)| {
        let headers = written.headers.iter().map(|(name, _)| name.as_str());
        let headers = headers.map(|name| ("headers", name));
        let query = written.query.iter().map(|(name, _)| ("query", &**name));
        let all = headers.chain(query);
        all.filter_map(move |(kind, name)| {
            let place = ["routes", route, kind, name];
            config.hides(&place).then_some(name)
        })
    })
}

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

    /// Appends the value of a header with the values of cookies replaced.
    pub(super) fn seal_cookies(&self, line: &[u8], out: &mut Vec<u8>) {
        for (place, pair) in line.split(|&byte| byte == b';').enumerate() {
            if place > 0 {
                out.extend_from_slice(b"; ");
            }
            let pair = pair.trim_ascii();
            let name = pair.iter().position(|&byte| byte == b'=');
            let (name, value) = pair.split_at(name.map_or(0, |end| end + 1));
            out.extend_from_slice(name);
            self.seal(value.iter().copied(), out);
        }
    }

    /// Returns a target with the values of private parameters replaced.
    pub(super) fn seal_target(&self, target: &str, names: &PrivateNames) -> String {
        let Some((path, written)) = target.split_once('?') else {
            return target.to_owned();
        };
        let mut out = [path.as_bytes(), b"?"].concat();
        for (place, pair) in written.split('&').enumerate() {
            if place > 0 {
                out.push(b'&');
            }
            let name = |name: &str| query::decode(name.as_bytes()).collect::<Vec<u8>>();
            match pair.split_once('=') {
                Some((key, value)) if names.has(&name(key)) => {
                    out.extend_from_slice(key.as_bytes());
                    out.push(b'=');
                    self.seal(query::decode(value.as_bytes()), &mut out);
                }
                _ => out.extend_from_slice(pair.as_bytes()),
            }
        }
        String::from_utf8(out).unwrap_or_default()
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
/// A name with one of these in it is taken for that of a secret.
const WORDS: &[&str] = &[
    "auth",
    "code",
    "cookie",
    "credential",
    "jwt",
    "key",
    "pass",
    "secret",
    "session",
    "sig",
    "token",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secrets_are_not_kept_and_known_again() {
        let key = DigestKey::default();
        let names = PrivateNames(vec!["card".into()]);
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

        let mut line = Vec::new();
        key.seal_cookies(b"a=1;b=x=y; lonely", &mut line);
        assert_eq!(shown(&line), "a=***; b=***; ***");
        named.add(&key, "x=y");
        let opened = named.open(&line, Opened::Field);
        assert!(
            String::from_utf8(opened.into_owned())
                .unwrap()
                .contains("; b=x=y; ")
        );
    }

    #[test]
    fn names_of_secrets_are_recognised_in_any_case() {
        let names = PrivateNames(vec!["x-tenant".into()]);
        for name in ["Authorization", "x-api-key", "X-Tenant", "access_TOKEN"] {
            assert!(names.has(name.as_bytes()), "{name}");
        }
        for name in ["host", "accept", "x-tenant-name", "", "page"] {
            assert!(!names.has(name.as_bytes()), "{name}");
        }
    }
}
