//! Field lines to a `HeaderMap`, and in the same pass what they say about the framing
//! and the connection (RFC 9112 section 5, RFC 9110 section 7.6.1).

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use memchr::memchr;

use super::framing::{Codings, Length, trim};
use super::name::{self, Role};

/// The field lines of a head or a trailer section.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// Names in lower case, values as slices of the head.
    pub(super) headers: HeaderMap,
    pub(super) length: Length,
    pub(super) codings: Codings,
    pub(super) connection: Connection,
    /// There is an Upgrade field.
    pub(super) upgrade: bool,
    pub(super) expect: Expect,
}

/// What the Connection fields ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Connection {
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) upgrade: bool,
}

/// What the Expect fields ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Expect {
    #[default]
    Nothing,
    Continue,
    Unknown,
}

/// Why field lines are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldFault {
    Malformed,
    TooMany,
}

impl Fields {
    /// Reads the lines in `head` from `start` to the empty line that ends it.
    ///
    /// `head` ends with that empty line, and every line is known to end in CRLF.
    pub(super) fn parse(
        head: &Bytes,
        start: usize,
        headers_max: usize,
    ) -> Result<Self, FieldFault> {
        let mut fields = Self::default();
        let end = head.len().saturating_sub(2);
        let mut at = start;
        let mut count = 0;
        while at < end {
            if count == headers_max {
                return Err(FieldFault::TooMany);
            }
            if count == 0 {
                fields.headers.reserve(HEADERS_EXPECTED.min(headers_max));
            }
            count += 1;
            let line_end = at + memchr(b'\n', &head[at..]).ok_or(FieldFault::Malformed)?;
            fields.add(head, at, line_end.saturating_sub(1))?;
            at = line_end + 1;
        }
        Ok(fields)
    }

    /// Takes one line, `head[start..end]` without its CRLF, into the map.
    fn add(&mut self, head: &Bytes, start: usize, end: usize) -> Result<(), FieldFault> {
        let line = head.get(start..end).ok_or(FieldFault::Malformed)?;
        // A folded line begins with a blank and so has no token before its colon.
        let colon = memchr(b':', line).ok_or(FieldFault::Malformed)?;
        let (name, role) = name::parse(&line[..colon]).map_err(|_| FieldFault::Malformed)?;
        let value = trim(&line[colon + 1..]);
        self.note(role, value);
        // Refuses control bytes, among them a CR in the middle of the line and NUL.
        let value = HeaderValue::from_maybe_shared(head.slice_ref(value))
            .map_err(|_| FieldFault::Malformed)?;
        self.headers
            .try_append(name, value)
            .map_err(|_| FieldFault::TooMany)?;
        Ok(())
    }

    fn note(&mut self, role: Role, value: &[u8]) {
        match role {
            Role::Plain => {}
            Role::ContentLength => self.length.add(value),
            Role::TransferEncoding => self.codings.add(value),
            Role::Connection => self.connection.add(value),
            Role::Upgrade => self.upgrade = true,
            Role::Expect => self.expect.add(value),
        }
    }
}

impl Connection {
    fn add(&mut self, value: &[u8]) {
        for option in value.split(|&byte| byte == b',').map(trim) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            self.upgrade |= option.eq_ignore_ascii_case(b"upgrade");
        }
    }

    /// Says whether the connection persists (RFC 9112 section 9.3); close wins.
    pub(super) fn persists(self, version: http::Version) -> bool {
        !self.close && (self.keep_alive || version == http::Version::HTTP_11)
    }
}

impl Expect {
    fn add(&mut self, value: &[u8]) {
        *self = if *self != Self::Unknown && value.eq_ignore_ascii_case(b"100-continue") {
            Self::Continue
        } else {
            Self::Unknown
        };
    }
}

/// Room made in the map for the usual head; more fields make it grow.
const HEADERS_EXPECTED: usize = 12;
