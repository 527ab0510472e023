//! Answers made of stored ones: whole, a part, or that nothing has changed.

use std::sync::Arc;

use http::{HeaderValue, StatusCode};

use super::reader::{StoredReader, body_of};
use crate::{
    cache::{Conditions, Entry, Part, Validated, hit, part},
    exchange::{Body, Response},
    semantics::{Headers, Known},
};

/// Request that is answered from the store.
pub(super) struct Serving<'a> {
    pub(super) conditions: &'a Conditions,
    pub(super) head: bool,
    pub(super) now: u64,
}

impl Serving<'_> {
    /// Answers with a stored answer; `status` is the `Cache-Status`, where it is not that of a hit.
    pub(super) fn stored(&self, entry: &Arc<Entry>, status: Option<String>) -> Response {
        let meta = &entry.meta;
        let age = meta.age(self.now);
        let mut headers = meta.headers.clone();
        headers.insert(Known::Age, HeaderValue::from(age));
        let status = status.unwrap_or_else(|| {
            let lifetime = i64::try_from(meta.freshness.lifetime).unwrap_or(i64::MAX);
            hit(lifetime.saturating_sub(i64::try_from(age).unwrap_or(i64::MAX)))
        });
        say(&mut headers, &status);
        let mut response = Response {
            status: meta.status,
            headers,
            body: Body::Empty,
        };
        if meta.status == StatusCode::OK {
            if self.conditions.validate(&meta.headers) == Validated::NotModified {
                not_modified(&mut response);
                return response;
            }
            // A range is asked of a body: by GET alone (RFC 9110 section 14.2).
            let range = self.conditions.range_of(&meta.headers);
            if let Some(range) = range.filter(|_| !self.head) {
                let length = entry.content.length();
                match part(range, length) {
                    Part::Whole => {}
                    Part::Unsatisfiable => return unsatisfiable(response, length),
                    Part::Bytes(bytes) => {
                        response.status = StatusCode::PARTIAL_CONTENT;
                        let headers = &mut response.headers;
                        let said = format!("bytes {}-{}/{length}", bytes.start, bytes.end - 1);
                        set(headers, Known::ContentRange, &said);
                        let count = HeaderValue::from(bytes.end - bytes.start);
                        headers.insert(Known::ContentLength, count);
                        response.body = StoredReader::body(&entry.content, bytes);
                        return response;
                    }
                }
            }
        }
        if !self.head {
            response.body = body_of(&entry.content);
        }
        response
    }
}

/// Turns an answer into the one that it has not changed (RFC 9110 section 15.4.5).
pub(super) fn not_modified(response: &mut Response) {
    response.status = StatusCode::NOT_MODIFIED;
    response.body = Body::Empty;
    for name in [
        Known::ContentLength,
        Known::ContentType,
        Known::ContentEncoding,
        Known::ContentLanguage,
    ] {
        response.headers.remove(name);
    }
}

fn unsatisfiable(mut response: Response, length: u64) -> Response {
    response.status = StatusCode::RANGE_NOT_SATISFIABLE;
    let headers = &mut response.headers;
    set(headers, Known::ContentRange, &format!("bytes */{length}"));
    headers.insert(Known::ContentLength, HeaderValue::from(0));
    headers.remove(Known::ContentEncoding);
    response
}

/// Adds what this cache did (RFC 9211), behind what caches nearer to the endpoint did.
pub(super) fn say(headers: &mut Headers, status: &str) {
    if let Ok(value) = HeaderValue::from_str(status) {
        headers.append("Cache-Status", value);
    }
}

fn set(headers: &mut Headers, name: Known, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}
