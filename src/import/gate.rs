//! Gates: lines that keep some requests from the endpoints of a route.
//!
//! A gate with a condition becomes a route beside the one that it guards, with the conditions of
//! both, so that it goes first. What cannot be said so closes the route.

use super::table::{Source, Table};

/// Conditions that must all hold: keys and values in TOML.
pub(super) type All = Vec<(String, String)>;

/// A line that keeps requests from the endpoints.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    pub(super) line: Source,
    pub(super) kept: Kept,
    /// The answer to those that are kept out.
    pub(super) answer: Table,
    /// Advice where there is no equal.
    pub(super) advice: &'static str,
}

/// Requests that a gate keeps out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// Those that meet one of these.
    These(Vec<All>),
    /// Those that meet none of these.
    Others(Vec<All>),
    /// Nobody knows which.
    Unknown,
}

/// Result of a condition that is added to those of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Narrowed {
    /// The route has both.
    Done,
    /// No request meets both.
    Apart,
    /// A route cannot have both.
    Impossible,
}

/// Puts gates before a route: returns it, perhaps in several parts, and the refusals beside it.
/// `name` gives a route of that part a name.
pub(super) fn behind(
    route: Table,
    gates: &[Gate],
    mut name: impl FnMut(&Table) -> String,
) -> Vec<Table> {
    let mut passing = vec![route];
    let mut refusals = Vec::new();
    // What must be met comes first: the refusals then have these conditions, too.
    let (others, these): (Vec<&Gate>, Vec<&Gate>) = gates
        .iter()
        .partition(|it| matches!(it.kept, Kept::Others(_)));
    for gate in others {
        let Kept::Others(sets) = &gate.kept else {
            continue;
        };
        let mut parts = Vec::new();
        for route in passing {
            parts.extend(gate.split(route, sets, &mut refusals, &mut name));
        }
        passing = parts;
    }
    for gate in these {
        let mut open = Vec::new();
        for mut route in passing {
            let sets = match &gate.kept {
                Kept::These(sets) if refusals.len() + sets.len() <= REFUSALS_MAX => &sets[..],
                _ => {
                    route.close(&gate.line, gate.advice);
                    &[]
                }
            };
            let mut is_reached = true;
            for all in sets {
                let conditions = route.conditions();
                match narrowed(&conditions, all, &gate.line) {
                    (own, Narrowed::Done) if own.has_conditions_of(&conditions) => {
                        is_reached = false;
                    }
                    (own, Narrowed::Done) => {
                        let name = name(&route);
                        refusals.push(gate.refusal(own, name));
                    }
                    (_, Narrowed::Apart) => {}
                    (_, Narrowed::Impossible) => route.close(&gate.line, gate.advice),
                }
            }
            if is_reached {
                open.push(route);
            } else {
                // All of its requests are kept out.
                refusals.push(gate.refusal(route.conditions(), route.name.clone()));
            }
        }
        passing = open;
    }
    refusals.extend(passing);
    refusals
}

impl Gate {
    /// Returns the parts of a route whose requests meet one of these; a refusal takes the others.
    fn split(
        &self,
        mut route: Table,
        sets: &[All],
        refusals: &mut Vec<Table>,
        name: &mut impl FnMut(&Table) -> String,
    ) -> Vec<Table> {
        if self.is_of_access(&mut route, sets) || route.is_closed() {
            return vec![route];
        }
        let narrowed = sets.iter().map(|all| narrowed(&route, all, &self.line));
        let narrowed: Vec<(Table, Narrowed)> = narrowed.collect();
        let is_impossible = narrowed.iter().any(|(_, how)| *how == Narrowed::Impossible);
        if is_impossible || refusals.len() + sets.len() > REFUSALS_MAX {
            route.close(&self.line, self.advice);
            return vec![route];
        }
        let is_met = |(table, how): &(Table, Narrowed)| {
            *how == Narrowed::Done && table.has_conditions_of(&route)
        };
        if narrowed.iter().any(is_met) {
            // All of its requests meet it.
            return vec![route];
        }
        let fitting = narrowed.into_iter();
        let fitting = fitting.filter(|(_, how)| *how == Narrowed::Done);
        let mut parts: Vec<Table> = fitting.map(|(table, _)| table).collect();
        for part in &mut parts {
            part.name = name(&route);
        }
        refusals.push(self.refusal(route.conditions(), route.name.clone()));
        parts
    }

    fn refusal(&self, mut conditions: Table, name: String) -> Table {
        conditions.name = name;
        conditions.append(&self.answer);
        conditions
    }

    /// Lets addresses or methods in by `access`, if it answers the others as the gate does.
    fn is_of_access(&self, route: &mut Table, sets: &[All]) -> bool {
        let [all] = sets else { return false };
        let [(key, value)] = &all[..] else {
            return false;
        };
        let (to, status) = match &**key {
            "source" => ("access.allow", "403"),
            "methods" => ("access.methods", "405"),
            _ => return false,
        };
        let is_free = !route.has("access.allow") && !route.has("access.deny") && !route.has(to);
        if !self.answer.is("respond.status", status)
            || self.answer.has("respond.body")
            || self.answer.has_below("headers_response.add")
            || self.answer.has_below("headers_response.set")
            || !is_free
        {
            return false;
        }
        route.set(&self.line, to, &**value);
        true
    }
}

/// Returns a route with more conditions.
fn narrowed(route: &Table, all: &All, line: &Source) -> (Table, Narrowed) {
    let mut route = route.clone();
    for (key, value) in all {
        match narrow(&mut route, line, key, value) {
            Narrowed::Done => {}
            other => return (route, other),
        }
    }
    (route, Narrowed::Done)
}

fn narrow(route: &mut Table, line: &Source, key: &str, value: &str) -> Narrowed {
    if key.starts_with("path") {
        return narrow_path(route, line, key, value);
    }
    if key == "hosts" && route.has(key) {
        let list: Vec<&str> = value.trim_matches(['[', ']']).split(", ").collect();
        let both = list.iter().filter(|it| route.has_item(key, it));
        let both: Vec<&str> = both.copied().collect();
        if both.is_empty() {
            // A wildcard may have them.
            return match route.has_wildcard(key) || value.contains('*') {
                true => Narrowed::Impossible,
                false => Narrowed::Apart,
            };
        }
        route.remove(key);
        route.set(line, key, format!("[{}]", both.join(", ")));
        return Narrowed::Done;
    }
    if route.has(key) {
        return match route.is(key, value) {
            true => Narrowed::Done,
            false => Narrowed::Impossible,
        };
    }
    route.set(line, key, value);
    Narrowed::Done
}

/// Adds a condition on the path.
pub(super) fn narrow_path(route: &mut Table, line: &Source, key: &str, value: &str) -> Narrowed {
    let there = PATHS
        .iter()
        .find_map(|it| Some((*it, route.one(it)?.to_owned())));
    let Some((known, path)) = there else {
        route.set(line, key, value);
        return Narrowed::Done;
    };
    if known == key && path == value {
        return Narrowed::Done;
    }
    let plain = |text: &str| text.trim_matches(['"', '\'']).to_owned();
    let (old, new) = (plain(&path), plain(value));
    let is_below = |path: &str, prefix: &str| {
        let rest = path.strip_prefix(prefix);
        rest.is_some_and(|it| it.is_empty() || it.starts_with('/'))
    };
    let fits = |expression: &str, path: &str| {
        let expression = regex::Regex::new(expression);
        expression.is_ok_and(|it| it.is_match(path))
    };
    let (keeps, takes) = match (known, key) {
        ("path", "path") => (old == new, false),
        ("path", "path_prefix") => (is_below(&old, &new), false),
        ("path", _) => (fits(&new, &old), false),
        ("path_prefix", "path") => (false, is_below(&new, &old)),
        ("path_prefix", "path_prefix") => (is_below(&old, &new), is_below(&new, &old)),
        ("path_regex", "path") => (false, fits(&old, &new)),
        // The route of an expression goes before that of a prefix as it is.
        ("path_prefix", "path_regex") => return Narrowed::Apart,
        _ => return Narrowed::Impossible,
    };
    if takes && !keeps {
        route.remove(known);
        route.set(line, key, value);
    }
    match keeps || takes {
        true => Narrowed::Done,
        false => Narrowed::Apart,
    }
}

const PATHS: [&str; 3] = ["path", "path_prefix", "path_regex"];
/// Refusals beside one route; more close it.
const REFUSALS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Source {
        Source {
            place: "a:1".to_owned(),
            text: "line".to_owned(),
        }
    }

    fn route(keys: &[(&str, &str)]) -> Table {
        let mut table = Table::new("routes.a");
        for (key, value) in keys {
            table.set(&line(), key, *value);
        }
        table
    }

    #[test]
    fn a_path_is_narrowed_to_the_one_below_the_other() {
        for (old, new, wanted, both) in [
            (
                ("path_prefix", "\"/a\""),
                ("path_prefix", "\"/a/b\""),
                Narrowed::Done,
                "\"/a/b\"",
            ),
            (
                ("path_prefix", "\"/a/b\""),
                ("path_prefix", "\"/a\""),
                Narrowed::Done,
                "\"/a/b\"",
            ),
            (
                ("path_prefix", "\"/a\""),
                ("path_prefix", "\"/b\""),
                Narrowed::Apart,
                "",
            ),
            (
                ("path_prefix", "\"/a\""),
                ("path_prefix", "\"/ab\""),
                Narrowed::Apart,
                "",
            ),
            (
                ("path_prefix", "\"/a\""),
                ("path", "\"/a/x\""),
                Narrowed::Done,
                "\"/a/x\"",
            ),
            (
                ("path", "\"/a/x\""),
                ("path_regex", "\"x$\""),
                Narrowed::Done,
                "\"/a/x\"",
            ),
            (
                ("path_prefix", "\"/a\""),
                ("path_regex", "\"x$\""),
                Narrowed::Apart,
                "",
            ),
        ] {
            let mut table = route(&[old]);
            assert_eq!(
                narrow(&mut table, &line(), new.0, new.1),
                wanted,
                "{old:?} {new:?}"
            );
            if wanted == Narrowed::Done {
                assert!(PATHS.iter().any(|it| table.is(it, both)), "{old:?} {new:?}");
            }
        }
    }

    #[test]
    fn a_refusal_has_the_conditions_of_the_route_and_its_own() {
        let gate = |kept: Kept| Gate {
            line: line(),
            kept,
            answer: route(&[("respond.status", "401")]),
            advice: "see to it",
        };
        let one = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
        let gates = [
            gate(Kept::These(vec![one("methods", "[\"PUT\"]")])),
            gate(Kept::Others(vec![one("headers.x-key", "\"k\"")])),
        ];
        let guarded = route(&[("path_prefix", "\"/a\""), ("pool", "\"app\"")]);
        let mut count = 0;
        let made = behind(guarded.clone(), &gates, |_| {
            count += 1;
            format!("routes.a_{count}")
        });
        let [others, these, passing] = &made[..] else {
            panic!("{made:?}")
        };
        assert!(others.is("respond.status", "401") && !others.has("headers.x-key"));
        assert!(these.has("methods") && these.has("headers.x-key") && !these.has("pool"));
        assert!(passing.has("headers.x-key") && passing.has("pool") && !passing.is_closed());
        // What all of its requests meet needs no refusal; what all are kept out by leaves nothing else.
        let met = one("path_prefix", "\"/a\"");
        let made = behind(
            guarded.clone(),
            &[gate(Kept::Others(vec![met.clone()]))],
            |_| String::new(),
        );
        assert!(made.len() == 1 && made[0].has("pool"), "{made:?}");
        let apart = gate(Kept::Others(vec![one("path_prefix", "\"/b\"")]));
        for gate in [gate(Kept::These(vec![met])), apart] {
            let made = behind(guarded.clone(), &[gate], |_| String::new());
            assert!(made.len() == 1 && !made[0].has("pool"), "{made:?}");
        }
        let many = (0..1000).map(|at| one("headers.x", &format!("\"{at}\"")));
        let many: Vec<All> = many.collect();
        for kept in [Kept::These(many.clone()), Kept::Others(many)] {
            let made = behind(guarded.clone(), &[gate(kept)], |_| String::new());
            assert!(made.len() == 1 && made[0].is_closed());
        }
        let closed = behind(guarded, &[gate(Kept::Unknown)], |_| String::new());
        assert!(closed[0].is_closed());
    }
}
