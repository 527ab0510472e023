//! Match of a request's normal path against the path of a route.

use crate::route::PathMatch;

/// Tells whether a normal path matches; a prefix takes whole segments only.
pub(crate) fn matches_path(wanted: &PathMatch, path: &str) -> bool {
    match wanted {
        PathMatch::Any => true,
        PathMatch::Exact(exact) => **exact == *path,
        // The prefix `/` is the same as any path, so it takes the `*` of OPTIONS too.
        PathMatch::Prefix(prefix) => path
            .strip_prefix(&**prefix)
            .is_some_and(|rest| prefix.is_empty() || rest.is_empty() || rest.starts_with('/')),
        PathMatch::Regex(regex) => regex.is_match(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_matches_whole_segments() {
        let orders = PathMatch::prefix("/orders").unwrap();
        for (path, expected) in [
            ("/orders", true),
            ("/orders/", true),
            ("/orders/1", true),
            ("/orders-old", false),
            ("/order", false),
            ("/", false),
            ("*", false),
        ] {
            assert_eq!(matches_path(&orders, path), expected, "{path}");
        }
        assert!(matches_path(&PathMatch::prefix("/").unwrap(), "/x"));
        assert!(matches_path(&PathMatch::prefix("/").unwrap(), "*"));
    }
}
