//! Length of a body: Content-Length and Transfer-Encoding (RFC 9112 section 6).
//!
//! The field parser adds each such line as it meets it; the request and response parsers then read
//! the result by their own rules.

use http::Version;

use crate::semantics::token::is_token;

/// Marker of the end of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// A body of this many bytes; zero if the length was given as zero.
    Length(u64),
    /// The chunked transfer coding.
    Chunked,
    /// Until the connection closes; responses only.
    UntilClose,
}

impl Framing {
    /// Tells whether body bytes can follow the head.
    pub fn has_body(self) -> bool {
        match self {
            Self::None | Self::Length(0) => false,
            Self::Length(_) | Self::Chunked | Self::UntilClose => true,
        }
    }

    /// Returns the framing towards a client of `version`: HTTP/1.0 has no chunks.
    #[must_use]
    pub fn towards(self, version: Version) -> Self {
        match self {
            Self::Chunked if version == Version::HTTP_10 => Self::UntilClose,
            framing => framing,
        }
    }
}

/// Result of the Content-Length lines of a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Length {
    #[default]
    Absent,
    /// Given once.
    Once(u64),
    /// Given several times, always the same: allowed in a response, not in a request.
    Repeated(u64),
    /// Not a number, or several that differ.
    Invalid,
}

impl Length {
    /// Takes one field value into account.
    pub(super) fn add(&mut self, value: &[u8]) {
        for member in value.split(|&byte| byte == b',') {
            *self = match (*self, decimal(trim(member))) {
                (_, None) | (Self::Invalid, _) => Self::Invalid,
                (Self::Absent, Some(length)) => Self::Once(length),
                (Self::Once(before) | Self::Repeated(before), Some(length)) => {
                    if before == length {
                        Self::Repeated(length)
                    } else {
                        Self::Invalid
                    }
                }
            };
        }
    }
}

/// Result of the Transfer-Encoding lines of a head, read as one list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Codings {
    #[default]
    Absent,
    /// Exactly one coding, and it is `chunked`.
    Chunked,
    /// Well-formed codings that are not implemented, `chunked` at most as the last.
    Unknown { chunked_last: bool },
    /// Not a list of codings, or `chunked` repeated, with parameters or not the last.
    Invalid,
}

impl Codings {
    /// Takes one field value into account.
    pub(super) fn add(&mut self, value: &[u8]) {
        for member in value.split(|&byte| byte == b',') {
            let member = trim(member);
            let chunked = member.eq_ignore_ascii_case(b"chunked");
            *self = match *self {
                _ if !is_coding(member) => Self::Invalid,
                Self::Absent if chunked => Self::Chunked,
                Self::Absent => Self::Unknown {
                    chunked_last: false,
                },
                Self::Unknown {
                    chunked_last: false,
                } => Self::Unknown {
                    chunked_last: chunked,
                },
                Self::Unknown { chunked_last: true } | Self::Chunked | Self::Invalid => {
                    Self::Invalid
                }
            };
        }
    }
}

/// Returns true for a coding name without parameters. Real codings with parameters do not exist,
/// and `chunked;x` is a way to make one parser see a coding that the next one does not.
fn is_coding(member: &[u8]) -> bool {
    is_token(member)
}

/// Strips optional white space: spaces and tabs, nothing else (RFC 9110 section 5.6.3).
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Reads `1*DIGIT` below 2^63, which every implementation can hold; none for a sign, a blank or an
/// empty text.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    let number = digits.iter().try_fold(0_u64, |sum, &byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        sum.checked_mul(10)?.checked_add(u64::from(digit))
    });
    number.filter(|number| i64::try_from(*number).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(lines: &[&str]) -> Length {
        let mut length = Length::default();
        lines.iter().for_each(|line| length.add(line.as_bytes()));
        length
    }

    fn codings(lines: &[&str]) -> Codings {
        let mut codings = Codings::default();
        lines.iter().for_each(|line| codings.add(line.as_bytes()));
        codings
    }

    #[test]
    fn a_length_is_digits_only() {
        assert_eq!(length(&["0"]), Length::Once(0));
        let most = u64::MAX / 2;
        assert_eq!(length(&["9223372036854775807"]), Length::Once(most));
        assert_eq!(length(&["9223372036854775808"]), Length::Invalid);
        assert_eq!(length(&["18446744073709551615"]), Length::Invalid);
        for bad in [
            "",
            "+1",
            "-1",
            "1 0",
            "0x10",
            "1e3",
            "1.0",
            "18446744073709551616",
            "５",
            "1,",
            ",1",
            "1;",
            "\"1\"",
            "1_0",
        ] {
            assert_eq!(length(&[bad]), Length::Invalid, "{bad:?}");
        }
    }

    #[test]
    fn repeated_lengths_are_told_apart_from_differing_ones() {
        assert_eq!(length(&["5", "5"]), Length::Repeated(5));
        assert_eq!(length(&["5, 5"]), Length::Repeated(5));
        assert_eq!(length(&["5", "6"]), Length::Invalid);
        assert_eq!(length(&["5, 6", "5"]), Length::Invalid);
        assert_eq!(length(&["x", "5"]), Length::Invalid);
    }

    #[test]
    fn chunked_must_stand_alone() {
        assert_eq!(codings(&["chunked"]), Codings::Chunked);
        assert_eq!(codings(&["ChUnKeD"]), Codings::Chunked);
        let unknown = |chunked_last| Codings::Unknown { chunked_last };
        assert_eq!(codings(&["gzip"]), unknown(false));
        assert_eq!(codings(&["gzip, chunked"]), unknown(true));
        assert_eq!(codings(&["gzip", "chunked"]), unknown(true));
        assert_eq!(codings(&["xchunked"]), unknown(false));
        for bad in [
            &["chunked, chunked"][..],
            &["chunked", "chunked"],
            &["chunked, gzip"],
            &["chunked", "identity"],
            &["gzip, chunked, chunked"],
            &[""],
            &["chunked,"],
            &[", chunked"],
            &["chunked;q=1"],
            &["\"chunked\""],
            &["chun ked"],
            &["chunked", ""],
        ] {
            assert_eq!(codings(bad), Codings::Invalid, "{bad:?}");
        }
    }

    #[test]
    fn only_spaces_and_tabs_are_trimmed() {
        assert_eq!(trim(b" \t a b\t "), b"a b");
        assert_eq!(trim(b" \t "), b"");
        assert_eq!(trim(b"\x0ba\x0c"), b"\x0ba\x0c");
    }

    #[test]
    fn a_client_of_1_0_gets_no_chunks() {
        assert_eq!(
            Framing::Chunked.towards(Version::HTTP_10),
            Framing::UntilClose
        );
        assert_eq!(Framing::Chunked.towards(Version::HTTP_11), Framing::Chunked);
        assert_eq!(
            Framing::Length(3).towards(Version::HTTP_10),
            Framing::Length(3)
        );
    }
}
