//! Redaction: values that logs and traces must not show.

use std::sync::Arc;

use super::escape::Escape;
use crate::semantics::secret_names::{Part, SecretNames};

/// Names whose values are shown as `***`; case-insensitive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redaction {
    names: Arc<SecretNames>,
    /// Names of fields that are masked whatever they show.
    fields: Vec<Box<str>>,
    /// Added fields, with the headers that they show.
    headers: Vec<(Box<str>, Box<str>)>,
}

impl Redaction {
    /// Masks by these names. `fields` are masked whatever they show; `user-agent` (or `user_agent`)
    /// names the built-in field.
    pub fn new<F>(names: Arc<SecretNames>, fields: F) -> Self
    where
        F: IntoIterator<Item: AsRef<str>>,
    {
        let dashed = |name: F::Item| name.as_ref().replace('_', "-").into();
        Self {
            names,
            fields: fields.into_iter().map(dashed).collect(),
            headers: Vec::new(),
        }
    }

    /// Masks these fields by the headers that they show.
    #[must_use]
    pub fn with_headers(mut self, headers: impl IntoIterator<Item = (Box<str>, Box<str>)>) -> Self {
        self.headers = headers.into_iter().collect();
        self
    }

    /// Appends path and query.
    pub(super) fn path(&self, path: &str, escape: Escape, out: &mut Vec<u8>) {
        self.names
            .split_url(path.as_bytes(), &mut |part| put(part, escape, out));
    }

    /// Appends the value of an added field.
    pub(super) fn field(&self, name: &str, value: &[u8], escape: Escape, out: &mut Vec<u8>) {
        let hides = |own: &str| {
            let dashed = |byte: u8| if byte == b'_' { b'-' } else { byte };
            let given = name.bytes().map(|byte| dashed(byte.to_ascii_lowercase()));
            given.eq(own.bytes().map(|byte| byte.to_ascii_lowercase()))
        };
        if self.fields.iter().any(|own| hides(own)) {
            return put(Part::Secret(value), escape, out);
        }
        let mut headers = self.headers.iter();
        match headers.find(|(field, _)| **field == *name) {
            None => escape.put(value, out),
            Some((_, header)) => {
                let mut put = |part: Part<'_>| put(part, escape, out);
                self.names.split_header(header.as_bytes(), value, &mut put);
            }
        }
    }
}

fn put(part: Part<'_>, escape: Escape, out: &mut Vec<u8>) {
    match part {
        Part::Shown(text) => escape.put(text, out),
        Part::Secret(_) => out.extend_from_slice(MASK),
    }
}

const MASK: &[u8] = b"***";
