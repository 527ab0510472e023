//! Common parts of the lines of a block.

use super::{
    guard::{gates, of_handler},
    matcher::{Conditions, Named},
    syntax::Line,
};
use crate::import::{document::Table, gate::Gate};

/// Common parts of the routes of a block.
#[derive(Clone)]
pub(super) struct Scope<'a> {
    /// Beginning of their names.
    pub(super) name: String,
    /// Keys of all of them.
    pub(super) base: Table,
    /// Lines that do not answer, with the matcher that each has.
    pub(super) common: Vec<(&'a Line, Option<String>)>,
    /// Named matchers.
    pub(super) named: Vec<&'a Line>,
    /// Redirects of the blocks around it, which are asked first.
    pub(super) gates: Vec<Gate>,
    /// True if the lines are asked in the order in which they stand.
    pub(super) is_ordered: bool,
    /// The part of the path that the blocks around it take away.
    pub(super) stripped: String,
}

impl<'a> Scope<'a> {
    pub(super) fn new(name: String, base: Table) -> Self {
        Self {
            name,
            base,
            common: Vec::new(),
            named: Vec::new(),
            gates: Vec::new(),
            is_ordered: false,
            stripped: String::new(),
        }
    }
}

impl Scope<'_> {
    /// Returns the gates of a block with their lines, apart from redirects: those are asked before
    /// the blocks in it, too.
    pub(super) fn gates_of<'l>(&mut self, lines: &'l [Line]) -> Vec<(&'l Line, Gate)> {
        let mut own = Vec::new();
        for line in lines {
            if let Some(gate) = gates(line, |it| self.named(it)) {
                match line.name() {
                    "redir" => self.gates.push(gate),
                    _ => own.push((line, gate)),
                }
            }
        }
        own
    }

    /// Returns the gates that other handlers of a block are for a line.
    pub(super) fn handlers_before(&self, lines: &[Line], line: &Line) -> Vec<Gate> {
        let others = lines.iter().filter(|it| !std::ptr::eq(*it, line));
        let gates = others.filter_map(|it| of_handler(it, |name| self.named(name)));
        gates.collect()
    }

    /// The conditions of a matcher.
    pub(super) fn named(&self, matcher: Option<&str>) -> Named {
        let mut named = match matcher {
            None => Named {
                sets: vec![Conditions::default()],
                ..Named::default()
            },
            Some(name) if name.starts_with('@') => {
                let line = self.named.iter().rev().find(|it| it.name() == name);
                line.map_or_else(Named::unknown, |it| Named::of(it))
            }
            Some(path) => Named {
                sets: vec![Conditions::of_path(path)],
                ..Named::default()
            },
        };
        if !self.stripped.is_empty() {
            let whole = |sets: &[Conditions]| -> Option<Vec<Conditions>> {
                sets.iter()
                    .map(|it| it.unstripped(&self.stripped))
                    .collect()
            };
            let (sets, not) = (whole(&named.sets), named.not.as_deref().map(whole));
            let (Some(sets), false) = (sets, matches!(not, Some(None))) else {
                return Named::unknown();
            };
            named.sets = sets;
            named.not = not.flatten();
        }
        named
    }
}
