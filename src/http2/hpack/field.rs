//! Fields as the decoder hands them out.

use super::text;
use crate::semantics::{Known, headers::look_up, token::is_token_byte};

/// A pseudo field (RFC 9113 section 8.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Pseudo {
    /// `:method`
    Method,
    /// `:scheme`
    Scheme,
    /// `:authority`
    Authority,
    /// `:path`
    Path,
    /// `:protocol` (RFC 8441)
    Protocol,
    /// `:status`
    Status,
}

/// Kind of a field's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldName {
    /// A name that the proxy knows by number.
    Known(Known),
    /// Another token in lower case.
    #[default]
    Unknown,
    /// A pseudo field.
    Pseudo(Pseudo),
    /// The field is malformed: its name is neither a lower-case token nor a pseudo field, or its
    /// value has a control byte other than tab, or begins or ends with a blank or tab (RFC 9113
    /// section 8.2.1).
    Malformed,
}

/// A field of a block.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    /// The name.
    pub name: FieldName,
    /// `name: value` CRLF, for pseudo fields too. Undefined for a malformed field.
    pub line: &'a [u8],
    /// Bytes of the name.
    pub name_length: usize,
    /// Never indexed, here or by later hops (RFC 7541 section 7.1.3).
    pub sensitive: bool,
}

impl Field<'_> {
    /// The value.
    #[inline]
    pub fn value(&self) -> &[u8] {
        let end = self.line.len().saturating_sub(CRLF.len());
        let start = self.name_length + SEPARATOR.len();
        self.line.get(start..end).unwrap_or_default()
    }

    /// Size of the field in the table: name, value and 32 bytes (RFC 7541 section 4.1).
    #[inline]
    pub fn size(&self) -> usize {
        size_of_line(self.line.len())
    }
}

impl std::fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.line.get(..self.name_length).unwrap_or_default();
        let value: &dyn std::fmt::Debug = if self.sensitive {
            &"(sensitive)"
        } else {
            &String::from_utf8_lossy(self.value())
        };
        f.debug_struct("Field")
            .field("name", &String::from_utf8_lossy(name))
            .field("value", value)
            .finish_non_exhaustive()
    }
}

impl FieldName {
    /// Returns the kind of a received name.
    pub(crate) fn of(name: &[u8]) -> Self {
        if let Some(known) = look_up(name) {
            return if name == known.as_str().as_bytes() {
                Self::Known(known)
            } else {
                Self::Malformed
            };
        }
        match name {
            b":method" => Self::Pseudo(Pseudo::Method),
            b":scheme" => Self::Pseudo(Pseudo::Scheme),
            b":authority" => Self::Pseudo(Pseudo::Authority),
            b":path" => Self::Pseudo(Pseudo::Path),
            b":protocol" => Self::Pseudo(Pseudo::Protocol),
            b":status" => Self::Pseudo(Pseudo::Status),
            _ if is_lower_token(name) => Self::Unknown,
            _ => Self::Malformed,
        }
    }

    /// Returns the same kind, or malformed if the value is not valid.
    pub(crate) fn with_value(self, value: &[u8]) -> Self {
        let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
        if text::has_control(value) || blank(value.first()) || blank(value.last()) {
            return Self::Malformed;
        }
        self
    }
}

fn is_lower_token(name: &[u8]) -> bool {
    let fits = |byte: &u8| is_token_byte(*byte) && !byte.is_ascii_uppercase();
    !name.is_empty() && name.iter().all(fits)
}

/// Returns the table size of a field from the length of its line.
#[inline]
pub(super) const fn size_of_line(length: usize) -> usize {
    length + SIZE_BESIDE_LINE
}

/// Separator between name and value in a line.
pub(crate) const SEPARATOR: &[u8] = b": ";

/// End of a line.
pub(crate) const CRLF: &[u8] = b"\r\n";

/// The 32 bytes counted for each field, less the bytes of its line besides name and value.
const SIZE_BESIDE_LINE: usize = 32 - SEPARATOR.len() - CRLF.len();
