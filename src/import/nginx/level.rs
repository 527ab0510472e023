//! Directives in force at a place: those of its block, and of the blocks around it.

use std::{cell::RefCell, collections::HashSet, rc::Rc};

use super::syntax::Directive;

/// Directives that something was made of.
#[derive(Debug, Default)]
struct Seen(RefCell<HashSet<usize>>);

/// A block within others.
#[derive(Clone)]
pub(super) struct Level<'a> {
    /// The block itself, then those around it.
    blocks: Vec<&'a [Directive]>,
    seen: Rc<Seen>,
}

impl Seen {
    fn mark(&self, directive: &Directive) {
        self.0
            .borrow_mut()
            .insert(std::ptr::from_ref(directive).addr());
    }

    fn has(&self, directive: &Directive) -> bool {
        let at = std::ptr::from_ref(directive).addr();
        self.0.borrow().contains(&at)
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
