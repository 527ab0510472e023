//! Matchers of blocks in blocks: a request meets both.

use super::matcher::Conditions;
use crate::import::{
    document::{Source, Table, quoted, quoted_list},
    gate::{Narrowed, narrow_path},
};

/// Result of a matcher within another one.
pub(super) enum Within {
    /// The table of a route with the conditions of both.
    Both(Table),
    /// No request meets both.
    Never,
    /// A route cannot have both.
    Unknown,
}

impl Conditions {
    /// Adds these conditions to those of the block around them.
    pub(super) fn within(&self, base: &Table, source: &Source) -> Within {
        let mut both = base.clone();
        for (key, value) in self.all() {
            let how = match &*key {
                "path" | "path_prefix" | "path_regex" => path(&mut both, source, &key, &value),
                "hosts" if both.has("hosts") => hosts(&mut both, source, &value),
                _ => match both.value_text(&key) {
                    None => {
                        both.set(source, &key, value);
                        Narrowed::Done
                    }
                    Some(known) if known == value => Narrowed::Done,
                    Some(_) => Narrowed::Impossible,
                },
            };
            match how {
                Narrowed::Done => {}
                Narrowed::Apart => return Within::Never,
                Narrowed::Impossible => return Within::Unknown,
            }
        }
        Within::Both(both)
    }

    /// Returns them for the whole path, of which a block around takes a prefix away; none if they
    /// cannot be said so.
    pub(super) fn unstripped(&self, prefix: &str) -> Option<Self> {
        let plain = |value: &str| value.trim_matches(['"', '\'']).to_owned();
        let all = self.all().into_iter().map(|(key, value)| {
            let value = match &*key {
                "path" | "path_prefix" => quoted(&format!("{prefix}{}", plain(&value))),
                "path_regex" => {
                    let text = plain(&value);
                    let rest = text.strip_prefix('^').filter(|_| !text.contains('|'))?;
                    quoted(&format!("^{}{rest}", regex::escape(prefix)))
                }
                _ => value,
            };
            Some((key, value))
        });
        all.collect::<Option<Vec<_>>>().map(Self::of_pairs)
    }
}

fn path(route: &mut Table, source: &Source, key: &str, value: &str) -> Narrowed {
    let plain = |text: &str| text.trim_matches(['"', '\'']).to_owned();
    let known = route.value_text("path_regex");
    let beginning = known.as_deref().and_then(beginning);
    if let (Some(beginning), "path_prefix") = (beginning, key) {
        // A prefix without the end of a segment.
        let inner = plain(value);
        if inner.starts_with(&beginning) {
            route.remove("path_regex");
            route.set(source, key, value);
            return Narrowed::Done;
        }
        return match beginning.starts_with(&format!("{inner}/")) {
            true => Narrowed::Done,
            false => Narrowed::Apart,
        };
    }
    match narrow_path(route, source, key, value) {
        // Both may fit.
        Narrowed::Apart if key == "path_regex" => Narrowed::Impossible,
        how => how,
    }
}

/// The text that all paths of an expression begin with, if it asks for nothing else.
fn beginning(value: &str) -> Option<String> {
    let text = value.trim_matches(['"', '\'']);
    let escaped = text.strip_prefix('^')?;
    let literal = escaped.replace('\\', "");
    (regex::escape(&literal) == escaped).then_some(literal)
}

fn hosts(route: &mut Table, source: &Source, value: &str) -> Narrowed {
    let known = route.value_text("hosts").unwrap_or_default();
    let items = |list: &str| -> Vec<String> {
        let list = list.trim_matches(['[', ']']).split(", ");
        list.map(|it| it.trim_matches('"').to_owned()).collect()
    };
    let known = items(&known);
    let covers = |host: &String| {
        known.iter().any(|it| match it.strip_prefix("*.") {
            Some(domain) => host
                .strip_suffix(domain)
                .is_some_and(|it| it.ends_with('.')),
            None => it == host,
        })
    };
    let both: Vec<String> = items(value).into_iter().filter(covers).collect();
    if both.is_empty() {
        return Narrowed::Apart;
    }
    route.remove("hosts");
    route.set(
        source,
        "hosts",
        quoted_list(both.iter().map(String::as_str)),
    );
    Narrowed::Done
}

pub(super) const NEVER: &str =
    "it is never reached: no request meets its matcher and that of the block around it";
pub(super) const UNKNOWN: &str = "both its matcher and that of the block around it must hold: write a route with one condition for both";
