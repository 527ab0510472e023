//! Lines of which nothing was made: none of them is lost.

use super::{Translator, asked::asks, syntax::Line, untranslated};
use crate::import::{document::Table, table::Entry};

impl Translator {
    /// Tells the lines that stand nowhere yet.
    pub(super) fn rest(&mut self, lines: &[Line]) {
        let mut left = Table::default();
        self.look(lines, &mut left);
        if !left.is_empty() {
            self.made.routes.push(left);
        }
    }

    fn look(&self, lines: &[Line], left: &mut Table) {
        for line in lines {
            if line.name().starts_with('@') || INSIDE.contains(&line.name()) {
                continue;
            }
            if self.is_left_out(line) {
                // What stands in it is part of it.
                continue;
            }
            let has_parts = line.block.iter().any(|it| self.is_told(it));
            match line.name() {
                "bind" if line.args().len() > 1 => {
                    left.untranslated(&line.source, "a listener for each address");
                    continue;
                }
                "tls" | "bind" if !self.is_told(line) => {
                    left.needless(&line.source, "the listener of the site says it");
                    continue;
                }
                _ => {}
            }
            if line.name() == "transport" || asks(line) {
                // All that stands in it is told where it is read.
                continue;
            }
            let is_frame = FRAMES.contains(&line.name()) || line.words.is_empty();
            if is_frame || has_parts || self.is_told(line) || left.names(&line.source.place) {
                self.look(&line.block, left);
            } else {
                untranslated(left, line);
            }
        }
    }

    fn is_told(&self, line: &Line) -> bool {
        self.tables().any(|it| it.names(&line.source.place))
            || line.block.iter().any(|it| self.is_told(it))
    }

    /// Returns true for a block that is told as a whole: not translated, or without need.
    fn is_left_out(&self, line: &Line) -> bool {
        let is_it = |entry: &Entry| match entry {
            Entry::Untranslated(source, _) | Entry::Needless(source, _) => *source == line.source,
            _ => false,
        };
        let is_site = self
            .made
            .listeners
            .iter()
            .any(|it| it.names(&line.source.place));
        !is_site && self.tables().any(|it| it.entries.iter().any(is_it))
    }

    fn tables(&self) -> impl Iterator<Item = &Table> {
        let pools = self.pools.iter().map(|(_, table)| table);
        [&self.head, &self.proxy, &self.log]
            .into_iter()
            .chain(&self.made.listeners)
            .chain(&self.made.routes)
            .chain(pools)
    }
}

/// Blocks that only hold others together.
const FRAMES: [&str; 4] = ["handle", "handle_path", "route", "servers"];
/// Lines that are a part of the one around them.
const INSIDE: [&str; 10] = [
    "to",
    "uri",
    "copy_headers",
    "defer",
    "max_size",
    "minimum_length",
    "output",
    "method",
    "handle_response",
    "ca",
];
