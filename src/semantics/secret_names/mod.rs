//! Names of secrets: headers, query parameters and cookies whose values are neither shown nor kept.
//!
//! The one rule of the access log, traces, records of requests, dry runs and printed
//! configurations. A name counts if it looks like that of a secret, or if the configuration says
//! so. Owns no state.

mod words;

use std::borrow::Cow;

use super::query;

pub use words::looks_secret;

/// The rule, with what a configuration adds to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretNames {
    named: Box<[Box<str>]>,
    shown: Box<[Box<str>]>,
}

/// Piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'t> {
    /// May be shown.
    Shown(&'t [u8]),
    /// Must not.
    Secret(&'t [u8]),
}

impl SecretNames {
    /// Adds names of secrets, and names that only look like those of secrets. A name in both is that
    /// of a secret.
    pub fn new<N, S>(named: N, shown: S) -> Self
    where
        N: IntoIterator<Item: Into<Box<str>>>,
        S: IntoIterator<Item: Into<Box<str>>>,
    {
        Self {
            named: named.into_iter().map(Into::into).collect(),
            shown: shown.into_iter().map(Into::into).collect(),
        }
    }

    /// Returns true if values of this name are secrets; case-insensitive.
    pub fn has(&self, name: &[u8]) -> bool {
        if has(&self.named, name) {
            return true;
        }
        looks_secret(name) && !has(&self.shown, name)
    }

    /// Splits a URL or a target at the values of secret parameters; also such URLs in values of
    /// other parameters are secrets.
    pub fn split_url<'t>(&self, url: &'t [u8], put: &mut dyn FnMut(Part<'t>)) {
        self.split_url_within(url, NESTED_MAX, put);
    }

    /// Splits the value of a header: credentials are secrets as a whole, cookies without their
    /// names, and URLs where their queries have secrets.
    pub fn split_header<'t>(&self, name: &[u8], value: &'t [u8], put: &mut dyn FnMut(Part<'t>)) {
        let is_cookie = name.eq_ignore_ascii_case(b"cookie");
        if has(&self.named, name) {
            put(Part::Secret(value));
        } else if has(&self.shown, name) {
            put(Part::Shown(value));
        } else if is_cookie || name.eq_ignore_ascii_case(b"set-cookie") {
            split_cookies(value, is_cookie, put);
        } else if looks_secret(name) {
            put(Part::Secret(value));
        } else {
            self.split_url(value, put);
        }
    }

    /// Masks the values of secret parameters in a URL or a target.
    pub fn masked_url<'t>(&self, url: &'t str) -> Cow<'t, str> {
        if memchr::memchr2(b'?', b'#', url.as_bytes()).is_none() {
            return Cow::Borrowed(url);
        }
        let mut shown = Vec::with_capacity(url.len());
        self.split_url(url.as_bytes(), &mut |part| match part {
            Part::Shown(text) => shown.extend_from_slice(text),
            Part::Secret(_) => shown.extend_from_slice(MASK.as_bytes()),
        });
        // Cut at ASCII only.
        Cow::Owned(String::from_utf8(shown).unwrap_or_else(|_| MASK.to_owned()))
    }

    fn split_url_within<'t>(&self, url: &'t [u8], nested: u8, put: &mut dyn FnMut(Part<'t>)) {
        let mut shown = 0;
        let mut at = memchr::memchr2(b'?', b'#', url).map_or(url.len(), |start| start + 1);
        while at < url.len() {
            // Some servers also separate parameters by semicolons.
            let length = url[at..].iter().position(|byte| b"&;?#".contains(byte));
            let end = length.map_or(url.len(), |length| at + length);
            if let Some(equals) = memchr::memchr(b'=', &url[at..end]) {
                let (name, value) = (&url[at..at + equals], &url[at + equals + 1..end]);
                if !value.is_empty() && (self.has_parameter(name) || self.is_within(value, nested))
                {
                    put(Part::Shown(&url[shown..at + equals + 1]));
                    put(Part::Secret(value));
                    shown = end;
                }
            }
            at = end + 1;
        }
        if shown < url.len() {
            put(Part::Shown(&url[shown..]));
        }
    }

    /// Returns true for the name of a secret parameter, however it is encoded.
    fn has_parameter(&self, name: &[u8]) -> bool {
        match query::is_encoded(name) {
            true => self.has(&query::decode(name).collect::<Vec<_>>()),
            false => self.has(name),
        }
    }

    /// Returns true if a value is an encoded URL with a secret in its query.
    fn is_within(&self, value: &[u8], nested: u8) -> bool {
        let mut escapes = memchr::memchr_iter(b'%', value);
        let is_query = |at| {
            matches!(
                value.get(at + 1..at + 3),
                Some(b"3F" | b"3f" | b"23" | b"25")
            )
        };
        let Some(nested) = nested.checked_sub(1).filter(|_| escapes.any(is_query)) else {
            return false;
        };
        let decoded: Vec<u8> = query::decode(value).collect();
        let mut found = false;
        self.split_url_within(&decoded, nested, &mut |part| {
            found |= matches!(part, Part::Secret(_));
        });
        // A URL that is encoded twice has its query one level further in.
        found || (memchr::memchr(b'?', &decoded).is_none() && self.is_within(&decoded, nested))
    }
}

/// Splits a line of cookies: their values are secrets. Of a line that sets one, the rest are
/// attributes.
pub fn split_cookies<'t>(line: &'t [u8], all: bool, put: &mut dyn FnMut(Part<'t>)) {
    let mut rest = line;
    while !rest.is_empty() {
        let end = memchr::memchr(b';', rest).unwrap_or(rest.len());
        let (pair, after) = rest.split_at(end);
        let start = pair.len() - pair.trim_ascii_start().len();
        // Without a name it is all value.
        let value = memchr::memchr(b'=', pair).map_or(start, |equals| equals + 1);
        put(Part::Shown(&pair[..value]));
        put(Part::Secret(&pair[value..]));
        if !all {
            return put(Part::Shown(after));
        }
        let (separator, next) = after.split_at(after.len().min(1));
        put(Part::Shown(separator));
        rest = next;
    }
}

fn has(names: &[Box<str>], name: &[u8]) -> bool {
    let mut names = names.iter();
    names.any(|own| own.as_bytes().eq_ignore_ascii_case(name))
}

/// Text in place of a secret.
const MASK: &str = "***";
/// Levels of URLs within the queries of others that are looked into.
const NESTED_MAX: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(split: impl FnOnce(&mut dyn FnMut(Part<'_>))) -> String {
        let mut out = Vec::new();
        split(&mut |part| match part {
            Part::Shown(text) => out.extend_from_slice(text),
            Part::Secret(_) => out.extend_from_slice(b"***"),
        });
        String::from_utf8(out).unwrap()
    }

    fn url(url: &str) -> String {
        masked(|put| SecretNames::default().split_url(url.as_bytes(), put))
    }

    #[test]
    fn secret_parameters_are_found_however_they_are_written() {
        assert_eq!(url("/a?b=1&token=x&c"), "/a?b=1&token=***&c");
        assert_eq!(
            url("/a?%74o%6Ben=x=y;sig=z#key=1"),
            "/a?%74o%6Ben=***;sig=***#key=***"
        );
        assert_eq!(url("/token=x?tokens=&=1&%=2"), "/token=x?tokens=&=1&%=2");
        assert_eq!(
            url("https://h/a#access_token=x"),
            "https://h/a#access_token=***"
        );
        assert_eq!(
            url("/a?u=https://b/?sig=x&c=1"),
            "/a?u=https://b/?sig=***&c=1"
        );
        assert_eq!(url("/a?u=%2Fb%3Fsig%3Dx&c=1"), "/a?u=***&c=1");
        assert_eq!(url("/a?u=%252Fb%253Fsig%253Dx&c=1"), "/a?u=***&c=1");
        assert_eq!(url("/a?u=%2Fb%3Fpage%3D1"), "/a?u=%2Fb%3Fpage%3D1");
        assert_eq!(url("/key=1"), "/key=1");
        assert_eq!(url(""), "");
        // Whatever a client sends ends.
        let deep = format!("/a?u=%{}3Fsig%3Dx", "25".repeat(10_000));
        assert_eq!(url(&deep), deep);
    }

    #[test]
    fn headers_show_what_is_no_secret() {
        let names = SecretNames::new(["x-tenant"], ["x-design-key"]);
        let shown = |name: &str, value: &str| {
            masked(|put| names.split_header(name.as_bytes(), value.as_bytes(), put))
        };
        assert_eq!(shown("Authorization", "Bearer x"), "***");
        assert_eq!(shown("X-Tenant", "a"), "***");
        assert_eq!(shown("x-design-key", "a"), "a");
        assert_eq!(shown("cookie", "a=1;b=x=y; lonely"), "a=***;b=***; ***");
        assert_eq!(
            shown("set-cookie", "a=1; Path=/; Secure"),
            "a=***; Path=/; Secure"
        );
        assert_eq!(
            shown("referer", "https://h/?code=1&a=2"),
            "https://h/?code=***&a=2"
        );
        assert_eq!(
            shown("link", "<https://h/?sig=1>; rel=next"),
            "<https://h/?sig=***; rel=next"
        );
        assert_eq!(shown("accept", "text/html;q=0.9"), "text/html;q=0.9");
    }
}
