//! Formats of a line: one JSON object, a format of web servers, or a template.
//!
//! Parsed once; writing a line allocates nothing besides the buffer. Every value is escaped, so
//! that no byte sent by a client can end a line, a string or a column.

mod ecs;
mod escape;
mod field;
mod redaction;
mod template;

use super::clock::Moment;
use super::record::Line;
use escape::Escape;
use field::{Field, put_number};

pub use field::FIELD_NAMES;
pub use redaction::Redaction;

/// Parsed format of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format(Shape);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    Json,
    Ecs,
    Common,
    Combined,
    Template(Vec<template::Part>),
}

/// Reasons why a format is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The word is not a format, and has no field that would make it a template.
    #[error(
        "format {0:?} is not \"json\", \"ecs\", \"common\", \"combined\" or a template such as \"{{time}} {{client}} {{path}}\""
    )]
    Unknown(String),
    /// The template names an unknown field.
    #[error("field {{{name}}} is not known; allowed: {}, field.NAME for an added one", FIELD_NAMES.join(", "))]
    UnknownField {
        /// The text between the braces.
        name: String,
        /// Position of the brace in the template, in bytes.
        at: usize,
    },
    /// A brace has no partner.
    #[error("brace without a partner at byte {at}; write {{{{ or }}}} for the character itself")]
    Brace {
        /// Position of the brace in the template, in bytes.
        at: usize,
    },
}

impl Format {
    /// Parses `json`, `ecs`, `common`, `combined` or a template.
    ///
    /// # Errors
    /// If it is none of these, or the template has a fault.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        let shape = match text {
            "json" => Shape::Json,
            "ecs" => Shape::Ecs,
            "common" => Shape::Common,
            "combined" => Shape::Combined,
            template if template.contains(['{', '}']) => {
                Shape::Template(template::parse(template)?)
            }
            other => return Err(FormatError::Unknown(other.to_owned())),
        };
        Ok(Self(shape))
    }

    /// Appends the line with its line feed.
    pub fn write(&self, line: &Line<'_>, redaction: &Redaction, out: &mut Vec<u8>) {
        match &self.0 {
            Shape::Json => json(line, redaction, out),
            Shape::Ecs => ecs::write(line, redaction, out),
            Shape::Common => common(line, redaction, out),
            Shape::Combined => combined(line, redaction, out),
            Shape::Template(parts) => template::write(parts, line, redaction, out),
        }
        out.push(b'\n');
    }
}

/// Writes one object; fields that do not apply to the exchange are left out.
fn json(line: &Line<'_>, redaction: &Redaction, out: &mut Vec<u8>) {
    let start = out.len();
    Field::put_members(line, redaction, out);
    for (name, value) in line.fields {
        out.extend_from_slice(b",\"");
        Escape::Json.put(name.as_bytes(), out);
        out.extend_from_slice(b"\":\"");
        redaction.field(name, value, Escape::Json, out);
        out.push(b'"');
    }
    // Each member stands behind a comma, the first one behind a brace.
    out[start] = b'{';
    out.push(b'}');
}

/// Writes the common log format of NCSA.
fn common(line: &Line<'_>, redaction: &Redaction, out: &mut Vec<u8>) {
    Field::Client.write_or_dash(line, redaction, out);
    out.extend_from_slice(b" - ");
    let start = out.len();
    Field::User.write_or_dash(line, redaction, out);
    keep_in_column(start, out);
    out.extend_from_slice(b" [");
    Moment::new(line.time).common(out);
    out.extend_from_slice(b"] \"");
    Field::Method.write_or_dash(line, redaction, out);
    out.push(b' ');
    Field::Path.write_or_dash(line, redaction, out);
    out.push(b' ');
    Field::Protocol.write_or_dash(line, redaction, out);
    out.extend_from_slice(b"\" ");
    put_number(u64::from(line.status), out);
    out.push(b' ');
    if line.bytes_out == 0 {
        out.push(b'-');
    } else {
        put_number(line.bytes_out, out);
    }
}

/// Escapes what would end a column that has no quotes around it.
fn keep_in_column(start: usize, out: &mut Vec<u8>) {
    let ends = |byte: &u8| b" []".contains(byte);
    if !out[start..].iter().any(ends) {
        return;
    }
    let column = out.split_off(start);
    for byte in column {
        match byte {
            b' ' => out.extend_from_slice(b"\\x20"),
            b'[' => out.extend_from_slice(b"\\x5b"),
            b']' => out.extend_from_slice(b"\\x5d"),
            _ => out.push(byte),
        }
    }
}

/// Writes the combined log format: the common one, then referrer and user agent. The referrer is
/// shown if the configuration adds a field of that name.
fn combined(line: &Line<'_>, redaction: &Redaction, out: &mut Vec<u8>) {
    common(line, redaction, out);
    out.extend_from_slice(b" \"");
    let (start, mut fields) = (out.len(), line.fields.iter());
    if let Some((name, value)) = fields.find(|(name, _)| name.eq_ignore_ascii_case("referer")) {
        redaction.field(name, value, Escape::Text, out);
    }
    if out.len() == start {
        out.push(b'-');
    }
    out.extend_from_slice(b"\" \"");
    Field::UserAgent.write_or_dash(line, redaction, out);
    out.push(b'"');
}

#[cfg(test)]
mod tests;
