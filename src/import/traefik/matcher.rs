//! Conditions of a route, made of the terms of a rule.

use super::rule::Term;
use crate::import::document::{Source, Table, key_part, quoted, quoted_list};

/// Keys of a route, and what could not be said by them.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    hosts: Option<Vec<String>>,
    methods: Option<Vec<String>>,
    path: Option<Path>,
    /// Other keys, with values in TOML.
    keys: Vec<(String, String)>,
    /// Terms without an equal, with what to do.
    pub(super) unclear: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Path {
    Exact(String),
    Prefix(String),
    Regex(String),
}

/// Meaning of a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prefixes {
    /// Whole segments, as prefixes are here.
    Segments,
    /// Any text, as prefixes are there: a route that keeps clients out must take no fewer paths.
    Text,
}

impl Conditions {
    pub(super) fn of(terms: &[Term], prefixes: Prefixes) -> Self {
        let mut conditions = Self::default();
        for term in terms {
            let added = match term.is_negated {
                false => conditions.add(term, prefixes),
                true => Err(
                    "a route has no negation: write a route with priority for the requests that are not meant"
                        .to_owned(),
                ),
            };
            if let Err(why) = added {
                let sign = if term.is_negated { "!" } else { "" };
                let args = term.args.join("`, `");
                let shown = format!("{sign}{}(`{args}`): {why}", term.name);
                conditions.unclear.push(shown);
            }
        }
        conditions
    }

    /// Writes the keys.
    pub(super) fn write(&self, table: &mut Table, source: &Source) {
        let texts = |list: &[String]| quoted_list(list.iter().map(String::as_str));
        if let Some(hosts) = self.hosts.as_deref().filter(|it| !it.is_empty()) {
            table.set(source, "hosts", texts(hosts));
        }
        if let Some(path) = &self.path {
            let (key, path) = match path {
                Path::Exact(path) => ("path", path),
                Path::Prefix(path) => ("path_prefix", path),
                Path::Regex(path) => ("path_regex", path),
            };
            table.set(source, key, quoted(path));
        }
        if let Some(methods) = &self.methods {
            table.set(source, "methods", texts(methods));
        }
        for (key, value) in &self.keys {
            table.set(source, key, &**value);
        }
    }

    /// The hosts that are asked for; none for any.
    pub(super) fn hosts(&self) -> Option<&[String]> {
        self.hosts.as_deref().filter(|it| !it.is_empty())
    }

    fn add(&mut self, term: &Term, prefixes: Prefixes) -> Result<(), String> {
        let args: Vec<&str> = term.args.iter().map(String::as_str).collect();
        match (&*term.name, &args[..]) {
            ("Host" | "HostHeader", [_, ..]) => self.add_hosts(&args),
            ("HostRegexp", [_, ..]) => {
                let mut hosts = Vec::new();
                for arg in &args {
                    let found = hosts_of(arg).ok_or(
                        "hosts are exact or \"*.example.com\": list them in hosts of the route",
                    )?;
                    if found.is_empty() {
                        return Ok(());
                    }
                    hosts.extend(found);
                }
                let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
                self.add_hosts(&hosts)
            }
            ("Path", [path]) => match variables(path, "[^/]+") {
                Some(expression) => self.add_regex(&format!("^{expression}$")),
                None => self.add_path(Path::Exact((*path).to_owned())),
            },
            ("PathPrefix", [path]) => match variables(path, "[^/]+") {
                Some(expression) => self.add_regex(&format!("^{expression}")),
                None if *path == "/" => Ok(()),
                None if prefixes == Prefixes::Text => {
                    self.add_regex(&format!("^{}", regex::escape(path)))
                }
                None => {
                    let path = path.trim_end_matches('/');
                    self.add_path(Path::Prefix(path.to_owned()))
                }
            },
            ("PathRegexp", [expression]) => self.add_regex(expression),
            ("Method" | "Methods", [_, ..]) => {
                let methods = args.iter().map(|it| it.to_ascii_uppercase()).collect();
                once(&mut self.methods, methods, "methods")
            }
            ("Header" | "Headers", [name, value]) => {
                self.add_key("headers", &name.to_ascii_lowercase(), quoted(value))
            }
            ("HeaderRegexp" | "HeadersRegexp", [name, expression]) => {
                let value = matched(expression)?;
                self.add_key("headers", &name.to_ascii_lowercase(), value)
            }
            ("Query", pairs) if pairs.iter().all(|it| it.contains('=')) => {
                for pair in pairs {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    if value.contains('{') {
                        return Err("query.NAME = { regex = \"…\" } of the route".to_owned());
                    }
                    self.add_key("query", name, quoted(value))?;
                }
                Ok(())
            }
            ("Query", [name]) => self.add_key("query", name, "{ present = true }".to_owned()),
            ("Query", [name, value]) => self.add_key("query", name, quoted(value)),
            ("QueryRegexp", [name, expression]) => {
                let value = matched(expression)?;
                self.add_key("query", name, value)
            }
            ("ClientIP", [_, ..]) => {
                let value = quoted_list(args.iter().copied());
                if self.keys.iter().any(|(key, _)| key == "source") {
                    return Err("one condition on the address of the client".to_owned());
                }
                self.keys.push(("source".to_owned(), value));
                Ok(())
            }
            _ => Err("no equal is known: see [routes.NAME] in docs/configuration".to_owned()),
        }
    }

    fn add_hosts(&mut self, hosts: &[&str]) -> Result<(), String> {
        let hosts: Vec<String> = hosts.iter().map(|it| it.to_ascii_lowercase()).collect();
        if let Some(odd) = hosts
            .iter()
            .find(|it| it.contains(['{', '}', '`', '/', ' ']))
        {
            return Err(format!(
                "{odd:?} is no host: list them in hosts of the route"
            ));
        }
        let known = self.hosts.take();
        self.hosts = Some(match known {
            None => hosts,
            // Both are asked for.
            Some(known) => {
                let both: Vec<String> = known.into_iter().filter(|it| hosts.contains(it)).collect();
                if both.is_empty() {
                    return Err("no host meets both conditions".to_owned());
                }
                both
            }
        });
        Ok(())
    }

    fn add_regex(&mut self, expression: &str) -> Result<(), String> {
        checked(expression)?;
        self.add_path(Path::Regex(expression.to_owned()))
    }

    /// Adds a condition on the path; of two, one of which is part of the other, the narrower stays.
    fn add_path(&mut self, path: Path) -> Result<(), String> {
        if let Path::Exact(path) | Path::Prefix(path) = &path
            && !path.starts_with('/')
        {
            return Err("a path begins with \"/\"".to_owned());
        }
        let is_below = |narrow: &Path, wide: &Path| match (narrow, wide) {
            (Path::Exact(path) | Path::Prefix(path), Path::Prefix(prefix)) => {
                let rest = path.strip_prefix(&**prefix);
                rest.is_some_and(|it| it.is_empty() || it.starts_with('/'))
            }
            _ => narrow == wide,
        };
        match &self.path {
            Some(known) if is_below(known, &path) => Ok(()),
            Some(known) if !is_below(&path, known) => {
                Err("one condition on the path: write both as one path_regex".to_owned())
            }
            _ => {
                self.path = Some(path);
                Ok(())
            }
        }
    }

    fn add_key(&mut self, kind: &str, name: &str, value: String) -> Result<(), String> {
        let key = format!("{kind}.{}", key_part(name));
        if self.keys.iter().any(|(known, _)| *known == key) {
            return Err(format!("one condition on {kind}.{name}"));
        }
        self.keys.push((key, value));
        Ok(())
    }
}

fn once<T>(place: &mut Option<T>, value: T, what: &str) -> Result<(), String> {
    if place.is_some() {
        return Err(format!("one condition on {what}"));
    }
    *place = Some(value);
    Ok(())
}

fn checked(expression: &str) -> Result<(), String> {
    let is_good = regex::Regex::new(expression).is_ok();
    let fault = || "the regular expression is not understood".to_owned();
    is_good.then_some(()).ok_or_else(fault)
}

fn matched(expression: &str) -> Result<String, String> {
    checked(expression)?;
    Ok(format!("{{ regex = {} }}", quoted(expression)))
}

/// Returns the expression of a text with variables such as `{name:[a-z]+}`, as rules of version 2
/// have them; none if it has none.
fn variables(text: &str, any: &str) -> Option<String> {
    let mut expression = String::new();
    let mut rest = text;
    let mut found = false;
    while let Some(at) = rest.find('{') {
        let (before, behind) = rest.split_at(at);
        expression.push_str(&regex::escape(before));
        let end = closing(behind)?;
        let inner = &behind[1..end];
        let (name, pattern) = inner.split_once(':').unwrap_or((inner, any));
        let is_name = |it: &str| {
            it.bytes()
                .all(|it| it.is_ascii_alphanumeric() || it == b'_')
        };
        if !is_name(name) || name.starts_with(|it: char| it.is_ascii_digit()) {
            return None;
        }
        expression.push_str(&format!("(?:{pattern})"));
        rest = &behind[end + 1..];
        found = true;
    }
    expression.push_str(&regex::escape(rest));
    found.then_some(expression)
}

/// The place of the brace that ends what begins with one.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// Returns the hosts that an expression means, if hosts can say it; none at all for any.
fn hosts_of(text: &str) -> Option<Vec<String>> {
    let expression = variables(text, "[^.]+").unwrap_or_else(|| text.to_owned());
    let expression = expression.trim_start_matches('^').trim_end_matches('$');
    let bare = expression.replace("(?:", "(");
    if matches!(&*bare, ".*" | ".+" | "(.*)" | "(.+)") {
        return Some(Vec::new());
    }
    let literal = |text: &str| {
        let text = text.replace("\\.", ".").replace("\\-", "-");
        let is_host = |it: u8| it.is_ascii_alphanumeric() || it == b'.' || it == b'-';
        (!text.is_empty() && text.bytes().all(is_host)).then_some(text)
    };
    if let Some(host) = literal(&bare) {
        return Some(vec![host]);
    }
    let (first, rest) = bare.rsplit_once(')').or_else(|| {
        let end = bare.rfind(['+', '*', ']'])?;
        Some((&bare[..=end], &bare[end + 1..]))
    })?;
    let first = first.trim_start_matches('(').trim_end_matches(')');
    if let Some(parent) = rest.strip_prefix("\\.").and_then(literal)
        && ANY_LABEL.contains(&first)
    {
        return Some(vec![format!("*.{parent}")]);
    }
    // `(a|b)\.example\.com`
    let rest = literal(rest)?;
    let names = first
        .split('|')
        .map(|it| Some(format!("{}{rest}", literal(it)?)));
    names.collect()
}

/// Expressions of any name before a domain.
const ANY_LABEL: [&str; 14] = [
    ".*",
    ".+",
    "[^.]+",
    "[^\\.]+",
    "\\w+",
    "[\\w-]+",
    "[a-z]+",
    "[a-zA-Z]+",
    "[a-z0-9]+",
    "[a-zA-Z0-9]+",
    "[a-z0-9-]+",
    "[a-zA-Z0-9-]+",
    "[0-9a-z-]+",
    "[a-z0-9\\-]+",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_of_hosts_become_hosts_where_these_can_say_it() {
        for (text, hosts) in [
            (".+", Some(vec![])),
            ("{any:.*}", Some(vec![])),
            ("^.+\\.example\\.com$", Some(vec!["*.example.com"])),
            ("{sub:[a-z]+}.example.com", Some(vec!["*.example.com"])),
            ("{sub}.example.com", Some(vec!["*.example.com"])),
            (
                "^(www|api)\\.example\\.com$",
                Some(vec!["www.example.com", "api.example.com"]),
            ),
            ("^example\\.com$", Some(vec!["example.com"])),
            ("^x[0-9]{2}\\.example\\.com$", None),
            ("^(a.*|b)\\.example\\.com$", None),
            ("", None),
        ] {
            let found = hosts_of(text);
            let found: Option<Vec<&str>> = found
                .as_ref()
                .map(|it| it.iter().map(String::as_str).collect());
            assert_eq!(found, hosts, "{text}");
        }
    }

    #[test]
    fn variables_of_paths_become_groups() {
        let found = variables("/a.b/{cat:[a-z]{2}}/{id}", "[^/]+");
        assert_eq!(found.as_deref(), Some("/a\\.b/(?:[a-z]{2})/(?:[^/]+)"));
        assert_eq!(variables("/a", "x"), None);
        assert_eq!(variables("/a/{", "x"), None);
    }
}
