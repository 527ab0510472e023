//! Redaction: values of query parameters and of added fields that logs must not show.

use std::borrow::Cow;

use super::escape::Escape;

/// Names whose values are shown as `***`; case-insensitive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redaction {
    query: Vec<Box<str>>,
    fields: Vec<Box<str>>,
}

impl Redaction {
    /// Hides the values of these query parameters and of these added fields; `user-agent` (or
    /// `user_agent`) names the built-in field.
    pub fn new<Q, F>(query: Q, fields: F) -> Self
    where
        Q: IntoIterator<Item: AsRef<str>>,
        F: IntoIterator<Item: AsRef<str>>,
    {
        let query = query.into_iter().map(|name| name.as_ref().into()).collect();
        let fields = fields
            .into_iter()
            .map(|name| name.as_ref().replace('_', "-").into());
        Self {
            query,
            fields: fields.collect(),
        }
    }

    /// Masks the values of query parameters in a URL.
    pub fn url(&self, url: &str) -> String {
        let mut shown = Vec::with_capacity(url.len());
        self.path(url, Escape::Nothing, &mut shown);
        String::from_utf8(shown).unwrap_or_else(|_| String::from_utf8_lossy(MASK).into_owned())
    }

    /// Masks the values of query parameters in a path with its query.
    pub fn shown<'a>(&self, path: &'a str) -> Cow<'a, str> {
        if self.query.is_empty() || !path.contains('?') {
            return Cow::Borrowed(path);
        }
        Cow::Owned(self.url(path))
    }

    /// Appends path and query.
    pub(super) fn path(&self, path: &str, escape: Escape, out: &mut Vec<u8>) {
        let split = (!self.query.is_empty()).then(|| path.split_once('?'));
        let Some((path, query)) = split.flatten() else {
            escape.put(path.as_bytes(), out);
            return;
        };
        escape.put(path.as_bytes(), out);
        out.push(b'?');
        // Some servers also separate parameters by semicolons.
        for parameter in query.split_inclusive(['&', ';']) {
            let (body, end) = match parameter.strip_suffix(['&', ';']) {
                Some(body) => (body, &parameter[body.len()..]),
                None => (parameter, ""),
            };
            match body.split_once('=') {
                Some((name, _)) if self.hides_parameter(name) => {
                    escape.put(name.as_bytes(), out);
                    out.push(b'=');
                    out.extend_from_slice(MASK);
                }
                _ => escape.put(body.as_bytes(), out),
            }
            escape.put(end.as_bytes(), out);
        }
    }

    /// Appends the value of an added field.
    pub(super) fn field(&self, name: &str, value: &[u8], escape: Escape, out: &mut Vec<u8>) {
        let hides = |own: &str| {
            let dashed = |byte: u8| if byte == b'_' { b'-' } else { byte };
            let given = name.bytes().map(|byte| dashed(byte.to_ascii_lowercase()));
            given.eq(own.bytes().map(|byte| byte.to_ascii_lowercase()))
        };
        if self.fields.iter().any(|own| hides(own)) {
            out.extend_from_slice(MASK);
        } else {
            escape.put(value, out);
        }
    }

    fn hides_parameter(&self, name: &str) -> bool {
        self.query.iter().any(|own| {
            let wanted = own.bytes().map(|byte| byte.to_ascii_lowercase());
            Decoded(name.as_bytes())
                .map(|byte| byte.to_ascii_lowercase())
                .eq(wanted)
        })
    }
}

/// Percent-decodes byte by byte, since `%74oken` reaches the endpoint as `token`.
struct Decoded<'a>(&'a [u8]);

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        if let (b'%', [high, low, after @ ..]) = (*first, rest)
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            self.0 = after;
            return Some(high << 4 | low);
        }
        self.0 = rest;
        Some(if *first == b'+' { b' ' } else { *first })
    }
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

const MASK: &[u8] = b"***";
