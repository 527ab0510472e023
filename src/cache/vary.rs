//! `Vary`: fields of the request that an answer depends on (RFC 9111 section 4.1).

use crate::semantics::{Headers, Known, token::members};

/// Values that the fields named in `Vary` had in the request of a stored answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Varies(Box<[(Box<[u8]>, FieldValue)]>);

/// Value of a field; none if the request has none.
pub(super) type FieldValue = Option<Box<[u8]>>;

impl Varies {
    /// Returns true for `Vary: *`: no other request gets the answer.
    pub(super) fn on_anything(headers: &Headers) -> bool {
        names(headers).any(|name| name == b"*")
    }

    /// Notes the fields of `request` that the answer with these fields depends on.
    pub(super) fn of(response: &Headers, request: &Headers) -> Self {
        let mut all: Vec<Box<[u8]>> = names(response)
            .map(|it| it.to_ascii_lowercase().into())
            .collect();
        all.sort();
        all.dedup();
        let values = all.into_iter().map(|name| {
            let value = value(request, &name);
            (name, value)
        });
        Self(values.collect())
    }

    /// Returns true if a request has the same values.
    pub(super) fn matches(&self, request: &Headers) -> bool {
        let mut pairs = self.0.iter();
        pairs.all(|(name, stored)| value(request, name) == *stored)
    }

    /// The same fields with the values of another request.
    pub(super) fn again(&self, request: &Headers) -> Self {
        let names = self.0.iter().map(|(name, _)| name);
        Self(
            names
                .map(|name| (name.clone(), value(request, name)))
                .collect(),
        )
    }

    /// Each field with its value, if it has one.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let pairs = self.0.iter();
        pairs.map(|(name, value)| (&**name, value.as_deref()))
    }

    /// Makes it of what [`Self::pairs`] gave.
    pub(super) fn of_pairs(pairs: Vec<(Box<[u8]>, FieldValue)>) -> Self {
        Self(pairs.into())
    }

    /// Bytes of memory.
    pub(super) fn weight(&self) -> usize {
        let pairs = self.0.iter();
        let bytes = pairs.map(|(name, value)| name.len() + value.as_ref().map_or(0, |it| it.len()));
        bytes.sum::<usize>() + self.0.len() * 40
    }
}

fn names(headers: &Headers) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(Known::Vary);
    lines
        .flat_map(|line| members(line.as_bytes()))
        .filter(|name| !name.is_empty())
}

/// The value of a field in a form in which white space around the members of a list does not count;
/// none if it is absent. Codings and languages are compared in lower case.
fn value(request: &Headers, name: &[u8]) -> FieldValue {
    let mut lines = request.get_all(name).peekable();
    lines.peek()?;
    let mut all = Vec::new();
    for line in lines {
        for member in members(line.as_bytes()) {
            if !all.is_empty() {
                all.push(b',');
            }
            all.extend_from_slice(member);
        }
    }
    if matches!(name, b"accept-encoding" | b"accept-language") {
        all.make_ascii_lowercase();
    }
    Some(all.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::headers::fields;

    #[test]
    fn a_request_matches_with_the_same_values_of_the_named_fields() {
        let response = fields(&[("vary", "A, accept-encoding"), ("vary", "b")]);
        let stored = [("a", "1, 2"), ("accept-encoding", "GZIP, br")];
        let varies = Varies::of(&response, &fields(&stored));
        for (lines, expected) in [
            (&stored[..], true),
            (
                &[("A", "1,2"), ("accept-encoding", "gzip ,  br"), ("c", "x")],
                true,
            ),
            (
                &[("a", "1"), ("a", "2"), ("accept-encoding", "gzip, br")],
                true,
            ),
            (&[("a", "2,1"), ("accept-encoding", "gzip, br")], false),
            (&[("a", "1, 2")], false),
            (
                &[("a", "1, 2"), ("accept-encoding", "gzip, br"), ("b", "")],
                false,
            ),
        ] {
            assert_eq!(varies.matches(&fields(lines)), expected, "{lines:?}");
        }
        assert!(Varies::on_anything(&fields(&[("vary", "a,*")])));
    }
}
