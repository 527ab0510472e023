//! Conditions: `acl` lines, and what follows `if` and `unless`.

use super::{Line, Section};
use crate::import::document::{Source, Table, key_part, quoted, quoted_list};

/// Conditions that must all hold: keys and values in TOML.
pub(super) type All = Vec<(String, String)>;

/// Returns the sets of conditions of which one must hold; none if a route cannot have them.
pub(super) fn conditions(section: &Section, words: &[&str]) -> Option<Vec<All>> {
    let words = match words {
        [] => return Some(vec![All::new()]),
        ["if", rest @ ..] => rest,
        _ => return None,
    };
    let mut sets = Vec::new();
    for part in words.split(|it| matches!(*it, "||" | "or")) {
        let mut all = vec![All::new()];
        let mut rest = part;
        while let [first, behind @ ..] = rest {
            let found = if *first == "{" {
                let end = behind.iter().position(|it| *it == "}")?;
                let found = of_test(&behind[..end])?;
                rest = &behind[end + 1..];
                vec![found]
            } else {
                rest = behind;
                // Lines of one name are alternatives.
                let lines = section.lines.iter().filter(|it| {
                    it.words[0] == "acl" && it.words.get(1).is_some_and(|it| it == first)
                });
                lines.map(of_acl).collect::<Option<Vec<All>>>()?
            };
            if found.is_empty() {
                return None;
            }
            let join = |one: &All| {
                let one = one.clone();
                found.iter().map(move |other| {
                    let mut both = one.clone();
                    both.extend(other.iter().cloned());
                    both
                })
            };
            all = all.iter().flat_map(join).collect();
            if all.len() > SETS_MAX {
                return None;
            }
        }
        sets.extend(all);
    }
    // A key stands once in a route.
    let is_possible = |all: &All| {
        let keys: Vec<&String> = all.iter().map(|(key, _)| key).collect();
        let paths = keys.iter().filter(|it| it.starts_with("path")).count();
        paths <= 1
            && keys
                .iter()
                .enumerate()
                .all(|(at, key)| !keys[..at].contains(key))
    };
    sets.iter().all(is_possible).then_some(sets)
}

/// Writes conditions into a route.
pub(super) fn write(all: &All, table: &mut Table, source: &Source) {
    for (key, value) in all {
        table.set(source, key, &**value);
    }
}

fn of_acl(line: &Line) -> Option<All> {
    of_test(&line.words()[2..])
}

/// A test: a sample, how it is compared, and values.
struct Test<'w> {
    name: &'w str,
    argument: &'w str,
    how: &'w str,
    ignores_case: bool,
    values: &'w [&'w str],
}

impl<'w> Test<'w> {
    fn of(words: &'w [&'w str]) -> Option<Self> {
        let [sample, rest @ ..] = words else {
            return None;
        };
        let (name, argument) = match sample.split_once('(') {
            Some((name, argument)) => (name, argument.trim_end_matches(')')),
            None => (*sample, ""),
        };
        let how = name.split_once('_').map_or("str", |(_, how)| how);
        let mut test = Self {
            name,
            argument,
            how,
            ignores_case: false,
            values: rest,
        };
        while let [flag, rest @ ..] = test.values {
            test.values = match (*flag, rest) {
                ("-i", rest) => {
                    test.ignores_case = true;
                    rest
                }
                ("-m", [how, rest @ ..]) => {
                    test.how = how;
                    rest
                }
                ("--", rest) => {
                    test.values = rest;
                    break;
                }
                (flag, _) if flag.starts_with('-') && flag.len() == 2 => return None,
                _ => break,
            };
        }
        Some(test)
    }

    /// An expression that fits what the values fit.
    fn expression(&self) -> Option<String> {
        let values = self.values.iter();
        let parts: Vec<String> = match self.how {
            "reg" => values.map(|it| (*it).to_owned()).collect(),
            _ => values.map(|it| regex::escape(it)).collect(),
        };
        let joined = match &parts[..] {
            [one] => one.clone(),
            _ => format!("({})", parts.join("|")),
        };
        let text = match self.how {
            "beg" => format!("^{joined}"),
            "end" => format!("{joined}$"),
            "sub" | "dir" | "reg" => joined,
            "str" | "path" | "hdr" | "cook" | "param" => format!("^{joined}$"),
            _ => return None,
        };
        let text = if self.ignores_case {
            format!("(?i){text}")
        } else {
            text
        };
        regex::Regex::new(&text).ok()?;
        Some(text)
    }

    /// True if the sample must be the value.
    fn is_exact(&self) -> bool {
        let how = ["str", "path", "hdr", "cook", "param"];
        how.contains(&self.how) && !self.ignores_case
    }

    fn of_path(&self) -> Option<All> {
        let (key, value) = match (self.how, self.values) {
            (_, [path]) if self.is_exact() => ("path", quoted(path)),
            ("beg", [path]) if !self.ignores_case && path.ends_with('/') && path.len() > 1 => {
                ("path_prefix", quoted(path.trim_end_matches('/')))
            }
            _ => ("path_regex", quoted(&self.expression()?)),
        };
        Some(vec![(key.to_owned(), value)])
    }

    fn of_host(&self) -> Option<All> {
        let wildcard = |it: &&str| format!("*.{}", it.trim_start_matches('.'));
        let hosts: Vec<String> = match self.how {
            "str" | "hdr" | "dom" => self.values.iter().map(|it| (*it).to_owned()).collect(),
            "end" => self.values.iter().map(wildcard).collect(),
            _ => return None,
        };
        list("hosts", hosts.iter().map(String::as_str))
    }

    /// A field, a cookie or a parameter.
    fn of_part(&self, kind: &str) -> Option<All> {
        let name = match kind {
            "headers" => self.argument.to_ascii_lowercase(),
            _ => self.argument.to_owned(),
        };
        let value = match self.values {
            [] => "{ present = true }".to_owned(),
            _ if self.how == "found" => "{ present = true }".to_owned(),
            [value] if self.is_exact() => quoted(value),
            _ => format!("{{ regex = {} }}", quoted(&self.expression()?)),
        };
        Some(vec![(format!("{kind}.{}", key_part(&name)), value)])
    }
}

/// Returns the conditions of a test.
fn of_test(words: &[&str]) -> Option<All> {
    let test = Test::of(words)?;
    let values = test.values.iter().copied();
    match test.name {
        "path" | "path_beg" | "path_end" | "path_reg" | "path_sub" | "path_dir" => test.of_path(),
        "hdr" | "req.hdr" | "hdr_dom" | "hdr_end" if test.argument.eq_ignore_ascii_case("host") => {
            test.of_host()
        }
        "hdr" | "req.hdr" | "hdr_sub" | "hdr_beg" | "hdr_end" | "hdr_reg" => {
            test.of_part("headers")
        }
        "req.cook" | "cook" => test.of_part("cookies"),
        "url_param" | "urlp" => test.of_part("query"),
        "method" => list("methods", values),
        "src" => list("source", values),
        "always_true" | "TRUE" => Some(All::new()),
        _ => None,
    }
}

fn list<'t>(key: &str, values: impl Iterator<Item = &'t str>) -> Option<All> {
    Some(vec![(key.to_owned(), quoted_list(values))])
}

/// Alternatives of one rule.
const SETS_MAX: usize = 64;
