//! Order of the locations of a server.
//!
//! nginx takes the exact path, then the longest prefix if it has `^~`, then the first expression that
//! fits, then the longest prefix. A prefix takes any path that begins with it: `/api` takes `/apix`,
//! and `/api/` does not take `/api`. Routes ask whole segments, and expressions before prefixes.

use super::{location::Matcher, syntax::Directive};
use crate::import::document::quoted;

/// Locations that a server has, because of which some need a rank.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    regexes: usize,
    /// Prefixes with `^~`.
    first: Vec<String>,
    /// Prefixes without a slash at the end: they are expressions here.
    loose: Vec<String>,
    /// Deepest prefix within loose ones.
    depth_max: usize,
    /// True if expressions with conditions must not go before one that stands above them.
    is_strict: bool,
}

impl Order {
    pub(super) fn of(block: &Directive) -> Self {
        let mut order = Self::default();
        let all = super::blocks(block.inner());
        let locations = || all.iter().filter(|it| it.name == "location");
        for location in locations() {
            match Matcher::of(location) {
                Matcher::Regex(_) => order.regexes += 1,
                Matcher::First(path) => {
                    order.note(&path);
                    order.first.push(path);
                }
                Matcher::Prefix(path) => order.note(&path),
                _ => {}
            }
        }
        for location in locations() {
            if let Matcher::First(path) | Matcher::Prefix(path) = Matcher::of(location) {
                order.depth_max = order.depth_max.max(order.depth(&path));
            }
        }
        let is_condition = |it: &&&Directive| matches!(&*it.name, "if" | "limit_except" | "map");
        order.is_strict = order.regexes > 1 && all.iter().any(|it| is_condition(&it));
        order
    }

    fn note(&mut self, path: &str) {
        if !path.ends_with('/') {
            self.loose.push(path.to_owned());
        }
    }

    /// Returns the key and the value of a prefix.
    pub(super) fn prefix(&self, path: &str, may_rank: bool) -> (&'static str, String) {
        let segments = path.trim_end_matches('/');
        let is_loose = self.loose.iter().any(|it| it == segments);
        // Without ranks an expression would go before those that nginx takes first.
        let fits = may_rank || (self.regexes == 0 && self.depth_max == 0);
        match is_loose && fits {
            true => ("path_regex", quoted(&format!("^{}", regex::escape(path)))),
            false => ("path_prefix", quoted(segments)),
        }
    }

    /// Returns the rank of a location; `at` is the number of an expression.
    pub(super) fn rank(&self, matcher: &Matcher, at: usize) -> usize {
        match matcher {
            Matcher::Prefix(path) => self.depth(path),
            Matcher::Regex(_) => self.of_regex(at),
            Matcher::First(path) => self.of_first(path),
            Matcher::Exact(path) => {
                let first = self.first.iter().filter(|it| path.starts_with(&***it));
                let first = first.map(|it| self.of_first(it)).max();
                let regex = match self.regexes {
                    0 => 0,
                    _ => self.of_regex(1),
                };
                let depth = self.loose.iter().filter(|it| path.starts_with(&***it));
                let top = first.unwrap_or(0).max(regex).max(match depth.count() {
                    0 => 0,
                    _ => self.depth_max,
                });
                top + usize::from(top > 0)
            }
            Matcher::All | Matcher::Named(_) => 0,
        }
    }

    /// The rank of what is asked before all locations.
    pub(super) fn top(&self) -> usize {
        (self.of_regex(1) + 3 + self.depth_max).max(3)
    }

    fn of_first(&self, path: &str) -> usize {
        match self.regexes {
            0 => self.depth(path),
            _ => self.of_regex(1) + 1 + self.depth(path),
        }
    }

    fn of_regex(&self, at: usize) -> usize {
        let above = match self.loose.is_empty() || self.regexes == 0 {
            true => 0,
            false => self.depth_max + 1,
        };
        let later = self.regexes.saturating_sub(at);
        above + if self.is_strict { later } else { 0 }
    }

    /// Number of loose prefixes that a path begins with, apart from itself.
    fn depth(&self, path: &str) -> usize {
        let shorter = |it: &&String| *it != path && path.starts_with(&***it);
        self.loose.iter().filter(shorter).count()
    }
}
