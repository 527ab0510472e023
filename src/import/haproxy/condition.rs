//! Conditions: `acl` lines, and what follows `if` and `unless`.

use super::{
    Line, Section,
    sample::{list, of_test},
};
use crate::import::document::{Source, Table};

/// Conditions that must all hold: keys and values in TOML.
pub(super) type All = Vec<(String, String)>;

/// A test of a condition, or several of which one must hold.
struct Term {
    is_negated: bool,
    /// None if a route cannot have them.
    tests: Option<Vec<All>>,
}

impl Term {
    /// The sets of conditions of which one must hold; none if a route cannot have them.
    fn sets(&self) -> Option<Vec<All>> {
        let tests = self.tests.as_ref()?;
        if !self.is_negated {
            return Some(tests.clone());
        }
        let absent = |all: &All| match &all[..] {
            [(key, value)] if value == "{ present = true }" => {
                Some((key.clone(), "{ present = false }".to_owned()))
            }
            _ => None,
        };
        Some(vec![tests.iter().map(absent).collect::<Option<All>>()?])
    }

    fn negated(mut self) -> Self {
        self.is_negated = !self.is_negated;
        self
    }
}

/// Requests that a rule keeps out.
pub(super) struct Refused {
    pub(super) sets: Vec<All>,
    /// True if they are more than the rule means: it has a condition that routes do not have.
    pub(super) is_wider: bool,
}

impl Refused {
    /// Returns the requests of a rule with these conditions.
    pub(super) fn of(section: &Section, words: &[&str]) -> Self {
        let Some(parts) = terms(section, words) else {
            return Self {
                sets: vec![All::new()],
                is_wider: true,
            };
        };
        let mut refused = Self {
            sets: Vec::new(),
            is_wider: false,
        };
        for part in parts {
            let mut all = vec![All::new()];
            for term in part {
                let both = term.sets().map(|found| joined(&all, &found));
                match both.filter(|it| it.len() <= SETS_MAX && it.iter().all(is_possible)) {
                    Some(both) => all = both,
                    None => refused.is_wider = true,
                }
            }
            refused.sets.extend(all);
        }
        refused
    }

    /// True if all requests are meant.
    pub(super) fn is_all(&self) -> bool {
        self.sets.iter().any(All::is_empty)
    }
}

/// Returns the sets of conditions of which one must hold; none if a route cannot have them.
pub(super) fn conditions(section: &Section, words: &[&str]) -> Option<Vec<All>> {
    let mut sets = Vec::new();
    for part in terms(section, words)? {
        let mut all = vec![All::new()];
        for term in part {
            all = joined(&all, &term.sets()?);
            if all.len() > SETS_MAX {
                return None;
            }
        }
        sets.extend(all);
    }
    sets.iter().all(is_possible).then_some(sets)
}

/// Returns the key and the values that a request must have one of, if that is the whole condition
/// of a rule that keeps all others out: addresses, methods, or hosts.
pub(super) fn only(section: &Section, words: &[&str]) -> Option<(&'static str, Vec<String>)> {
    let parts = terms(section, words)?;
    let [part] = &parts[..] else { return None };
    let mut known = None;
    let mut values = Vec::new();
    for term in part {
        let tests = term.tests.as_ref().filter(|_| term.is_negated)?;
        for all in tests {
            let [(key, list)] = &all[..] else { return None };
            let to = match &**key {
                "source" => "access.allow",
                "methods" => "access.methods",
                "hosts" if !list.contains('*') => "hosts",
                _ => return None,
            };
            if *known.get_or_insert(to) != to {
                return None;
            }
            let list = list.trim_matches(['[', ']']);
            values.extend(list.split(", ").map(str::to_owned));
        }
    }
    known.map(|to| (to, values))
}

/// Takes the condition that a request came without TLS away; none if there is no such condition.
pub(super) fn without_tls<'w>(words: &[&'w str]) -> Option<Vec<&'w str>> {
    if let ["unless", "{", "ssl_fc", "}"] = words {
        return Some(Vec::new());
    }
    let at = words
        .windows(3)
        .position(|it| it == ["!{", "ssl_fc", "}"])?;
    let mut rest = words.to_vec();
    rest.drain(at..at + 3);
    if rest == ["if"] {
        rest.clear();
    }
    Some(rest)
}

/// Reads what follows a rule: alternatives, each with terms that must all hold.
fn terms(section: &Section, words: &[&str]) -> Option<Vec<Vec<Term>>> {
    let (is_unless, words) = match words {
        [] => return Some(vec![Vec::new()]),
        ["if", rest @ ..] => (false, rest),
        ["unless", rest @ ..] => (true, rest),
        _ => return None,
    };
    let mut parts: Vec<Vec<Term>> = Vec::new();
    for part in words.split(|it| matches!(*it, "||" | "or")) {
        parts.push(part_of(section, part)?);
    }
    if !is_unless {
        return Some(parts);
    }
    // The opposite of alternatives are terms that must all hold, and the other way round.
    if parts.iter().all(|it| it.len() == 1) {
        let all = parts.into_iter().flatten().map(Term::negated);
        Some(vec![all.collect()])
    } else if parts.len() == 1 {
        let all = parts.into_iter().flatten().map(Term::negated);
        Some(all.map(|it| vec![it]).collect())
    } else {
        None
    }
}

fn part_of(section: &Section, mut rest: &[&str]) -> Option<Vec<Term>> {
    let mut part = Vec::new();
    let mut is_negated = false;
    while let [first, behind @ ..] = rest {
        rest = behind;
        let name = first.trim_start_matches('!');
        is_negated ^= (first.len() - name.len()) % 2 == 1;
        if name.is_empty() {
            continue;
        }
        let tests = if name == "{" {
            let end = behind.iter().position(|it| *it == "}")?;
            rest = &behind[end + 1..];
            of_test(&behind[..end]).map(|it| vec![it])
        } else {
            of_name(section, name)
        };
        part.push(Term { is_negated, tests });
        is_negated = false;
    }
    (!part.is_empty() && !is_negated).then_some(part)
}

/// The tests of a name. Lines of one name are alternatives.
fn of_name(section: &Section, name: &str) -> Option<Vec<All>> {
    let is_it =
        |line: &&Line| line.words[0] == "acl" && line.words.get(1).is_some_and(|it| it == name);
    let lines = section.defaults.iter().chain(&section.lines);
    let found = lines.filter(is_it).map(of_acl);
    let found = found.collect::<Option<Vec<All>>>()?;
    if !found.is_empty() {
        return Some(found);
    }
    let known = match name {
        "TRUE" | "HTTP" => Some(All::new()),
        "LOCALHOST" => list("source", ["127.0.0.0/8", "::1"].into_iter()),
        "METH_GET" => list("methods", ["GET", "HEAD"].into_iter()),
        name => {
            let method = name.strip_prefix("METH_")?;
            list("methods", [method].into_iter())
        }
    };
    known.map(|it| vec![it])
}

/// All pairs of a set of one list and a set of another.
fn joined(all: &[All], found: &[All]) -> Vec<All> {
    let join = |one: &All| {
        let one = one.clone();
        found.iter().map(move |other| {
            let mut both = one.clone();
            both.extend(other.iter().cloned());
            both
        })
    };
    all.iter().flat_map(join).collect()
}

/// Returns true if a route can have all of these: a key stands once in it.
pub(super) fn is_possible(all: &All) -> bool {
    let keys: Vec<&String> = all.iter().map(|(key, _)| key).collect();
    let paths = keys.iter().filter(|it| it.starts_with("path")).count();
    paths <= 1
        && keys
            .iter()
            .enumerate()
            .all(|(at, key)| !keys[..at].contains(key))
}

/// Writes conditions into a route.
pub(super) fn write(all: &All, table: &mut Table, source: &Source) {
    for (key, value) in all {
        table.set(source, key, &**value);
    }
}

/// The words of the one test that a rule asks for, if it asks for nothing else.
pub(super) fn only_test<'l>(section: &'l Section, words: &'l [&'l str]) -> Option<Vec<&'l str>> {
    match words {
        ["if", "{", test @ .., "}"] if !test.contains(&"}") => Some(test.to_vec()),
        ["if", name] => {
            let lines = section.defaults.iter().chain(&section.lines);
            let is_it =
                |it: &&Line| it.words[0] == "acl" && it.words.get(1).is_some_and(|it| it == name);
            let mut found = lines.filter(is_it);
            let one = found.next().filter(|_| found.next().is_none())?;
            Some(one.words()[2..].to_vec())
        }
        _ => None,
    }
}

/// Returns true for a condition on who the client is, and not on what is asked for: what sends such
/// requests elsewhere keeps them from the backends of later rules.
pub(super) fn is_of_clients(section: &Section, words: &[&str]) -> bool {
    let is_of = |sample: &str| CLIENTS.iter().any(|it| sample.starts_with(it));
    let inline = words
        .windows(2)
        .filter(|it| it[0].ends_with('{'))
        .map(|it| it[1]);
    let names: Vec<&str> = words.iter().map(|it| it.trim_start_matches('!')).collect();
    let lines = section.defaults.iter().chain(&section.lines);
    let acls = lines.filter(|it| {
        it.words[0] == "acl" && it.words.get(1).is_some_and(|it| names.contains(&&**it))
    });
    inline.into_iter().any(is_of) || acls.filter_map(|it| it.words.get(2)).any(|it| is_of(it))
}

fn of_acl(line: &Line) -> Option<All> {
    of_test(&line.words()[2..])
}

/// Alternatives of one rule.
const SETS_MAX: usize = 64;
/// Beginnings of samples of the client.
const CLIENTS: [&str; 13] = [
    "acl(",
    "bool",
    "env(",
    "fc_",
    "http_auth",
    "int",
    "lua.",
    "sc",
    "src",
    "ssl_c",
    "table_",
    "txn.",
    "var(",
];
