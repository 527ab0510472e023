//! Conditions: `if` blocks, and tables of values (`map`) that choose an upstream.

use super::{Translator, level::Level, location::Matcher, server::Server, syntax::Directive};
use crate::import::document::{Source, Table, key_part, quoted};

/// A condition of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    key: String,
    value: String,
}

impl Condition {
    /// Adds it to a route, in place of what is there.
    pub(super) fn add(&self, table: &mut Table, source: &Source) {
        table.remove(&self.key);
        table.set(source, &self.key, &*self.value);
    }

    /// Returns the condition that a variable has a value; `sign` as in `if`.
    pub(super) fn of(variable: &str, sign: &str, value: &str) -> Option<Self> {
        if (variable, sign, value) == ("http_x_forwarded_proto", "!=", "https") {
            return Self::of(variable, "=", "http");
        }
        if sign == "=" && matches!(value.trim_matches(['"', '\'']), "") {
            // True for an absent value, too.
            return None;
        }
        let expression = match sign {
            "~" => Some(value.to_owned()),
            "~*" => Some(format!("(?i){value}")),
            "=" | "" => None,
            _ => return None,
        };
        if let Some(expression) = &expression {
            regex::Regex::new(expression).ok()?;
        }
        let list = |key: &str, items: &[&str]| {
            Some(Self {
                key: key.to_owned(),
                value: crate::import::document::quoted_list(items.iter().copied()),
            })
        };
        match variable {
            "host" | "http_host" if sign == "=" => return list("hosts", &[value]),
            "request_method" if sign == "=" => return list("methods", &[value]),
            "request_method" if sign == "~" => {
                let inner = value.trim_start_matches('^').trim_end_matches('$');
                let inner = inner.trim_start_matches('(').trim_end_matches(')');
                let methods: Vec<&str> = inner.split('|').collect();
                let plain = |it: &&str| it.bytes().all(|it| it.is_ascii_alphabetic());
                return methods
                    .iter()
                    .all(plain)
                    .then(|| list("methods", &methods))?;
            }
            _ => {}
        }
        let (kind, name) = [
            ("http_", "headers"),
            ("cookie_", "cookies"),
            ("arg_", "query"),
        ]
        .iter()
        .find_map(|(start, kind)| Some((*kind, variable.strip_prefix(start)?)))?;
        let name = if kind == "headers" {
            name.replace('_', "-")
        } else {
            name.to_owned()
        };
        let value = match (sign, expression) {
            ("", _) => "{ present = true }".to_owned(),
            (_, Some(expression)) => format!("{{ regex = {} }}", quoted(&expression)),
            (_, None) => quoted(value),
        };
        Some(Self {
            key: format!("{kind}.{}", key_part(&name)),
            value,
        })
    }

    /// Reads the condition of an `if`.
    fn of_if(directive: &Directive) -> Option<Self> {
        let text = directive.args.join(" ");
        let text = text.strip_prefix('(')?.strip_suffix(')')?.trim();
        let mut words = text.splitn(3, ' ');
        let variable = words.next()?.strip_prefix('$')?;
        let (sign, value) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        Self::of(variable, sign, value.trim())
    }
}

impl<'a> Translator<'a> {
    /// Makes a route of each `if` that answers; returns the line that sends all to HTTPS.
    pub(super) fn conditions(
        &mut self,
        server: &Server,
        level: &Level<'a>,
        matcher: &Matcher,
        before_locations: bool,
    ) -> Option<Source> {
        let mut https = None;
        let blocks: Vec<&Directive> = level.rest().filter(|it| it.name == "if").collect();
        for block in blocks {
            let [inner] = block.inner() else { continue };
            if inner.name != "return" {
                continue;
            }
            let text = block.args.join(" ");
            let is_plain = text.contains("$scheme") || text.contains("$https");
            let to = inner.args.last().map_or("", String::as_str);
            if is_plain && to.starts_with("https://$") {
                level.mark(block);
                https = Some(block.source.clone());
                continue;
            }
            let Some(condition) = Condition::of_if(block) else {
                continue;
            };
            let mut table = self.begin_route(server, matcher, level, Some(&block.source));
            self.rename(&mut table, &condition.value);
            condition.add(&mut table, &block.source);
            let may_rank = server.may_rank() || table.has("hosts");
            if before_locations && may_rank {
                table.set(&block.source, "priority", "3");
            }
            if self.answer(&mut table, inner) && (may_rank || !before_locations) {
                self.made.routes.push(table);
                level.mark(block);
            }
        }
        https
    }
}
