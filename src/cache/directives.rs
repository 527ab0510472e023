//! `Cache-Control` of requests and answers (RFC 9111 section 5.2).

use crate::semantics::{
    Headers, Known,
    headers::AsName,
    quoted::{split_unquoted, unquote},
};

/// Directives of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestDirectives {
    pub(crate) no_cache: bool,
    pub(crate) no_store: bool,
    pub(crate) only_if_cached: bool,
    pub(crate) max_age: Option<u64>,
    pub(crate) min_fresh: Option<u64>,
}

/// Directives of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ResponseDirectives {
    pub(super) no_cache: bool,
    pub(super) no_store: bool,
    pub(super) private: bool,
    pub(super) public: bool,
    pub(super) must_revalidate: bool,
    pub(super) proxy_revalidate: bool,
    pub(super) must_understand: bool,
    /// They are for gateways only, and replace all that is said for others.
    pub(super) targeted: bool,
    pub(super) max_age: Option<u64>,
    pub(super) s_maxage: Option<u64>,
    pub(super) stale_while_revalidate: Option<u64>,
    pub(super) stale_if_error: Option<u64>,
}

impl RequestDirectives {
    /// Reads them from the head of a request.
    pub(crate) fn read(headers: &Headers) -> Self {
        let mut read = Self::default();
        if headers.contains(Known::CacheControl) {
            for_each(headers, Known::CacheControl, |name, value| match name {
                b"no-cache" => read.no_cache = true,
                b"no-store" => read.no_store = true,
                b"only-if-cached" => read.only_if_cached = true,
                b"max-age" => least(&mut read.max_age, value),
                b"min-fresh" => read.min_fresh = Some(seconds(value)),
                _ => {}
            });
        } else if let Some(pragma) = headers.get(Known::Pragma) {
            read.no_cache = pragma.as_bytes().eq_ignore_ascii_case(b"no-cache");
        }
        read
    }
}

impl ResponseDirectives {
    /// Reads them from the head of an answer.
    pub(super) fn read(headers: &Headers) -> Self {
        let for_gateways = TARGETED.iter().map(|name| Self::of(headers, *name));
        let mut said = for_gateways.filter(|it| *it != Self::default());
        match said.next() {
            Some(said) => Self {
                targeted: true,
                ..said
            },
            None => Self::of(headers, Known::CacheControl),
        }
    }

    fn of(headers: &Headers, field: impl AsName) -> Self {
        let mut read = Self::default();
        for_each(headers, field, |name, value| match name {
            // With field names, too: the whole answer is treated so.
            b"no-cache" => read.no_cache = true,
            b"no-store" => read.no_store = true,
            b"private" => read.private = true,
            b"public" => read.public = true,
            b"must-revalidate" => read.must_revalidate = true,
            b"proxy-revalidate" => read.proxy_revalidate = true,
            b"must-understand" => read.must_understand = true,
            b"max-age" => least(&mut read.max_age, value),
            b"s-maxage" => least(&mut read.s_maxage, value),
            b"stale-while-revalidate" => least(&mut read.stale_while_revalidate, value),
            b"stale-if-error" => least(&mut read.stale_if_error, value),
            _ => {}
        });
        read
    }
}

/// Keeps the smallest of several values: the strictest counts.
fn least(known: &mut Option<u64>, value: &[u8]) {
    let value = seconds(value);
    *known = Some(known.map_or(value, |known| known.min(value)));
}

/// Reads a number of seconds. One that is no number counts as 0, so that the answer is stale; one
/// that is too large as [`SECONDS_MAX`].
pub(super) fn seconds(text: &[u8]) -> u64 {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    if !digits {
        return 0;
    }
    let number = text.iter().try_fold(0_u64, |number, digit| {
        number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    });
    number.map_or(SECONDS_MAX, |number| number.min(SECONDS_MAX))
}

/// Largest number of seconds that is told apart (RFC 9111 section 1.2.2).
const SECONDS_MAX: u64 = 1 << 31;

/// Fields that speak to gateways only (RFC 9213, and the older one of the W3C), the first of which
/// counts.
const TARGETED: [&str; 2] = ["cdn-cache-control", "surrogate-control"];

/// Calls `found` with the name, in lower case, and the value of each directive of this field. One
/// that names its addressee behind ";" is for somebody else.
fn for_each(headers: &Headers, field: impl AsName, mut found: impl FnMut(&[u8], &[u8])) {
    for line in headers.get_all(field) {
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            let (directive, tail) = split_unquoted(rest, b',');
            rest = tail;
            let directive = directive.trim_ascii();
            let equals = memchr::memchr(b'=', directive);
            let (name, value) = match equals {
                Some(at) => (&directive[..at], &directive[at + 1..]),
                None => (directive, &b""[..]),
            };
            // A blank before or after "=" makes another name, or another value.
            let mut lower = [0; 32];
            let Some(lower) = lower.get_mut(..name.len()) else {
                continue;
            };
            lower.copy_from_slice(name);
            lower.make_ascii_lowercase();
            if !value.contains(&b';') || value.starts_with(b"\"") {
                found(lower, unquote(value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::headers::fields;

    fn read(value: &str) -> ResponseDirectives {
        ResponseDirectives::read(&fields(&[("cache-control", value)]))
    }

    #[test]
    fn directives_are_found_in_any_spelling_and_between_quotes() {
        let found = read("PubLic, Max-Age=\"60\", x=\"no-store, private\", s-maxage=5");
        assert!(found.public && !found.no_store && !found.private);
        assert_eq!((found.max_age, found.s_maxage), (Some(60), Some(5)));
        assert!(read("no-cache=\"set-cookie, x\"").no_cache);
        assert!(read("private=\"a\"").private);
        assert!(read("x, , no-store").no_store);
    }

    #[test]
    fn a_value_that_is_no_number_is_stale_and_the_smallest_counts() {
        for (value, seconds) in [
            ("max-age=60", 60),
            ("max-age=060", 60),
            ("max-age=-1", 0),
            ("max-age=1.5", 0),
            ("max-age", 0),
            ("max-age=", 0),
            ("max-age='60'", 0),
            ("max-age=60, max-age=5", 5),
            ("max-age=99999999999999999999999", SECONDS_MAX),
        ] {
            assert_eq!(read(value).max_age, Some(seconds), "{value}");
        }
        assert_eq!(read("max-age =60").max_age, None);
    }

    #[test]
    fn what_is_said_to_gateways_replaces_what_is_said_to_all() {
        let read = |lines: &[(&str, &str)]| ResponseDirectives::read(&fields(lines));
        let all = ("cache-control", "no-store, max-age=5");
        let found = read(&[all, ("CDN-Cache-Control", "max-age=60")]);
        assert!(found.targeted && !found.no_store && found.max_age == Some(60));
        let found = read(&[all, ("surrogate-control", "max-age=60;other")]);
        assert!(!found.targeted && found.no_store);
    }

    #[test]
    fn pragma_counts_only_without_cache_control() {
        let pragma = fields(&[("pragma", "no-cache")]);
        assert!(RequestDirectives::read(&pragma).no_cache);
        let both = fields(&[("pragma", "no-cache"), ("cache-control", "max-age=5")]);
        let both = RequestDirectives::read(&both);
        assert!(!both.no_cache && both.max_age == Some(5));
    }
}
