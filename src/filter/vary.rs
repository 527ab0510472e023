//! `Vary` of an answer (RFC 9110 section 12.5.5).

use crate::semantics::{Headers, Known, Value, token::members};

/// Adds a name to Vary, unless it is there or the answer varies by everything.
pub(super) fn add(headers: &mut Headers, name: &'static str) {
    let is_known = headers.get_all(Known::Vary).any(|value| {
        members(value.as_bytes()).any(|it| it == b"*" || it.eq_ignore_ascii_case(name.as_bytes()))
    });
    if !is_known {
        headers.append(Known::Vary, Value::from_static(name));
    }
}
