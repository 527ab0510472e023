//! Names of a server: hosts, or an expression on the field Host.

use super::level::Level;
use crate::import::document::{Source, Table};

/// The names of a server.
#[derive(Default)]
pub(super) struct Names {
    /// Exact ones and those such as `*.example.com`, each with its line.
    pub(super) hosts: Vec<(Source, String)>,
    /// An expression for all of them, if there are others.
    pub(super) pattern: Option<(Source, String)>,
    /// Remarks about names without an equal.
    pub(super) left: Vec<Table>,
}

impl Names {
    pub(super) fn of(level: &Level<'_>) -> Self {
        let mut names = Self::default();
        let mut patterns: Vec<(Source, String)> = Vec::new();
        let mut unknown: Vec<(Source, &str)> = Vec::new();
        for line in level.own("server_name") {
            for name in &line.args {
                let source = line.source.clone();
                if let Some(domain) = name.strip_prefix('.') {
                    names.hosts.push((source.clone(), domain.to_owned()));
                    names.hosts.push((source, format!("*.{domain}")));
                } else if matches!(&**name, "_" | "" | "\"\"" | "--" | "!@#") {
                    continue;
                } else if is_odd(name) {
                    match pattern(name) {
                        Some(pattern) => patterns.push((source, pattern)),
                        None => unknown.push((source, name)),
                    }
                } else if name.starts_with("{$") {
                    names.hosts.push((source, name.clone()));
                } else {
                    names.hosts.push((source, name.to_ascii_lowercase()));
                }
            }
        }
        for (source, name) in unknown {
            let mut table = Table::default();
            table.untranslated(
                &source,
                format!("the name {name}: hosts are exact or \"*.example.com\"; list them"),
            );
            names.left.push(table);
        }
        let Some((source, _)) = patterns.first().cloned() else {
            return names;
        };
        let hosts = names
            .hosts
            .iter()
            .map(|(_, host)| match host.strip_prefix("*.") {
                Some(domain) => format!(r"^.+\.{}{PORT}$", regex::escape(domain)),
                None => format!("^{}{PORT}$", regex::escape(host)),
            });
        let all: Vec<String> = patterns
            .into_iter()
            .map(|(_, it)| it)
            .chain(hosts)
            .collect();
        let joined = match &all[..] {
            [one] => one.clone(),
            _ => format!("(?:{})", all.join("|")),
        };
        names.pattern = Some((source, format!("(?i){joined}")));
        names
    }
}

fn is_odd(name: &str) -> bool {
    let is_host = |it: u8| it.is_ascii_alphanumeric() || b".-*_:[]".contains(&it);
    let is_variable = name.starts_with("{$");
    let inner = name.strip_prefix("*.").unwrap_or(name);
    !is_variable && (!name.bytes().all(is_host) || inner.contains('*'))
}

/// Returns the expression of a name such as `shop.*` or `~^(www\.)?shop`, for hosts with and without
/// a port.
fn pattern(name: &str) -> Option<String> {
    let text = if let Some(expression) = name.strip_prefix('~') {
        match expression
            .strip_suffix('$')
            .filter(|it| !it.ends_with('\\'))
        {
            Some(inner) if !has_choice(inner) => format!("{inner}{PORT}$"),
            Some(_) => return None,
            None => expression.to_owned(),
        }
    } else {
        let beginning = name
            .strip_suffix(".*")
            .filter(|it| !it.contains(['*', '$']))?;
        format!(r"^{}\.[^:]+{PORT}$", regex::escape(beginning))
    };
    regex::Regex::new(&text).ok().map(|_| text)
}

/// Returns true for a choice outside of brackets: its last part alone would have the end.
fn has_choice(expression: &str) -> bool {
    let mut depth = 0_usize;
    let mut escaped = false;
    expression.chars().any(|letter| {
        if std::mem::take(&mut escaped) {
            return false;
        }
        match letter {
            '\\' => escaped = true,
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '|' => return depth == 0,
            _ => {}
        }
        false
    })
}

const PORT: &str = "(?::[0-9]+)?";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_an_expression_for_hosts_with_and_without_a_port() {
        for (name, fits, others) in [
            ("shop.*", "shop.example:8080", "x.shop.example"),
            (
                r"~^(www\.)?shop\.example$",
                "www.shop.example",
                "shop.example.evil",
            ),
            ("~shop", "my-shop.example", "sho.example"),
        ] {
            let expression = regex::Regex::new(&pattern(name).unwrap()).unwrap();
            assert!(
                expression.is_match(fits) && !expression.is_match(others),
                "{name}"
            );
        }
        assert_eq!(pattern("~^a$|^b$"), None);
        assert_eq!(pattern("$host"), None);
        assert!(is_odd("shop.*") && !is_odd("*.shop.example") && !is_odd("{$HOST}"));
    }
}
