//! Routes of a table, found by host and then by path.
//!
//! Exact hosts stand under one root, the domains of wildcards under another. A wildcard is
//! looked up by cutting labels off the front of the host, which a valid host has few of.

use super::{
    path_index,
    spec::PathMatch,
    tree::{NOWHERE, NodeId, Place, Tree},
};
use crate::config::value::HostPattern;

/// Candidates by host and path. Insert all of them, then call [`HostIndex::finish`].
#[derive(Debug)]
pub(super) struct HostIndex {
    tree: Tree,
    exact: NodeId,
    wildcard: NodeId,
    any: NodeId,
}

impl HostIndex {
    pub(super) fn new() -> Self {
        let mut tree = Tree::default();
        let [exact, wildcard, any] = std::array::from_fn(|_| tree.root());
        Self {
            tree,
            exact,
            wildcard,
            any,
        }
    }

    pub(super) fn insert(&mut self, host: &HostPattern, path: &PathMatch, place: Place) {
        let root = match host {
            HostPattern::Exact(name) => self.tree.make(self.exact, name),
            HostPattern::Wildcard(domain) => self.tree.make(self.wildcard, domain),
            HostPattern::Any => self.any,
        };
        path_index::insert(&mut self.tree, root, path, place);
    }

    /// Completes the index after the last insertion.
    pub(super) fn finish(&mut self) {
        self.tree.finish();
    }

    /// Returns the first candidate that `takes` accepts, or [`NOWHERE`].
    ///
    /// The search moves to a less specific host as soon as nothing at this one could win, which
    /// without priorities is after the first match.
    pub(super) fn find(&self, host: &str, path: &str, takes: &impl Fn(Place) -> bool) -> Place {
        let under = |root, best| {
            if self.best(root) < best {
                path_index::find(&self.tree, root, path, best, takes)
            } else {
                best
            }
        };
        let mut best = NOWHERE;
        if let Some(root) = self.tree.child(self.exact, host) {
            best = under(root, best);
        }
        if self.best(self.wildcard) < best {
            for dot in memchr::memchr_iter(b'.', host.as_bytes()) {
                let domain = host.get(dot + 1..).unwrap_or_default();
                match self.tree.child(self.wildcard, domain) {
                    Some(root) if dot > 0 => best = under(root, best),
                    _ => {}
                }
            }
        }
        under(self.any, best)
    }

    /// Returns the best place that can be found under a node.
    fn best(&self, node: NodeId) -> Place {
        self.tree.of(node).best_downward()
    }
}
