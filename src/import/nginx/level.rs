//! Directives in force at a place: those of its block, and of the blocks around it.

use std::{cell::RefCell, collections::HashSet, rc::Rc};

use super::syntax::Directive;

/// Directives that something was made of.
#[derive(Debug, Default)]
struct Seen {
    made: RefCell<HashSet<usize>>,
    /// Those that keep clients out and have no equal: they close all that they are in force for.
    closing: RefCell<HashSet<usize>>,
}

/// A block within others.
#[derive(Clone)]
pub(super) struct Level<'a> {
    /// The block itself, then those around it.
    blocks: Vec<&'a [Directive]>,
    seen: Rc<Seen>,
}

impl Seen {
    fn mark(&self, directive: &Directive) {
        self.made.borrow_mut().insert(at(directive));
    }

    fn has(&self, directive: &Directive) -> bool {
        self.made.borrow().contains(&at(directive))
    }
}

impl<'a> Level<'a> {
    pub(super) fn outermost(own: &'a [Directive]) -> Self {
        Self {
            blocks: vec![own],
            seen: Rc::default(),
        }
    }

    pub(super) fn within(own: &'a [Directive], outer: &Self) -> Self {
        let mut blocks = vec![own];
        blocks.extend(&outer.blocks);
        Self {
            blocks,
            seen: Rc::clone(&outer.seen),
        }
    }

    /// All directives of this name in the nearest block that has any.
    pub(super) fn all(&self, name: &str) -> Vec<&'a Directive> {
        self.all_of(&[name])
    }

    /// The directive of this name in the nearest block that has one.
    pub(super) fn one(&self, name: &str) -> Option<&'a Directive> {
        self.all(name).into_iter().next()
    }

    /// The directives of this name in the block itself.
    pub(super) fn own(&self, name: &str) -> Vec<&'a Directive> {
        self.marked(self.blocks[0], &[name])
    }

    /// The directives of these names in the nearest block that has any: those that belong together
    /// are inherited together.
    pub(super) fn all_of(&self, names: &[&str]) -> Vec<&'a Directive> {
        let found = self.blocks.iter().map(|block| self.marked(block, names));
        found
            .into_iter()
            .find(|it| !it.is_empty())
            .unwrap_or_default()
    }

    fn marked(&self, block: &'a [Directive], names: &[&str]) -> Vec<&'a Directive> {
        let found = block.iter().filter(|it| names.contains(&&*it.name));
        found.inspect(|it| self.seen.mark(it)).collect()
    }

    /// Looks for a directive in the block, and in those around it.
    pub(super) fn find(&self, fits: impl Fn(&Directive) -> bool + Copy) -> Option<&'a Directive> {
        let mut blocks = self.blocks.iter();
        blocks.find_map(|block| block.iter().find(|it| fits(it)))
    }

    /// The directives in force here of which nothing was made: those of the block itself, then
    /// those that it inherits.
    pub(super) fn left(&self) -> Vec<&'a Directive> {
        let mut nearer: HashSet<&str> = HashSet::new();
        let mut left = Vec::new();
        for (depth, block) in self.blocks.iter().enumerate() {
            if block.iter().any(|it| it.name == "http") {
                break;
            }
            let inherits = |it: &Directive| {
                let is_own = OF_ONE_BLOCK.contains(&&*it.name);
                let is_hidden = it.name != "include" && nearer.contains(&*it.name);
                depth == 0 || (!is_own && !is_hidden)
            };
            let closing = self.seen.closing.borrow();
            let is_left = |it: &Directive| !self.seen.has(it) || closing.contains(&at(it));
            let found = block.iter().filter(|it| inherits(it) && is_left(it));
            left.extend(found);
            nearer.extend(block.iter().map(|it| &*it.name));
        }
        left
    }

    /// Notes that a directive closes all that it is in force for.
    pub(super) fn mark_closing(&self, directive: &Directive) {
        self.seen.mark(directive);
        self.seen.closing.borrow_mut().insert(at(directive));
    }

    /// Notes that something was made of a directive.
    pub(super) fn mark(&self, directive: &Directive) {
        self.seen.mark(directive);
    }

    /// The directives of the block of which nothing was made, in their order.
    pub(super) fn rest(&self) -> impl Iterator<Item = &'a Directive> + use<'a> {
        let seen = Rc::clone(&self.seen);
        self.blocks[0].iter().filter(move |it| !seen.has(it))
    }
}

fn at(directive: &Directive) -> usize {
    std::ptr::from_ref(directive).addr()
}

/// Directives that the blocks in theirs do not inherit.
const OF_ONE_BLOCK: [&str; 8] = [
    "if",
    "internal",
    "limit_except",
    "return",
    "rewrite",
    "location",
    "server",
    "upstream",
];
