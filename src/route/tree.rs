//! Tree of names: a host, then the segments of a path.
//!
//! Made for many routes that are each used rarely, so that their memory is mostly not in the cache:
//! nodes, names and candidates of all hosts lie in one piece of memory each, and a step down costs
//! one hash and one entry of a table.

use std::hash::BuildHasher;
use std::num::NonZeroU32;
use std::ops::Range;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Place of a candidate in the total order of the table; the smaller wins.
pub(super) type Place = u32;

/// No candidate; after every other.
pub(super) const NOWHERE: Place = Place::MAX;

/// A node of a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NodeId(NonZeroU32);

/// Paths that a candidate at a node applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// The path that ends at the node.
    Here,
    /// That path, and all below.
    Below,
}

/// Nodes with candidates. Add all of them, then call [`Tree::finish`].
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// A parent precedes its children.
    nodes: Vec<Node>,
    children: HashTable<Child>,
    hasher: RandomState,
    /// Names of all children, one after the other.
    names: String,
    /// The candidates of a node are together, in ascending order.
    candidates: Vec<Place>,
    /// Candidates to be sorted into `candidates`.
    added: Vec<(NodeId, Reach, Place)>,
}

/// A node, as needed for a lookup.
#[derive(Clone, Debug)]
pub(super) struct Node {
    parent: Option<NodeId>,
    is_leaf: bool,
    here: Span,
    below: Span,
    /// The best candidate for paths below, of this node and of those above it.
    best_upward: Place,
    /// The best candidate of this node and of those below it.
    best_downward: Place,
}

/// A node's name under its parent.
#[derive(Clone, Copy, Debug)]
struct Child {
    parent: NodeId,
    name: Span,
    node: NodeId,
}

/// A part of a list; `u32` because a lookup reads many.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    end: u32,
}

impl Tree {
    /// Adds a node that is found only by its id.
    pub(super) fn root(&mut self) -> NodeId {
        self.node(None)
    }

    /// Returns the child of this name; adds it if there is none.
    pub(super) fn make(&mut self, parent: NodeId, name: &str) -> NodeId {
        if let Some(child) = self.child(parent, name) {
            return child;
        }
        let node = self.node(Some(parent));
        let start = short(self.names.len());
        self.names.push_str(name);
        let end = short(self.names.len());
        let child = Child {
            parent,
            name: Span { start, end },
            node,
        };
        let Self {
            children,
            hasher,
            names,
            ..
        } = self;
        let hash = |child: &Child| hasher.hash_one((child.parent.0, &names[child.name.range()]));
        children.insert_unique(hash(&child), child, hash);
        self.nodes[parent.position()].is_leaf = false;
        node
    }

    /// Returns the child of this name.
    #[inline]
    pub(super) fn child(&self, parent: NodeId, name: &str) -> Option<NodeId> {
        if self.of(parent).is_leaf {
            return None;
        }
        let hash = self.hasher.hash_one((parent.0, name));
        let is = |child: &Child| child.parent == parent && &self.names[child.name.range()] == name;
        self.children.find(hash, is).map(|child| child.node)
    }

    /// Adds a candidate.
    pub(super) fn add(&mut self, node: NodeId, reach: Reach, place: Place) {
        self.added.push((node, reach, place));
    }

    /// Completes the tree after the last addition.
    pub(super) fn finish(&mut self) {
        let mut added = std::mem::take(&mut self.added);
        added.sort_unstable();
        for (node, reach, place) in added {
            let start = short(self.candidates.len());
            self.candidates.push(place);
            let node = &mut self.nodes[node.position()];
            let span = match reach {
                Reach::Here => &mut node.here,
                Reach::Below => &mut node.below,
            };
            if span.range().is_empty() {
                span.start = start;
            }
            span.end = start + 1;
        }
        self.candidates.shrink_to_fit();
        for at in 0..self.nodes.len() {
            let above = self.nodes[at].parent.map(|parent| self.of(parent));
            let above = above.map_or(NOWHERE, |parent| parent.best_upward);
            let here = self.candidates(self.nodes[at].below).first();
            let best = here.map_or(above, |&here| here.min(above));
            self.nodes[at].best_upward = best;
        }
        for at in (0..self.nodes.len()).rev() {
            let node = &self.nodes[at];
            let own = [self.here(node).first(), self.below(node).first()];
            let own = own.into_iter().flatten().copied().min();
            let best = node.best_downward.min(own.unwrap_or(NOWHERE));
            let parent = node.parent;
            self.nodes[at].best_downward = best;
            if let Some(parent) = parent {
                let parent = &mut self.nodes[parent.position()];
                parent.best_downward = parent.best_downward.min(best);
            }
        }
    }

    /// Returns the node with this id.
    #[inline]
    pub(super) fn of(&self, node: NodeId) -> &Node {
        &self.nodes[node.position()]
    }

    /// Returns the candidates of a node for the path that ends there, ascending.
    #[inline]
    pub(super) fn here(&self, node: &Node) -> &[Place] {
        self.candidates(node.here)
    }

    /// Returns the candidates of a node for that path and all below, ascending.
    #[inline]
    pub(super) fn below(&self, node: &Node) -> &[Place] {
        self.candidates(node.below)
    }

    #[inline]
    fn candidates(&self, span: Span) -> &[Place] {
        &self.candidates[span.range()]
    }

    fn node(&mut self, parent: Option<NodeId>) -> NodeId {
        let id = NodeId(NonZeroU32::MIN.saturating_add(short(self.nodes.len())));
        self.nodes.push(Node {
            parent,
            is_leaf: true,
            here: Span::default(),
            below: Span::default(),
            best_upward: NOWHERE,
            best_downward: NOWHERE,
        });
        id
    }
}

impl Node {
    /// Returns the parent.
    #[inline]
    pub(super) fn parent(&self) -> Option<NodeId> {
        self.parent
    }

    /// Returns the best candidate for paths below, of this node and of those above it.
    #[inline]
    pub(super) fn best_upward(&self) -> Place {
        self.best_upward
    }

    /// Returns the best candidate of this node and of those below it.
    #[inline]
    pub(super) fn best_downward(&self) -> Place {
        self.best_downward
    }
}

impl NodeId {
    #[inline]
    fn position(self) -> usize {
        self.0.get() as usize - 1
    }
}

impl Span {
    #[inline]
    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Converts a position to its stored form; no configuration has four billion of anything.
fn short(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

const _: () = assert!(size_of::<Node>() == 32, "two on a cache line");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_their_parent() {
        let mut tree = Tree::default();
        let (one, other) = (tree.root(), tree.root());
        let a = tree.make(one, "a");
        let empty = tree.make(a, "");
        assert_eq!(tree.make(one, "a"), a);
        assert_eq!(tree.child(one, "a"), Some(a));
        assert_eq!(tree.child(a, ""), Some(empty));
        assert_eq!(tree.child(other, "a"), None);
        assert_eq!(tree.child(a, "a"), None);
        for n in 0..1_000 {
            tree.make(other, &n.to_string());
        }
        let found = |n: usize| tree.child(other, &n.to_string());
        let nodes: std::collections::BTreeSet<_> = (0..1_000).filter_map(found).collect();
        assert_eq!(nodes.len(), 1_000);
        assert_eq!(tree.child(one, "a"), Some(a));
    }

    #[test]
    fn candidates_are_sorted_and_the_best_is_known_both_ways() {
        let mut tree = Tree::default();
        let root = tree.root();
        let a = tree.make(root, "a");
        let b = tree.make(a, "b");
        for (node, reach, place) in [
            (b, Reach::Here, 1),
            (a, Reach::Below, 7),
            (root, Reach::Below, 5),
            (a, Reach::Below, 3),
            (b, Reach::Below, 9),
        ] {
            tree.add(node, reach, place);
        }
        tree.finish();
        let of = |node| tree.of(node);
        assert_eq!(tree.below(of(a)), [3, 7]);
        assert!(tree.here(of(a)).is_empty());
        assert_eq!((tree.here(of(b)), tree.below(of(b))), (&[1][..], &[9][..]));
        let upward: Vec<Place> = [root, a, b].map(|node| of(node).best_upward()).into();
        assert_eq!(upward, [5, 3, 3]);
        let downward: Vec<Place> = [root, a, b].map(|node| of(node).best_downward()).into();
        assert_eq!(downward, [1, 1, 1]);
    }
}
