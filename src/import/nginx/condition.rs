//! Conditions on variables, as `if` and tables of values (`map`) have them.

use super::gate::All;
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

    /// The condition as a pair of a key and a value.
    pub(super) fn pair(self) -> All {
        vec![(self.key, self.value)]
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
}
