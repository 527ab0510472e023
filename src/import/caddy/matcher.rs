//! Matchers, and texts with placeholders.

use super::syntax::Line;
use crate::import::{
    document::{key_part, quoted, quoted_list},
    text::variable,
};

/// Conditions of a route: keys and values in TOML.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Conditions(Vec<(String, String)>);

impl Conditions {
    pub(super) fn of_pairs(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// The prefix that they ask for, if it is one.
    pub(super) fn prefix(&self) -> Option<String> {
        let found = self.0.iter().find(|(key, _)| key == "path_prefix");
        found.map(|(_, value)| value.trim_matches('"').to_owned())
    }

    fn add(&mut self, key: &str, value: String) {
        self.0.push((key.to_owned(), value));
    }

    /// Conditions of a path; none for any path.
    pub(super) fn of_path(path: &str) -> Self {
        let mut conditions = Self::default();
        match path {
            "*" | "/*" => {}
            path if path.ends_with("/*") && !path[..path.len() - 2].contains('*') => {
                conditions.add("path_prefix", quoted(&path[..path.len() - 2]));
            }
            path if path.contains('*') => {
                let parts: Vec<String> = path.split('*').map(regex::escape).collect();
                let expression = format!("^{}$", parts.join(".*"));
                let expression = expression.trim_start_matches("^.*").trim_end_matches(".*$");
                conditions.add("path_regex", quoted(expression));
            }
            path => conditions.add("path", quoted(path)),
        }
        conditions
    }
}

/// A named matcher.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    /// Conditions: a set for each of its paths.
    pub(super) sets: Vec<Conditions>,
    /// Conditions that must not hold, if it has no others.
    pub(super) not: Option<Vec<Conditions>>,
    /// True if it has conditions that are not among these.
    pub(super) is_wider: bool,
}

impl Named {
    /// A matcher that nobody has written.
    pub(super) fn unknown() -> Self {
        Self {
            sets: vec![Conditions::default()],
            not: None,
            is_wider: true,
        }
    }

    /// Reads the conditions of a named matcher.
    pub(super) fn of(line: &Line) -> Self {
        let own;
        let lines = match line.words.get(1..) {
            Some(words @ [_, ..]) => {
                own = [Line {
                    words: words.to_vec(),
                    block: line.block.clone(),
                    source: line.source.clone(),
                }];
                &own[..]
            }
            _ => &line.block[..],
        };
        if let [only] = lines
            && only.name() == "not"
        {
            let inner = Line {
                words: only.words.clone(),
                block: only.block.clone(),
                source: only.source.clone(),
            };
            let inner = Self::of(&inner);
            let is_known = !inner.is_wider && inner.not.is_none();
            // Several conditions of which one fails are more than a route can have.
            let is_one = inner.sets.iter().all(|it| it.0.len() == 1);
            return Self {
                sets: vec![Conditions::default()],
                not: (is_known && is_one).then_some(inner.sets),
                is_wider: true,
            };
        }
        let mut paths: Vec<Conditions> = Vec::new();
        let mut rest = Conditions::default();
        let mut is_wider = lines.is_empty();
        for line in lines {
            let args = line.args();
            let is_known = match line.name() {
                "path" => {
                    paths.extend(args.iter().map(|path| Conditions::of_path(path)));
                    true
                }
                // No test has a block, and none is without words.
                name => {
                    let is_plain = line.block.is_empty() && !args.is_empty();
                    is_plain && rest.add_test(name, &args).is_some()
                }
            };
            is_wider |= !is_known;
        }
        if paths.is_empty() {
            paths.push(Conditions::default());
        }
        // Of two conditions on the path, the expression stays.
        if rest.has("path_regex")
            && paths
                .iter()
                .any(|it| it.prefix().is_some() || it.has("path"))
        {
            paths = vec![Conditions::default()];
            is_wider = true;
        }
        for one in &mut paths {
            one.0.extend(rest.0.iter().cloned());
        }
        Self {
            sets: paths,
            not: None,
            is_wider,
        }
    }
}

impl Conditions {
    fn has(&self, wanted: &str) -> bool {
        self.0.iter().any(|(key, _)| key == wanted)
    }

    /// The keys and values.
    pub(super) fn all(&self) -> Vec<(String, String)> {
        self.0.clone()
    }

    /// Adds a condition, once; none if there is no equal.
    fn add_once(&mut self, key: &str, value: String) -> Option<()> {
        if self.has(key) {
            return None;
        }
        self.add(key, value);
        Some(())
    }

    /// Adds a test of a matcher; none if there is no equal.
    fn add_test(&mut self, name: &str, args: &[&str]) -> Option<()> {
        match name {
            "path_regexp" => {
                let expression = args.last()?;
                regex::Regex::new(expression).ok()?;
                self.add_once("path_regex", quoted(expression))
            }
            "host" => self.add_once("hosts", quoted_list(args.iter().copied())),
            "method" => {
                let methods: Vec<String> = args.iter().map(|it| it.to_ascii_uppercase()).collect();
                self.add_once("methods", quoted_list(methods.iter().map(String::as_str)))
            }
            "remote_ip" | "client_ip" => {
                let mut all: Vec<&str> = Vec::new();
                for block in args.iter().filter(|it| **it != "forwarded") {
                    match *block {
                        "private_ranges" => all.extend(PRIVATE),
                        block => all.push(block),
                    }
                }
                self.add_once("source", quoted_list(all))
            }
            "header" => {
                let (name, value) = match *args {
                    [name] => (name.strip_prefix('!')?, "{ present = false }".to_owned()),
                    [name, value] => (name, matched(value)?),
                    _ => return None,
                };
                let key = format!("headers.{}", key_part(&name.to_ascii_lowercase()));
                self.add_once(&key, value)
            }
            "query" => {
                for pair in args {
                    let (name, value) = pair.split_once('=')?;
                    self.add_once(&format!("query.{}", key_part(name)), matched(value)?)?;
                }
                Some(())
            }
            _ => None,
        }
    }
}

/// Blocks that `private_ranges` means.
pub(super) const PRIVATE: [&str; 6] = [
    "192.168.0.0/16",
    "172.16.0.0/12",
    "10.0.0.0/8",
    "127.0.0.0/8",
    "fd00::/8",
    "::1",
];

fn matched(value: &str) -> Option<String> {
    match value {
        "*" => Some("{ present = true }".to_owned()),
        value if value.contains('*') => {
            let parts: Vec<String> = value.split('*').map(regex::escape).collect();
            Some(format!(
                "{{ regex = {} }}",
                quoted(&format!("^{}$", parts.join(".*")))
            ))
        }
        value => Some(quoted(value)),
    }
}

/// Returns the placeholder of a value whose name has a part that was chosen.
fn chosen(name: &str) -> Option<String> {
    let kinds = [
        ("header.", "header"),
        ("cookie.", "cookie"),
        ("query.", "query"),
        ("uri.query.", "query"),
    ];
    let found = kinds
        .iter()
        .find_map(|(prefix, kind)| Some((kind, name.strip_prefix(prefix)?)))?;
    let (kind, part) = found;
    let is_plain = |it: u8| it.is_ascii_alphanumeric() || it == b'-' || it == b'_';
    let part = match *kind {
        "header" => part.to_ascii_lowercase(),
        _ => part.to_owned(),
    };
    (!part.is_empty() && part.bytes().all(is_plain)).then(|| format!("{{{kind}:{part}}}"))
}

/// Returns a text with placeholders as a template, in TOML.
///
/// # Errors
/// The placeholder that has no equal.
pub(super) fn template(text: &str) -> Result<String, String> {
    if text.contains(char::is_control) {
        return Err("a value has one line".to_owned());
    }
    if variable(text).is_some() {
        return Ok(quoted(text));
    }
    let mut written = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let (before, behind) = rest.split_at(at);
        written.push_str(before);
        let Some(end) = behind.find('}') else {
            return Err("a \"{\" stands for a placeholder here".to_owned());
        };
        let name = &behind[1..end];
        let name = name.strip_prefix("http.request.").unwrap_or(name);
        if let Some(placeholder) = chosen(name) {
            written.push_str(&placeholder);
            rest = &behind[end + 1..];
            continue;
        }
        written.push_str(match name {
            "host" => "{host}",
            "hostport" => "{host_port}",
            "uri" | "orig_uri" => "{path}{query}",
            "path" | "uri.path" | "orig_uri.path" => "{path}",
            "scheme" => "{scheme}",
            "method" => "{method}",
            "remote_host" | "remote.host" | "client_ip" | "remote" => "{client_ip}",
            "uuid" => "{request_id}",
            "http.auth.user.id" => "{auth.user}",
            "remote.port" | "remote_port" => "{client_port}",
            other => return Err(format!("there is no placeholder for {{{other}}}")),
        });
        rest = &behind[end + 1..];
    }
    written.push_str(rest);
    Ok(quoted(&written))
}
