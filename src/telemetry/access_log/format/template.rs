//! Templates such as `{time} {client} "{method} {path}" {status}`.

use super::super::record::Line;
use super::FormatError;
use super::field::Field;
use super::redaction::Redaction;

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Written unchanged.
    Literal(Box<[u8]>),
    /// Replaced by a value; a dash if there is none.
    Field(Field),
}

/// Parses a template; `{{` and `}}` stand for the braces themselves.
pub(super) fn parse(template: &str) -> Result<Vec<Part>, FormatError> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut at = 0;
    while let Some(found) = template[at..].find(['{', '}']) {
        literal.push_str(&template[at..at + found]);
        at += found;
        let rest = &template[at..];
        if rest.starts_with("{{") || rest.starts_with("}}") {
            literal.push_str(&rest[..1]);
            at += 2;
            continue;
        }
        let inside = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let Some((name, _)) = inside else {
            return Err(FormatError::Brace { at });
        };
        let field = Field::by_name(name).ok_or_else(|| FormatError::UnknownField {
            name: name.to_owned(),
            at,
        })?;
        push_literal(&mut literal, &mut parts);
        parts.push(Part::Field(field));
        at += name.len() + 2;
    }
    literal.push_str(&template[at..]);
    push_literal(&mut literal, &mut parts);
    Ok(parts)
}

/// Appends the line without its line feed.
pub(super) fn write(parts: &[Part], line: &Line<'_>, redaction: &Redaction, out: &mut Vec<u8>) {
    for part in parts {
        match part {
            Part::Literal(bytes) => out.extend_from_slice(bytes),
            Part::Field(field) => field.write_or_dash(line, redaction, out),
        }
    }
}

fn push_literal(literal: &mut String, parts: &mut Vec<Part>) {
    if !literal.is_empty() {
        parts.push(Part::Literal(literal.as_bytes().into()));
        literal.clear();
    }
}
