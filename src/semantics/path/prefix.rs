//! Changes to a path that was routed by its normal form.
//!
//! A route is found by the normal form of a path, so a prefix is removed from the normal form as
//! well: `//api//v1` and `/%61pi/v1` lose their `/api` like any other. The rest stays as sent, as
//! long as it has only one meaning.

use std::borrow::Cow;

use super::{EncodedSlash, NormalPath, is_normal, normalise, unescape};
use crate::failure::BadRequest;

/// Removes a prefix, itself in normal form and without a final slash, from the front of a path in
/// whole segments; none if the path does not begin with it.
///
/// The rest begins with one slash, or is empty.
///
/// # Errors
/// [`BadRequest::Path`] for dot segments after encoded slashes: they would lead out of the new
/// prefix.
pub fn strip_prefix<'a>(path: &'a str, prefix: &str) -> Result<Option<Cow<'a, str>>, BadRequest> {
    if is_normal(path.as_bytes()) {
        return Ok(behind(path, prefix).map(Cow::Borrowed));
    }
    let normal = rewritable(path)?;
    let Some(rest) = behind(normal.as_str(), prefix) else {
        return Ok(None);
    };
    // Without dot segments the segments are the same ones in both, but for empty ones.
    if has_dots(&unescape(path.as_bytes(), EncodedSlash::Keep)?.0) {
        return Ok(Some(Cow::Owned(rest.to_owned())));
    }
    let mut left = path;
    for _ in prefix.split('/').skip(1) {
        left = left.trim_start_matches('/');
        left = &left[left.find('/').unwrap_or(left.len())..];
    }
    let slashes = left.len() - left.trim_start_matches('/').len();
    Ok(Some(Cow::Borrowed(&left[slashes.saturating_sub(1)..])))
}

/// Returns the normal form of a path that is about to change.
///
/// # Errors
/// See [`strip_prefix`].
pub fn rewritable(path: &str) -> Result<NormalPath<'_>, BadRequest> {
    let normal = normalise(path.as_bytes())?;
    if normal.with_slashes_decoded().is_some() {
        let (decoded, _) = unescape(path.as_bytes(), EncodedSlash::Decode)?;
        let (kept, _) = unescape(path.as_bytes(), EncodedSlash::Keep)?;
        if dots(&decoded) > dots(&kept) {
            return Err(BadRequest::Path);
        }
    }
    Ok(normal)
}

fn behind<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

fn has_dots(path: &str) -> bool {
    dots(path) > 0
}

fn dots(path: &str) -> usize {
    path.split('/')
        .filter(|segment| matches!(*segment, "." | ".."))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_taken_off_every_spelling_of_it() {
        for (prefix, path, expected) in [
            ("/api", "/api/v1", Some("/v1")),
            ("/api", "/api", Some("")),
            ("/api", "/api/", Some("/")),
            ("/api", "//api//v1", Some("/v1")),
            ("/api", "/%61pi/x", Some("/x")),
            ("/api", "/x/../api/v1", Some("/v1")),
            ("/api", "/./api/v1", Some("/v1")),
            ("/api", "/api/../api/v1/../v2", Some("/v2")),
            ("/api", "/api/a%7Eb//c", Some("/a%7Eb//c")),
            ("/api", "/api/http://x/%C3%a9", Some("/http://x/%C3%a9")),
            ("/api", "/api/a%2Fb", Some("/a%2Fb")),
            ("/a%2F", "/a%2f/x", Some("/x")),
            ("/a/b", "//a///b", Some("")),
            ("/a/b", "//a///b//", Some("/")),
            ("/api", "/apix/1", None),
            ("/api", "/%61pix", None),
            ("/api", "/api/../x", None),
            ("", "//x", Some("/x")),
        ] {
            let found = strip_prefix(path, prefix).unwrap();
            assert_eq!(found.as_deref(), expected, "{prefix} {path}");
        }
    }

    #[test]
    fn dots_behind_encoded_slashes_are_refused() {
        for path in [
            "/api/x/..%2f..%2fapi/secret",
            "/api/%2e%2e%2fapi/x",
            "/api/.%2fx",
        ] {
            assert_eq!(strip_prefix(path, "/api"), Err(BadRequest::Path), "{path}");
        }
    }
}
