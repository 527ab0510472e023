//! Routes of one host, found by path.
//!
//! Paths stand in a tree of segments, so that a lookup costs one hash per segment of the path, only
//! as deep as the tree goes, for any number of routes. A regex stands at the directory that it
//! begins with literally (`^/orders/[0-9]+$` at `/orders`), so that most are never tested.

use super::{
    spec::PathMatch,
    tree::{NodeId, Place, Reach, Tree},
};

/// Adds a candidate for a path under `root`, which is a host.
pub(super) fn insert(tree: &mut Tree, root: NodeId, path: &PathMatch, place: Place) {
    let (directory, reach) = match path {
        PathMatch::Exact(path) => (&**path, Reach::Here),
        PathMatch::Any => ("", Reach::Below),
        PathMatch::Prefix(prefix) => (&**prefix, Reach::Below),
        PathMatch::Regex(regex) => (literal_directory(regex.as_str()), Reach::Below),
    };
    let segments = directory.split('/').skip(1);
    let node = segments.fold(root, |at, segment| tree.make(at, segment));
    tree.add(node, reach, place);
}

/// Returns the first candidate for this path that `takes` accepts, or `best` if none precedes it.
pub(super) fn find(
    tree: &Tree,
    root: NodeId,
    path: &str,
    best: Place,
    takes: &impl Fn(Place) -> bool,
) -> Place {
    let (deepest, is_whole) = descend(tree, root, path);
    let mut node = tree.of(deepest);
    let mut best = best;
    if is_whole {
        best = first_of(tree.here(node), best, takes);
    }
    // From the deepest node upwards, since that is where the best mostly are.
    while node.best_upward() < best {
        best = first_of(tree.below(node), best, takes);
        match node.parent() {
            Some(parent) => node = tree.of(parent),
            None => break,
        }
    }
    best
}

/// Returns the last node on the way of a path, and whether the path ends there.
fn descend(tree: &Tree, root: NodeId, path: &str) -> (NodeId, bool) {
    let Some(rest) = path.strip_prefix('/') else {
        return (root, false);
    };
    let mut at = root;
    for segment in rest.split('/') {
        match tree.child(at, segment) {
            Some(child) => at = child,
            None => return (at, false),
        }
    }
    (at, true)
}

fn first_of(candidates: &[Place], best: Place, takes: &impl Fn(Place) -> bool) -> Place {
    candidates
        .iter()
        .copied()
        .take_while(|&place| place < best)
        .find(|&place| takes(place))
        .unwrap_or(best)
}

/// Returns the directory, without final slash, that contains every path that the expression
/// matches.
///
/// Uses only what is certain: an anchor, then plain characters up to a slash that is not itself
/// repeated, and no alternative anywhere. Flags set inside the expression cannot affect text before
/// them; those of a builder are not seen (see [`PathMatch::Regex`]).
fn literal_directory(pattern: &str) -> &str {
    let Some(rest) = pattern.strip_prefix('^') else {
        return "";
    };
    if rest.contains('|') {
        return "";
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '~');
    let end = rest.find(|c| !plain(c)).unwrap_or(rest.len());
    let (literal, tail) = rest.split_at(end);
    let literal = if tail.starts_with(['?', '*', '+', '{']) {
        &literal[..literal.len().saturating_sub(1)]
    } else {
        literal
    };
    literal.rfind('/').map_or("", |slash| &literal[..slash])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::tree::NOWHERE;

    fn index(paths: &[PathMatch]) -> (Tree, NodeId) {
        let mut tree = Tree::default();
        let root = tree.root();
        for (place, path) in (0..).zip(paths) {
            insert(&mut tree, root, path, place);
        }
        tree.finish();
        (tree, root)
    }

    #[test]
    fn the_directory_of_a_regex_is_only_what_is_certain() {
        for (pattern, expected) in [
            ("^/orders/[0-9]+$", "/orders"),
            ("^/a/b/c$", "/a/b"),
            ("^/a/?$", ""),
            ("^/a/b?", "/a"),
            ("^/a/b/{2}c", "/a"),
            ("^/a/b|/c", ""),
            ("/a/b", ""),
            ("^/a/(b|c)", ""),
            ("^/", ""),
            ("^", ""),
            ("", ""),
            ("^/a.b/c", ""),
            ("(?i)^/a/b", ""),
            ("^/a/(?i)B", "/a"),
            ("^/a/*", ""),
            ("^*", ""),
        ] {
            assert_eq!(literal_directory(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn the_best_place_wins_wherever_it_stands() {
        let (tree, root) = index(&[
            PathMatch::Prefix("/a".into()),
            PathMatch::Exact("/a/b".into()),
            PathMatch::Prefix("/a/b".into()),
        ]);
        let find = |path, best| find(&tree, root, path, best, &|_| true);
        let second = |path| super::find(&tree, root, path, NOWHERE, &|place| place != 0);
        assert_eq!(find("/a/b", NOWHERE), 0);
        assert_eq!(second("/a/b"), 1);
        assert_eq!(second("/a/b/c"), 2);
        assert_eq!(second("/a/b/"), 2);
        assert_eq!(find("/ab", NOWHERE), NOWHERE);
        assert_eq!(find("/a/b", 0), 0);
    }

    #[test]
    fn an_exact_path_is_no_prefix() {
        let (tree, root) = index(&[
            PathMatch::Exact("/a".into()),
            PathMatch::Exact("/".into()),
            PathMatch::Exact("/a/".into()),
            PathMatch::Exact("/a/b/c".into()),
        ]);
        let find = |path| find(&tree, root, path, NOWHERE, &|_| true);
        assert_eq!(["/a", "/", "/a/", "/a/b/c"].map(find), [0, 1, 2, 3]);
        for path in ["/a/b", "/a//", "//", "/a/b/c/", "/a/b/c/d", "/b", "*", ""] {
            assert_eq!(find(path), NOWHERE, "{path}");
        }
    }

    #[test]
    fn a_branch_without_better_candidates_is_not_asked() {
        let (tree, root) = index(&[
            PathMatch::Exact("/a".into()),
            PathMatch::Prefix("/a".into()),
        ]);
        let asked = std::cell::Cell::new(0);
        let found = find(&tree, root, "/a", NOWHERE, &|_| {
            asked.set(asked.get() + 1);
            true
        });
        assert_eq!((found, asked.get()), (0, 1));
    }
}
