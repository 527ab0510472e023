//! Keys of stored answers: the URL as the client sent it, and what the configuration adds.

use std::sync::Arc;

use http::HeaderName;

use crate::semantics::{Headers, Known, cookie, query};

/// Key of a stored answer: its URL, then the values of headers and cookies that the rules name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(Arc<[u8]>);

/// Parts of a request that tell answers apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRules {
    /// Parameters of the query that count.
    pub query: QueryRule,
    /// Headers whose values count.
    pub headers: Vec<HeaderName>,
    /// Cookies whose values count.
    pub cookies: Vec<String>,
    /// The host does not count.
    pub any_host: bool,
}

/// Parameters of a query that are part of the key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum QueryRule {
    /// All, in the order in which they stand.
    #[default]
    All,
    /// All but those that fit one of these names; `*` at the end stands for any rest.
    Without(Vec<String>),
    /// Only those that fit one of these names.
    Only(Vec<String>),
}

/// Parts of a URL.
#[derive(Clone, Copy, Debug)]
pub struct Url<'a> {
    /// The scheme.
    pub scheme: &'a str,
    /// Host, and port if it was sent.
    pub host: &'a str,
    /// Path and query.
    pub target: &'a [u8],
}

impl Key {
    /// The URL.
    pub fn url(&self) -> &[u8] {
        let end = memchr::memchr(END, &self.0).unwrap_or(self.0.len());
        &self.0[..end]
    }

    /// All of it.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Bytes of memory.
    pub(super) fn weight(&self) -> usize {
        self.0.len()
    }
}

impl KeyRules {
    /// Makes the key of a request.
    pub(crate) fn key(&self, url: Url<'_>, headers: &Headers) -> Key {
        let mut text = self.url(url);
        for name in &self.headers {
            text.push(END);
            for value in headers.get_all(name) {
                // Between two lines stands a byte that no value has.
                text.extend_from_slice(value.as_bytes());
                text.push(b'\n');
            }
        }
        for name in &self.cookies {
            text.push(END);
            match cookie::find(headers, name) {
                Some(value) => text.extend_from_slice(value),
                None => text.push(b'\n'),
            }
        }
        Key(text.into())
    }

    /// The part of a key that is the URL.
    pub(crate) fn url(&self, url: Url<'_>) -> Vec<u8> {
        let host = if self.any_host { "" } else { url.host };
        let mut text = Vec::with_capacity(url.scheme.len() + host.len() + url.target.len() + 16);
        text.extend_from_slice(url.scheme.as_bytes());
        text.extend_from_slice(b"://");
        text.extend_from_slice(host.as_bytes());
        let end = memchr::memchr(b'?', url.target).unwrap_or(url.target.len());
        let (path, rest) = url.target.split_at(end);
        text.extend_from_slice(path);
        let Some(query) = rest.strip_prefix(b"?") else {
            return text;
        };
        match &self.query {
            QueryRule::All => text.extend_from_slice(rest),
            QueryRule::Without(names) => add_query(&mut text, query, |name| !fits(names, name)),
            QueryRule::Only(names) => add_query(&mut text, query, |name| fits(names, name)),
        }
        text
    }

    /// The beginning of the keys of URLs that begin so, query included as it is written.
    pub(crate) fn prefix(&self, url: Url<'_>) -> Vec<u8> {
        let host = if self.any_host { "" } else { url.host };
        [url.scheme.as_bytes(), b"://", host.as_bytes(), url.target].concat()
    }

    /// Returns true if the value of this header is part of the key.
    pub(crate) fn has_header(&self, name: &[u8]) -> bool {
        let mut names = self.headers.iter();
        names.any(|it| it.as_str().as_bytes().eq_ignore_ascii_case(name))
    }

    /// Removes header fields that often change an answer, and that are no part of the key: an
    /// attacker could store an answer for others with them.
    pub(crate) fn strip_unkeyed(&self, headers: &mut Headers, host: Option<&str>) {
        for name in UNKEYED {
            if headers.contains(name) && !self.has_header(name.as_bytes()) {
                headers.remove(name);
            }
        }
        // The proxy's own says the host, which is part of the key. One of a trusted peer may differ.
        let forwarded = headers.get(Known::XForwardedHost);
        let same = forwarded.is_none_or(|it| host.is_some_and(|host| it == *host));
        if !(same && !self.any_host || self.has_header(b"x-forwarded-host")) {
            headers.remove(Known::XForwardedHost);
        }
    }
}

/// Fields of requests that frameworks read as another host, path, scheme or method.
const UNKEYED: [&str; 16] = [
    "x-host",
    "x-forwarded-server",
    "x-http-host-override",
    "x-original-host",
    "x-original-url",
    "x-rewrite-url",
    "x-forwarded-path",
    "x-forwarded-prefix",
    "x-forwarded-port",
    "x-forwarded-scheme",
    "x-forwarded-ssl",
    "x-url-scheme",
    "front-end-https",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];

/// Adds the parameters of a query that count.
fn add_query(text: &mut Vec<u8>, query: &[u8], counts: impl Fn(&[u8]) -> bool) {
    let mut separator = b'?';
    for pair in query.split(|byte| *byte == b'&') {
        let end = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        let name: Vec<u8> = query::decode(&pair[..end]).collect();
        // Some servers end a parameter at ";": another may follow that does count.
        if counts(&name) || pair.contains(&b';') {
            text.push(separator);
            text.extend_from_slice(pair);
            separator = b'&';
        }
    }
}

fn fits(names: &[String], name: &[u8]) -> bool {
    names.iter().any(|it| match it.strip_suffix('*') {
        Some(start) => name.starts_with(start.as_bytes()),
        None => it.as_bytes() == name,
    })
}

/// Ends a part of a key. No URL and no value has it.
const END: u8 = 0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::headers::fields;

    fn key(rules: &KeyRules, target: &str, lines: &[(&str, &str)]) -> Key {
        let url = Url {
            scheme: "https",
            host: "shop.example",
            target: target.as_bytes(),
        };
        rules.key(url, &fields(lines))
    }

    #[test]
    fn the_key_is_the_url_as_it_was_sent() {
        let rules = KeyRules::default();
        let found = key(&rules, "/a%2fb?x=1&y", &[("cookie", "a=b")]);
        assert_eq!(found.url(), b"https://shop.example/a%2fb?x=1&y");
        assert_ne!(found, key(&rules, "/a%2Fb?x=1&y", &[]));
        assert_ne!(found, key(&rules, "/a%2fb?y&x=1", &[]));
    }

    #[test]
    fn parameters_are_kept_or_ignored_by_name() {
        let names = vec!["utm_*".to_owned(), "a b".to_owned()];
        let without = KeyRules {
            query: QueryRule::Without(names.clone()),
            ..KeyRules::default()
        };
        let only = KeyRules {
            query: QueryRule::Only(names),
            ..KeyRules::default()
        };
        let target = "/p?utm_source=x&q=1&a+b=2&utm_=&r";
        let url = |rules| String::from_utf8(key(rules, target, &[]).url().to_vec()).unwrap();
        assert_eq!(url(&without), "https://shop.example/p?q=1&r");
        assert_eq!(
            url(&only),
            "https://shop.example/p?utm_source=x&a+b=2&utm_="
        );
        let bare = key(&only, "/p?q=1", &[]);
        assert_eq!(bare, key(&only, "/p", &[]));
    }

    #[test]
    fn a_parameter_that_may_hide_another_counts() {
        let rules = KeyRules {
            query: QueryRule::Without(vec!["x".to_owned()]),
            ..KeyRules::default()
        };
        let hiding = key(&rules, "/p?x=1;q=2", &[]);
        assert_eq!(hiding.url(), b"https://shop.example/p?x=1;q=2");
        assert_eq!(key(&rules, "/p?x=1%3bq=2", &[]), key(&rules, "/p", &[]));
    }

    #[test]
    fn headers_and_cookies_cannot_be_mistaken_for_each_other() {
        let rules = KeyRules {
            headers: vec![HeaderName::from_static("a"), HeaderName::from_static("b")],
            cookies: vec!["c".to_owned()],
            any_host: true,
            ..KeyRules::default()
        };
        let all = [
            key(&rules, "/", &[]),
            key(&rules, "/", &[("a", "1")]),
            key(&rules, "/", &[("b", "1")]),
            key(&rules, "/", &[("a", "1"), ("a", "2")]),
            key(&rules, "/", &[("a", "1, 2")]),
            key(&rules, "/", &[("a", "")]),
            key(&rules, "/", &[("cookie", "c=")]),
            key(&rules, "/", &[("cookie", "c=1")]),
        ];
        for (at, one) in all.iter().enumerate() {
            assert_eq!(one.url(), b"https:///");
            assert!(!all[..at].contains(one), "{at}");
        }
    }

    #[test]
    fn unkeyed_fields_do_not_go_upstream() {
        let lines = [
            ("x-original-url", "/admin"),
            ("X-HTTP-Method-Override", "DELETE"),
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-proto", "https"),
        ];
        let mut headers = fields(&lines);
        KeyRules::default().strip_unkeyed(&mut headers, Some("shop.example"));
        assert_eq!(headers, fields(&lines[3..]));
        let rules = KeyRules {
            headers: vec![
                HeaderName::from_static("x-original-url"),
                HeaderName::from_static("x-forwarded-host"),
            ],
            ..KeyRules::default()
        };
        let mut headers = fields(&lines);
        rules.strip_unkeyed(&mut headers, None);
        assert_eq!(headers.len(), 3);
    }
}
