//! Matchers, and texts with placeholders.

use super::syntax::Line;
use crate::import::document::{Source, Table, key_part, quoted, quoted_list};

/// Conditions of a route: keys and values in TOML.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Conditions(Vec<(String, String)>);

impl Conditions {
    /// Writes them, in place of what stands there.
    pub(super) fn write(&self, table: &mut Table, source: &Source) {
        for (key, value) in &self.0 {
            if key.starts_with("path") {
                for other in ["path", "path_prefix", "path_regex"] {
                    table.remove(other);
                }
            }
            table.remove(key);
            table.set(source, key, &**value);
        }
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

    /// Conditions of a named matcher: a set for each of its paths; none if it has others than are
    /// known here.
    pub(super) fn of_named(line: &Line) -> Option<Vec<Self>> {
        let inline = line.words.len() > 1;
        let own;
        let lines = if inline {
            own = [Line {
                words: line.words[1..].to_vec(),
                block: line.block.clone(),
                source: line.source.clone(),
            }];
            &own[..]
        } else {
            &line.block
        };
        let mut paths: Vec<Self> = vec![Self::default()];
        let mut rest = Self::default();
        for line in lines {
            let args = line.args();
            match line.name() {
                "path" => paths = args.iter().map(|path| Self::of_path(path)).collect(),
                "path_regexp" => {
                    let expression = args.last()?;
                    regex::Regex::new(expression).ok()?;
                    let mut one = Self::default();
                    one.add("path_regex", quoted(expression));
                    paths = vec![one];
                }
                "host" => rest.add("hosts", quoted_list(args)),
                "method" => rest.add("methods", quoted_list(args)),
                "remote_ip" | "client_ip" => {
                    let all = args.iter().copied().filter(|it| *it != "forwarded");
                    rest.add("source", quoted_list(all));
                }
                "header" => {
                    let [name, value] = args[..] else { return None };
                    let key = format!("headers.{}", key_part(&name.to_ascii_lowercase()));
                    rest.add(&key, matched(value)?);
                }
                "query" => {
                    for pair in args {
                        let (name, value) = pair.split_once('=')?;
                        rest.add(&format!("query.{}", key_part(name)), matched(value)?);
                    }
                }
                _ => return None,
            }
        }
        for one in &mut paths {
            one.0.extend(rest.0.iter().cloned());
        }
        Some(paths)
    }
}

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

/// Returns a text with placeholders as a template, in TOML.
///
/// # Errors
/// The placeholder that has no equal.
pub(super) fn template(text: &str) -> Result<String, String> {
    if text.contains(char::is_control) {
        return Err("a value has one line".to_owned());
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
            other => return Err(format!("there is no placeholder for {{{other}}}")),
        });
        rest = &behind[end + 1..];
    }
    written.push_str(rest);
    Ok(quoted(&written))
}
