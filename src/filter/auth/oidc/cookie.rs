//! Cookies of sessions and of login attempts.
//!
//! A sealed session may be longer than a browser takes in one cookie. Its first cookie then says of
//! how many it is made. Over TLS the names begin with `__Host-`: no other host can set them.

use http::HeaderValue;

use crate::{
    exchange::{Exchange, Request, Scheme},
    semantics::{Headers, cookie},
};

/// Cookies of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Jar<'a> {
    headers: &'a Headers,
    /// Name without `__Host-`.
    base: &'a str,
    is_secure: bool,
}

impl<'a> Jar<'a> {
    pub(super) fn new(base: &'a str, exchange: &Exchange, request: &'a Request) -> Self {
        Self {
            headers: &request.headers,
            base,
            is_secure: exchange.scheme() == Scheme::Https,
        }
    }

    /// The sealed session; none if there is none, or parts of it are missing.
    pub(super) fn session(&self) -> Option<Vec<u8>> {
        let first = cookie::find(self.headers, &self.name(""))?;
        let (count, first) = first.split_first()?;
        let mut whole = first.to_vec();
        let count = usize::from(count.checked_sub(b'0')?);
        if !(1..=PARTS_MAX).contains(&count) {
            return None;
        }
        for number in 1..count {
            whole.extend_from_slice(cookie::find(self.headers, &self.part(number))?);
        }
        Some(whole)
    }

    /// Lines that set a session, and remove what an older and longer one has left; none if it is
    /// too long.
    pub(super) fn set_session(&self, sealed: &str, seconds: u64) -> Option<Vec<HeaderValue>> {
        let parts: Vec<&[u8]> = sealed.as_bytes().chunks(PART_BYTES).collect();
        if parts.len() > PARTS_MAX {
            return None;
        }
        let count = parts.len();
        let mut lines = Vec::with_capacity(count);
        for (number, part) in parts.into_iter().enumerate() {
            let text = String::from_utf8_lossy(part);
            lines.push(match number {
                0 => self.line(&self.name(""), &format!("{count}{text}"), seconds),
                _ => self.line(&self.part(number), &text, seconds),
            });
        }
        lines.extend(self.remove_parts(count));
        Some(lines)
    }

    /// Lines that remove the session and all attempts.
    pub(super) fn remove_all(&self) -> Vec<HeaderValue> {
        let mut lines = vec![self.line(&self.name(""), "", 0)];
        lines.extend(self.remove_parts(1));
        lines.extend(self.attempts().map(|(id, _)| self.remove_attempt(id)));
        lines
    }

    fn remove_parts(&self, first: usize) -> impl Iterator<Item = HeaderValue> {
        let parts = (first..PARTS_MAX).map(|number| self.part(number));
        let there = parts.filter(|name| cookie::find(self.headers, name).is_some());
        there.map(|name| self.line(&name, "", 0))
    }

    /// The sealed attempt of this id.
    pub(super) fn attempt(&self, id: &str) -> Option<&'a [u8]> {
        cookie::find(self.headers, &self.name(&format!("{ATTEMPT}{id}")))
    }

    /// All attempts: ids, and what is sealed.
    pub(super) fn attempts(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        let prefix = self.name(ATTEMPT);
        cookie::pairs(self.headers).filter_map(move |pair| {
            let rest = pair.strip_prefix(prefix.as_bytes())?;
            let at = rest.iter().position(|byte| *byte == b'=')?;
            Some((str::from_utf8(&rest[..at]).ok()?, &rest[at + 1..]))
        })
    }

    pub(super) fn set_attempt(&self, id: &str, sealed: &str, seconds: u64) -> HeaderValue {
        self.line(&self.name(&format!("{ATTEMPT}{id}")), sealed, seconds)
    }

    pub(super) fn remove_attempt(&self, id: &str) -> HeaderValue {
        self.set_attempt(id, "", 0)
    }

    fn part(&self, number: usize) -> String {
        self.name(&format!(".{number}"))
    }

    fn name(&self, rest: &str) -> String {
        let prefix = if self.is_secure { HOST_PREFIX } else { "" };
        format!("{prefix}{}{rest}", self.base)
    }

    fn line(&self, name: &str, value: &str, seconds: u64) -> HeaderValue {
        let secure = if self.is_secure { "; Secure" } else { "" };
        let line =
            format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
        // Names are checked, ids and values are base64url.
        let line = HeaderValue::try_from(line);
        let mut line = line.unwrap_or(HeaderValue::from_static("x=; Max-Age=0"));
        line.set_sensitive(true);
        line
    }
}

/// Returns true if a cookie, as `name=value`, is one of a session or an attempt.
pub(in super::super) fn is_of(pair: &[u8], base: &str) -> bool {
    let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
    let name = name.strip_prefix(HOST_PREFIX.as_bytes()).unwrap_or(name);
    let rest = name.strip_prefix(base.as_bytes());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"."))
}

const HOST_PREFIX: &str = "__Host-";
const ATTEMPT: &str = ".login.";
/// Bytes of a sealed session in one cookie; with name and attributes below the 4,096 that browsers
/// take.
const PART_BYTES: usize = 3800;
/// Cookies of a session. Their number is one digit.
const PARTS_MAX: usize = 8;
