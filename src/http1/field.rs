//! Parses field lines to [`Headers`], and in the same pass their effect on the framing and the
//! connection (RFC 9112 section 5, RFC 9110 section 7.6.1).

use bytes::Bytes;

use super::framing::{Codings, Length, trim};
use super::scan::find_colon;
use crate::semantics::{
    headers::{BYTES_MAX, Headers, Known, LINES_MAX, NAME_BYTES_MAX, Place, look_up},
    token::is_token,
};

/// The field lines of a head or a trailer section.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// The lines as received.
    pub(super) headers: Headers,
    pub(super) length: Length,
    pub(super) codings: Codings,
    pub(super) connection: ConnectionField,
    /// There is an Upgrade field.
    pub(super) upgrade: bool,
    pub(super) expect: Expect,
}

/// Options of the Connection fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ConnectionField {
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) upgrade: bool,
}

/// Requests of the Expect fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Expect {
    #[default]
    Nothing,
    Continue,
    Unknown,
}

/// Reasons for refusing field lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldFault {
    Malformed,
    TooMany,
}

impl Fields {
    /// Reads the field lines of `head`, the first of which starts at `start`.
    ///
    /// `ends` are the offsets of their LF, and of that of the empty line; each follows a CR.
    /// `suspect` tells that there may be other control bytes, which no value may have; in a name
    /// they are found in any case.
    pub(super) fn parse(
        head: &Bytes,
        start: usize,
        ends: &[usize],
        suspect: bool,
        headers_max: usize,
    ) -> Result<Self, FieldFault> {
        let count = ends.len().saturating_sub(1);
        if count > headers_max.min(LINES_MAX) || head.len() > BYTES_MAX {
            return Err(FieldFault::TooMany);
        }
        let mut fields = Self {
            headers: Headers::arrived(head),
            ..Self::default()
        };
        let mut at = start;
        for &end in ends.iter().take(count) {
            fields.add(head, at, end.saturating_sub(1), suspect)?;
            at = end + 1;
        }
        Ok(fields)
    }

    /// Adds one line, `head[start..end]` without its CRLF.
    fn add(
        &mut self,
        head: &Bytes,
        start: usize,
        end: usize,
        suspect: bool,
    ) -> Result<(), FieldFault> {
        let line = head.get(start..end).ok_or(FieldFault::Malformed)?;
        if !head[end..].starts_with(b"\r\n") {
            return Err(FieldFault::Malformed);
        }
        // A folded line begins with a blank and so has no token before its colon.
        let colon = find_colon(line).ok_or(FieldFault::Malformed)?;
        let name = &line[..colon];
        let known = look_up(name);
        if known.is_none() && (name.len() > NAME_BYTES_MAX || !is_token(name)) {
            return Err(FieldFault::Malformed);
        }
        let (from, to) = trimmed(line, colon + 1);
        let value = &line[from..to];
        if suspect && has_fault(value) {
            return Err(FieldFault::Malformed);
        }
        if let Some(known) = known {
            self.note(known, value);
        }
        let place = Place {
            start,
            colon: start + colon,
            value: (start + from, start + to),
            end,
        };
        self.headers.push_arrived(known, &place);
        Ok(())
    }

    fn note(&mut self, name: Known, value: &[u8]) {
        match name {
            Known::ContentLength => self.length.add(value),
            Known::TransferEncoding => self.codings.add(value),
            Known::Connection => self.connection.add(value),
            Known::Upgrade => self.upgrade = true,
            Known::Expect => self.expect.add(value),
            _ => {}
        }
    }
}

/// Returns true if a value has a byte that no value may have: a control byte other than tab.
fn has_fault(value: &[u8]) -> bool {
    value
        .iter()
        .any(|&byte| (byte < b' ' && byte != b'\t') || byte == 0x7f)
}

impl ConnectionField {
    fn add(&mut self, value: &[u8]) {
        for option in value.split(|&byte| byte == b',').map(trim) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            self.upgrade |= option.eq_ignore_ascii_case(b"upgrade");
        }
    }

    /// Tells whether the connection persists (RFC 9112 section 9.3); close wins.
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

/// Returns the bounds of the value in a line, which begins at `from`, without blanks around it.
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

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_control_byte_in_a_value_is_refused() {
        for byte in 0..=u8::MAX {
            let lines = [b"a: x", &[byte][..], b"y\r\nb: 1\r\n\r\n"].concat();
            let head = Bytes::from(lines);
            let parsed = Fields::parse(&head, 0, &[7, 13, 15], true, 10);
            let fits = HeaderValue::from_bytes(&[byte]).is_ok();
            // A line feed would have ended the line before.
            assert_eq!(parsed.is_ok(), fits, "{byte:#x}");
        }
    }

    #[test]
    fn what_is_taken_fits_a_map_whatever_the_limits() {
        let parse = |lines: usize, name: usize| {
            let line = [&vec![b'x'; name][..], b":\r\n"].concat();
            let head = [&line.repeat(lines)[..], b"\r\n"].concat();
            let ends: Vec<usize> = (1..=lines)
                .map(|count| count * line.len() - 1)
                .chain([head.len() - 1])
                .collect();
            let fields = Fields::parse(&Bytes::from(head), 0, &ends, false, usize::MAX)?;
            assert_eq!(fields.headers.to_map().len(), lines);
            Ok(())
        };
        assert_eq!(parse(LINES_MAX, 1), Ok(()));
        assert_eq!(parse(LINES_MAX + 1, 1), Err(FieldFault::TooMany));
        assert_eq!(parse(1, NAME_BYTES_MAX), Ok(()));
        assert_eq!(parse(1, NAME_BYTES_MAX + 1), Err(FieldFault::Malformed));
    }

    #[test]
    fn names_are_tokens() {
        for byte in 0..=u8::MAX {
            let name = [b'x', byte, b'y'];
            let lines = [&name[..], b": 1\r\n\r\n"].concat();
            let parsed = Fields::parse(&Bytes::from(lines), 0, &[7, 9], false, 10);
            // A colon would have ended the name before.
            let fits = is_token(&[byte]) || byte == b':';
            assert_eq!(parsed.is_ok(), fits, "{byte:#x}");
        }
    }

    #[test]
    fn spelling_does_not_change_what_a_field_says() {
        for spelling in ["content-length", "Content-Length", "cOnTeNt-lEnGtH"] {
            let head = Bytes::from(format!("{spelling}: 7\r\n\r\n"));
            let fields = Fields::parse(&head, 0, &[18, 20], false, 10).unwrap();
            assert_eq!(fields.length, Length::Once(7));
            assert_eq!(fields.headers.get(Known::ContentLength).unwrap(), "7");
        }
    }

    #[test]
    fn a_value_of_blanks_is_empty() {
        assert_eq!(trimmed(b"x:", 2), (2, 2));
        assert_eq!(trimmed(b"x: \t ", 2), (5, 5));
        assert_eq!(trimmed(b"x: a b\t ", 2), (3, 6));
    }
}
