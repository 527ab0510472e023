//! The routes of one host, found by path.
//!
//! A hash map holds the exact paths. Prefixes stand in a tree of segments, so that a
//! lookup costs one hash per segment of the path, only as deep as the tree goes, however
//! many routes there are. A regex stands at the directory that it begins with literally
//! (`^/orders/[0-9]+$` at `/orders`), so that most are never asked.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::spec::PathMatch;

/// Place of a candidate in the total order of the table; the smaller wins.
pub(super) type Place = u32;

/// No candidate; after every other.
pub(super) const NOWHERE: Place = Place::MAX;

/// Candidates by path. Fill it in ascending order of place, then call [`PathIndex::finish`].
#[derive(Debug)]
pub(super) struct PathIndex {
    exact: HashMap<Box<str>, Vec<Place>, RandomState>,
    /// The first is the root; a parent stands before its children.
    nodes: Vec<Node>,
    best: Place,
}

#[derive(Debug)]
struct Node {
    parent: Option<usize>,
    children: HashMap<Box<str>, usize, RandomState>,
    /// Ascending.
    candidates: Vec<Place>,
    /// The best place here or nearer to the root.
    best_upward: Place,
}

impl PathIndex {
    pub(super) fn new() -> Self {
        Self {
            exact: HashMap::default(),
            nodes: vec![Node::under(None)],
            best: NOWHERE,
        }
    }

    pub(super) fn insert(&mut self, path: &PathMatch, place: Place) {
        self.best = self.best.min(place);
        let directory = match path {
            PathMatch::Exact(path) => {
                self.exact.entry(path.clone()).or_default().push(place);
                return;
            }
            PathMatch::Any => "",
            PathMatch::Prefix(prefix) => prefix,
            PathMatch::Regex(regex) => literal_directory(regex.as_str()),
        };
        let mut at = 0;
        for segment in directory.split('/').skip(1) {
            at = self.child(at, segment);
        }
        self.nodes[at].candidates.push(place);
    }

    /// Completes the index after the last insertion.
    pub(super) fn finish(&mut self) {
        for at in 0..self.nodes.len() {
            let above = self.nodes[at]
                .parent
                .map_or(NOWHERE, |parent| self.nodes[parent].best_upward);
            let node = &mut self.nodes[at];
            node.best_upward = node
                .candidates
                .first()
                .map_or(above, |&here| here.min(above));
        }
    }

    /// The best place that could come out of [`PathIndex::find`].
    pub(super) fn best(&self) -> Place {
        self.best
    }

    /// The first candidate for this path that `takes` accepts, or `best` when none goes before it.
    pub(super) fn find(&self, path: &str, best: Place, takes: &impl Fn(Place) -> bool) -> Place {
        let mut best = best;
        if let Some(candidates) = self.exact.get(path) {
            best = first_of(candidates, best, takes);
        }
        // From the deepest node upwards, since that is where the best mostly are.
        let mut at = Some(self.deepest(path));
        while let Some(node) = at.and_then(|at| self.nodes.get(at)) {
            if node.best_upward >= best {
                break;
            }
            best = first_of(&node.candidates, best, takes);
            at = node.parent;
        }
        best
    }

    fn deepest(&self, path: &str) -> usize {
        let mut at = 0;
        let Some(rest) = path.strip_prefix('/') else {
            return at;
        };
        for segment in rest.split('/') {
            match self.nodes[at].children.get(segment) {
                Some(&child) => at = child,
                None => break,
            }
        }
        at
    }

    fn child(&mut self, parent: usize, segment: &str) -> usize {
        if let Some(&child) = self.nodes[parent].children.get(segment) {
            return child;
        }
        let child = self.nodes.len();
        self.nodes.push(Node::under(Some(parent)));
        self.nodes[parent].children.insert(segment.into(), child);
        child
    }
}

impl Node {
    fn under(parent: Option<usize>) -> Self {
        Self {
            parent,
            children: HashMap::default(),
            candidates: Vec::new(),
            best_upward: NOWHERE,
        }
    }
}

fn first_of(candidates: &[Place], best: Place, takes: &impl Fn(Place) -> bool) -> Place {
    candidates
        .iter()
        .copied()
        .take_while(|&place| place < best)
        .find(|&place| takes(place))
        .unwrap_or(best)
}

/// The directory, without final slash, in which every path that the expression matches stands.
///
/// Looks only at what is certain: an anchor, then plain characters up to a slash that is
/// not itself repeated, and no alternative anywhere. Flags set inside the expression
/// cannot reach back over it; those of a builder are not seen (see [`PathMatch::Regex`]).
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

    fn index(paths: &[PathMatch]) -> PathIndex {
        let mut index = PathIndex::new();
        for (place, path) in (0..).zip(paths) {
            index.insert(path, place);
        }
        index.finish();
        index
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
        let index = index(&[
            PathMatch::Prefix("/a".into()),
            PathMatch::Exact("/a/b".into()),
            PathMatch::Prefix("/a/b".into()),
        ]);
        assert_eq!(index.find("/a/b", NOWHERE, &|_| true), 0);
        assert_eq!(index.find("/a/b", NOWHERE, &|place| place != 0), 1);
        assert_eq!(index.find("/a/b/c", NOWHERE, &|place| place != 0), 2);
        assert_eq!(index.find("/ab", NOWHERE, &|_| true), NOWHERE);
        assert_eq!(index.find("/a/b", 0, &|_| true), 0);
    }

    #[test]
    fn a_branch_without_better_candidates_is_not_asked() {
        let index = index(&[
            PathMatch::Exact("/a".into()),
            PathMatch::Prefix("/a".into()),
        ]);
        let asked = std::cell::Cell::new(0);
        let found = index.find("/a", NOWHERE, &|_| {
            asked.set(asked.get() + 1);
            true
        });
        assert_eq!((found, asked.get()), (0, 1));
    }
}
