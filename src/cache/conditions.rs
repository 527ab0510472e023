//! Conditions of a request, answered from a stored answer (RFC 9110 section 13).

use http::HeaderValue;

use super::{Meta, freshness::date};
use crate::semantics::{Headers, Known, Names, token::members};

/// Conditions and range of a client's request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    none_match: Option<HeaderValue>,
    modified_since: Option<HeaderValue>,
    /// The range, and the condition on it.
    pub(crate) range: Option<HeaderValue>,
    if_range: Option<HeaderValue>,
}

/// Result of the conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Validated {
    /// The client has the answer: 304.
    NotModified,
    /// It gets the answer.
    Send,
}

impl Conditions {
    /// Reads them from the head of a request.
    pub(crate) fn read(headers: &Headers) -> Self {
        if !headers.names().meets(CONDITIONS) {
            return Self::default();
        }
        let mut lines = headers.get_all(Known::IfNoneMatch);
        let none_match = match (lines.next(), lines.next()) {
            (Some(_), None) => headers.get_owned(Known::IfNoneMatch),
            (Some(_), Some(_)) => {
                let all = headers.get_all(Known::IfNoneMatch);
                let all: Vec<&[u8]> = all.map(|line| line.as_bytes()).collect();
                HeaderValue::from_bytes(&all.join(&b","[..])).ok()
            }
            _ => None,
        };
        Self {
            none_match,
            modified_since: headers.get_owned(Known::IfModifiedSince),
            range: headers.get_owned(Known::Range),
            if_range: headers.get_owned(Known::IfRange),
        }
    }

    /// Returns true if there are any.
    pub(crate) fn has_any(&self) -> bool {
        let all = [
            &self.none_match,
            &self.modified_since,
            &self.range,
            &self.if_range,
        ];
        all.into_iter().any(Option::is_some)
    }

    /// Removes them from the head of a request, whose answer is to be stored whole.
    pub(crate) fn remove(headers: &mut Headers) {
        headers.remove_all(CONDITIONS);
    }

    /// Tells whether the client has the answer with these fields.
    pub(crate) fn validate(&self, headers: &Headers) -> Validated {
        let same = match (&self.none_match, &self.modified_since) {
            (Some(tags), _) => {
                headers
                    .get(Known::ETag)
                    .is_some_and(|tag| lists(tags.as_bytes(), tag.as_bytes()))
                    || tags.as_bytes() == b"*"
            }
            (None, Some(since)) => {
                let modified = headers.get(Known::LastModified);
                let modified = modified.and_then(|it| date(it.to_str()));
                let since = date(since.to_str().ok());
                matches!((modified, since), (Some(modified), Some(since)) if modified <= since)
            }
            (None, None) => false,
        };
        match same {
            true => Validated::NotModified,
            false => Validated::Send,
        }
    }

    /// Returns the range, if it is a range of the answer with these fields.
    pub(crate) fn range_of(&self, headers: &Headers) -> Option<&[u8]> {
        let range = self.range.as_ref()?.as_bytes();
        let Some(condition) = &self.if_range else {
            return Some(range);
        };
        let condition = condition.as_bytes();
        let name = match condition.first() {
            Some(b'"') => Known::ETag,
            // A weak tag does not say that the bytes are the same.
            Some(b'W') if condition.starts_with(b"W/") => return None,
            _ => Known::LastModified,
        };
        let same = headers
            .get(name)
            .is_some_and(|it| it.as_bytes() == condition);
        same.then_some(range)
    }
}

impl Meta {
    /// Writes the conditions by which an endpoint tells whether the stored answer still holds.
    pub(crate) fn ask(&self, request: &mut Headers) {
        if let Some(tag) = self.headers.get(Known::ETag) {
            request.insert(Known::IfNoneMatch, tag);
        }
        if let Some(modified) = self.headers.get(Known::LastModified) {
            request.insert(Known::IfModifiedSince, modified);
        }
    }
}

/// Returns true if a list of entity tags has this one, strong or weak.
fn lists(tags: &[u8], tag: &[u8]) -> bool {
    let opaque = |tag: &[u8]| tag.strip_prefix(b"W/").unwrap_or(tag).to_vec();
    let wanted = opaque(tag);
    // A tag with a comma in it is found by its text.
    members(tags).any(|it| opaque(it) == wanted)
        || wanted.contains(&b',') && memchr::memmem::find(tags, &wanted).is_some()
}

const CONDITIONS: Names = Names::of(&[
    Known::IfNoneMatch,
    Known::IfModifiedSince,
    Known::Range,
    Known::IfRange,
]);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::headers::fields;

    #[test]
    fn a_client_that_has_the_answer_is_told_so() {
        let stored = fields(&[
            ("etag", "\"a\""),
            ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ]);
        let earlier = "Sun, 06 Nov 1994 08:49:36 GMT";
        let later = "Sun, 06 Nov 1994 08:49:38 GMT";
        for (lines, same) in [
            (&[("if-none-match", "\"a\"")][..], true),
            (&[("if-none-match", "\"b\", W/\"a\"")], true),
            (
                &[("if-none-match", "\"b\""), ("if-none-match", "\"a\"")],
                true,
            ),
            (&[("if-none-match", "*")], true),
            (&[("if-none-match", "\"b\"")], false),
            (&[("if-none-match", "a")], false),
            // The tag counts, and not the date.
            (
                &[("if-none-match", "\"b\""), ("if-modified-since", later)],
                false,
            ),
            (&[("if-modified-since", later)], true),
            (&[("if-modified-since", earlier)], false),
            (&[("if-modified-since", "yesterday")], false),
            (&[], false),
        ] {
            let conditions = Conditions::read(&fields(lines));
            let got = conditions.validate(&stored) == Validated::NotModified;
            assert_eq!(got, same, "{lines:?}");
        }
    }

    #[test]
    fn a_range_is_of_the_answer_that_the_client_has_a_part_of() {
        let stored = fields(&[
            ("etag", "\"a\""),
            ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ]);
        for (condition, same) in [
            ("\"a\"", true),
            ("\"b\"", false),
            ("W/\"a\"", false),
            ("Sun, 06 Nov 1994 08:49:37 GMT", true),
            ("Sun, 06 Nov 1994 08:49:38 GMT", false),
        ] {
            let lines = [("range", "bytes=0-1"), ("if-range", condition)];
            let conditions = Conditions::read(&fields(&lines));
            assert_eq!(conditions.range_of(&stored).is_some(), same, "{condition}");
        }
    }
}
