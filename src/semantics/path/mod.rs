//! The target of a request: its parts, and the path in the form that routes see.
//!
//! Stands before routing. The normal form is for matching only; path and query go
//! to the endpoint byte for byte. So a path that the endpoint might resolve to
//! another place than the route table did is refused here, or carried in both
//! readings so that the table can compare. Source: RFC 3986 sections 5.2.4 and
//! 6.2.2, RFC 9112 section 3.2.

mod prefix;

use std::borrow::Cow;

use crate::failure::BadRequest;

pub use prefix::{rewritable, strip_prefix};

/// A request target in its parts, as sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathTarget<'a> {
    /// Its form as written.
    pub form: Form,
    /// `http` or `https` as written, in absolute form.
    pub scheme: Option<&'a [u8]>,
    /// The part between `//` and the path, in absolute form; not validated here.
    pub authority: Option<&'a [u8]>,
    /// The path; `/` if an absolute form has none, `*` for the asterisk form.
    pub path: &'a [u8],
    /// The part after the first `?`.
    pub query: Option<&'a [u8]>,
}

/// Forms of a target that a gateway accepts (RFC 9112 section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `/path?query`
    Origin,
    /// `http://host/path?query`
    Absolute,
    /// `*`, only with OPTIONS.
    Asterisk,
}

impl<'a> PathTarget<'a> {
    /// Splits a target; the authority form (CONNECT) is refused.
    ///
    /// # Errors
    /// [`BadRequest::Target`] for spaces, control bytes, `#` and any other form.
    pub fn split(target: &'a [u8]) -> Result<Self, BadRequest> {
        if target.iter().any(|&byte| is_forbidden(byte)) {
            return Err(BadRequest::Target);
        }
        if target == b"*" {
            return Ok(Self::of(Form::Asterisk, target, None));
        }
        if target.first() == Some(&b'/') {
            let (path, query) = split_query(target);
            return Ok(Self::of(Form::Origin, path, query));
        }
        let (scheme, rest) = split_scheme(target).ok_or(BadRequest::Target)?;
        let end = memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let (path, query) = split_query(rest);
        let path = if path.is_empty() { b"/" } else { path };
        Ok(Self {
            scheme: Some(scheme),
            authority: Some(authority),
            ..Self::of(Form::Absolute, path, query)
        })
    }

    fn of(form: Form, path: &'a [u8], query: Option<&'a [u8]>) -> Self {
        Self {
            form,
            scheme: None,
            authority: None,
            path,
            query,
        }
    }
}

/// A path in the form that routes are compared with: ASCII, escapes of unreserved bytes decoded,
/// the others in upper case, no empty, `.` or `..` segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalPath<'a> {
    text: Cow<'a, str>,
    /// The alternative reading of a path with `%2F`.
    decoded: Option<Box<str>>,
}

impl<'a> NormalPath<'a> {
    /// The normal form; encoded slashes stay encoded.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The normal form of the same path with its encoded slashes decoded, if it has any.
    pub fn with_slashes_decoded(&self) -> Option<&str> {
        self.decoded.as_deref()
    }

    /// Takes a path that is known to be normal, as in the configuration and tests.
    pub fn trusted(text: &'a str) -> Self {
        Self {
            text: Cow::Borrowed(text),
            decoded: None,
        }
    }
}

/// Normalizes a path; borrows if it already is normal.
///
/// `/a//b` is `/a/b`, `/a/./b` is `/a/b`, `/a/../b` is `/b`, `/%7ea` is `/~a`,
/// `/%c3%a9` is `/%C3%A9` and so is the same in raw bytes. The empty path is `/`.
///
/// # Errors
/// [`BadRequest::Path`] for `%00`, `%5C`, a backslash, an escape without two hex digits, a
/// path that climbs above the root, and dot segments with parameters (`..;`), which some
/// servers resolve and others do not; [`BadRequest::Target`] for bytes no path may hold.
pub fn normalise(path: &[u8]) -> Result<NormalPath<'_>, BadRequest> {
    if path == b"*" {
        return Ok(NormalPath::trusted("*"));
    }
    if path.is_empty() {
        return Ok(NormalPath::trusted("/"));
    }
    if path[0] != b'/' {
        return Err(BadRequest::Target);
    }
    if is_normal(path) {
        let text = std::str::from_utf8(path).map_err(|_| BadRequest::Target)?;
        return Ok(NormalPath::trusted(text));
    }
    let (text, slashes) = unescape(path, EncodedSlash::Keep)?;
    let text = Cow::Owned(resolve_dots(&text)?);
    let decoded = if slashes {
        let (text, _) = unescape(path, EncodedSlash::Decode)?;
        Some(resolve_dots(&text)?.into_boxed_str())
    } else {
        None
    };
    Ok(NormalPath { text, decoded })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum EncodedSlash {
    Keep,
    Decode,
}

/// Tests cheaply that nothing needs rewriting; false for some normal paths, such as `/.well-known`,
/// which then take the slow path.
fn is_normal(path: &[u8]) -> bool {
    let mut after_slash = false;
    for &byte in path {
        match byte {
            b'%' | b'\\' | b'#' | b'?' | 0x7f.. | ..=b' ' => return false,
            b'/' | b'.' if after_slash => return false,
            _ => after_slash = byte == b'/',
        }
    }
    true
}

/// Decodes unreserved escapes and writes the rest in upper case; returns true if a slash was
/// encoded.
fn unescape(path: &[u8], slash: EncodedSlash) -> Result<(String, bool), BadRequest> {
    let mut text = String::with_capacity(path.len() + 8);
    let mut slashes = false;
    let mut rest = path;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        let byte = *byte;
        match byte {
            b'%' => {
                let [high, low, tail @ ..] = rest else {
                    return Err(BadRequest::Path);
                };
                rest = tail;
                match decode_hex(*high, *low).ok_or(BadRequest::Path)? {
                    0 | b'\\' => return Err(BadRequest::Path),
                    b'/' => {
                        slashes = true;
                        text.push_str(if slash == EncodedSlash::Keep {
                            "%2F"
                        } else {
                            "/"
                        });
                    }
                    decoded if is_unreserved(decoded) => text.push(char::from(decoded)),
                    decoded => push_escape(&mut text, decoded),
                }
            }
            b'\\' => return Err(BadRequest::Path),
            b'?' => return Err(BadRequest::Target),
            _ if is_forbidden(byte) => return Err(BadRequest::Target),
            0x80.. => push_escape(&mut text, byte),
            _ => text.push(char::from(byte)),
        }
    }
    Ok((text, slashes))
}

/// Resolves `.` and `..` and merges slashes.
fn resolve_dots(path: &str) -> Result<String, BadRequest> {
    let mut out = String::with_capacity(path.len());
    let mut ends_open = false;
    for segment in path.split('/').skip(1) {
        ends_open = false;
        match segment {
            "" | "." => ends_open = true,
            ".." => {
                let parent = out.rfind('/').ok_or(BadRequest::Path)?;
                out.truncate(parent);
                ends_open = true;
            }
            _ if segment.starts_with(".;") || segment.starts_with("..;") => {
                return Err(BadRequest::Path);
            }
            _ => {
                out.push('/');
                out.push_str(segment);
            }
        }
    }
    if ends_open {
        out.push('/');
    }
    Ok(out)
}

fn split_query(target: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'?', target) {
        Some(at) => (&target[..at], Some(&target[at + 1..])),
        None => (target, None),
    }
}

/// Splits `http://` or `https://` off, case-insensitively.
fn split_scheme(target: &[u8]) -> Option<(&[u8], &[u8])> {
    [4, 5].into_iter().find_map(|len| {
        let (scheme, rest) = target.split_at_checked(len)?;
        let known = if len == 4 { "http" } else { "https" };
        let rest = rest.strip_prefix(b"://")?;
        scheme
            .eq_ignore_ascii_case(known.as_bytes())
            .then_some((scheme, rest))
    })
}

/// Returns true if no target may hold the byte: controls, space, DEL and the fragment mark.
fn is_forbidden(byte: u8) -> bool {
    byte <= b' ' || byte == 0x7f || byte == b'#'
}

/// Returns true for unreserved bytes (RFC 3986 section 2.3).
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Returns the byte of two hex digits.
pub(crate) fn decode_hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    Some(digit(high)? * 16 + digit(low)?)
}

fn push_escape(text: &mut String, byte: u8) {
    let hex = b"0123456789ABCDEF";
    text.push('%');
    text.push(char::from(hex[usize::from(byte >> 4)]));
    text.push(char::from(hex[usize::from(byte & 15)]));
}

#[cfg(test)]
mod tests;
