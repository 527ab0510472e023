//! Field lines to a `HeaderMap`, and in the same pass what they say about the framing
//! and the connection (RFC 9112 section 5, RFC 9110 section 7.6.1).

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

use super::framing::{Codings, Length, trim};
use super::name::{self, Role};
use super::scan::find_colon;
use super::spare;

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
    /// Reads the field lines of `head`, the first of which starts at `start`.
    ///
    /// `ends` are the offsets of their LF, and of that of the empty line; each follows a CR.
    pub(super) fn parse(
        head: &Bytes,
        start: usize,
        ends: &[usize],
        headers_max: usize,
    ) -> Result<Self, FieldFault> {
        let count = ends.len().saturating_sub(1);
        if count > headers_max {
            return Err(FieldFault::TooMany);
        }
        let mut fields = Self {
            // The proxy adds some of its own: growing the map later would move all of it.
            headers: spare::take(count + ADDED).ok_or(FieldFault::TooMany)?,
            ..Self::default()
        };
        let last = ends.get(count).map_or(start, |end| end.saturating_sub(1));
        let controls = count_controls(head.get(start..last).unwrap_or_default());
        // The CR and the LF at each line's end are there: were there any other, a value would
        // have it, or the name, which is looked at in any case.
        let content = if controls == 2 * count {
            Content::Clean
        } else {
            Content::Suspect
        };
        let mut at = start;
        for &end in ends.iter().take(count) {
            fields.add(head, at, end.saturating_sub(1), content)?;
            at = end + 1;
        }
        Ok(fields)
    }

    /// Takes one line, `head[start..end]` without its CRLF, into the map.
    fn add(
        &mut self,
        head: &Bytes,
        start: usize,
        end: usize,
        content: Content,
    ) -> Result<(), FieldFault> {
        let line = head.get(start..end).ok_or(FieldFault::Malformed)?;
        if !head[end..].starts_with(b"\r\n") {
            return Err(FieldFault::Malformed);
        }
        // A folded line begins with a blank and so has no token before its colon.
        let colon = find_colon(line).ok_or(FieldFault::Malformed)?;
        let (name, role) = name::parse(&line[..colon]).map_err(|_| FieldFault::Malformed)?;
        let (from, to) = trimmed(line, colon + 1);
        if role != Role::Plain {
            self.note(role, &line[from..to]);
        }
        let value = value(head.slice(start + from..start + to), content)?;
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

/// What is known of the bytes of all values before one is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// None is a control byte.
    Clean,
    /// One may be.
    Suspect,
}

/// Makes a value; refuses control bytes, among them a CR in the middle of a line and NUL.
fn value(bytes: Bytes, content: Content) -> Result<HeaderValue, FieldFault> {
    if content == Content::Suspect {
        return HeaderValue::from_maybe_shared(bytes).map_err(|_| FieldFault::Malformed);
    }
    #[expect(
        unsafe_code,
        reason = "a second look at every byte is a twentieth of the work on a request"
    )]
    // SAFETY: the value is part of a line of a section whose only control bytes, DEL among
    // them, are the CR and LF at its lines' ends, which are not part of the line.
    let value = unsafe { HeaderValue::from_maybe_shared_unchecked(bytes) };
    Ok(value)
}

/// Counts the bytes that stand in no field value: control bytes but for the tab, and DEL.
fn count_controls(bytes: &[u8]) -> usize {
    // Sums of bytes, short enough not to overflow, are what the compiler does many at a time.
    let sums = bytes.chunks(128).map(|chunk| {
        let sum: u8 = chunk
            .iter()
            .map(|&byte| u8::from((byte < b' ' && byte != b'\t') || byte == 0x7f))
            .sum();
        usize::from(sum)
    });
    sums.sum()
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

/// The bounds of the value in a line, which begins at `from`, without blanks around it.
fn trimmed(line: &[u8], mut from: usize) -> (usize, usize) {
    let mut to = line.len();
    // As nearly everybody writes it.
    if let [b' ', b'!'..=b'~', .., b'!'..=b'~'] = &line[from..] {
        return (from + 1, to);
    }
    while from < to && matches!(line[from], b' ' | b'\t') {
        from += 1;
    }
    while from < to && matches!(line[to - 1], b' ' | b'\t') {
        to -= 1;
    }
    (from, to)
}

/// Fields that the walk adds to a message, about.
const ADDED: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_counted_wherever_they_are() {
        for byte in 0..=u8::MAX {
            let counts = usize::from(HeaderValue::from_bytes(&[byte]).is_err());
            for at in [0, 1, 127, 128, 299] {
                let mut bytes = [b'x'; 300];
                bytes[at] = byte;
                assert_eq!(count_controls(&bytes), counts, "{byte:#x} at {at}");
            }
        }
        assert_eq!(count_controls(&[0; 1000]), 1000);
    }

    #[test]
    fn a_control_byte_in_a_value_is_refused() {
        for byte in 0..=u8::MAX {
            let lines = [b"a: x", &[byte][..], b"y\r\nb: 1\r\n\r\n"].concat();
            let head = Bytes::from(lines);
            let parsed = Fields::parse(&head, 0, &[7, 13, 15], 10);
            let fits = HeaderValue::from_bytes(&[byte]).is_ok();
            // A line feed would have ended the line before.
            assert_eq!(parsed.is_ok(), fits, "{byte:#x}");
        }
    }

    #[test]
    fn a_value_of_blanks_is_empty() {
        assert_eq!(trimmed(b"x:", 2), (2, 2));
        assert_eq!(trimmed(b"x: \t ", 2), (5, 5));
        assert_eq!(trimmed(b"x: a b\t ", 2), (3, 6));
    }
}
