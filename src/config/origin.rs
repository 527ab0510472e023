//! Origin of each value of a configuration: file and line, `[defaults]`, a policy, or the default
//! that is built in.
//!
//! Found when it is asked for, from the texts that the configuration was written in: they are cut
//! and joined as at the reading, and nothing outside of them is read again.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::defaults::{self, Defaulted};
use super::include::{Included, IncludedFile};
use super::policy;
use super::schema::Config;
use super::setting::{Node, is_elsewhere};
use super::shared::{Joined, SharedPart};
use crate::file::Lines;

/// The texts that a configuration was written in.
#[derive(Debug, Default)]
pub struct Sources {
    /// Path of the main file.
    pub(super) path: PathBuf,
    /// Text of the main file.
    pub(super) main: Arc<str>,
    /// The files that it includes.
    pub(in crate::config) included: Arc<[IncludedFile]>,
    /// The part that is in a store.
    pub(super) shared: Option<SharedPart>,
}

/// A value with its origin.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// Its place, such as `routes.shop.timeouts.total`.
    pub place: String,
    /// The value as it is in effect, masked if it must not be shown.
    pub value: Value,
    /// Its place in a file; none: it is a default that is built in.
    pub written: Option<WrittenAt>,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenAt {
    /// The file, or the part in a store.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The table of `[defaults]` or `[policies]` that it is from, such as `policies.slim`.
    pub by: Option<String>,
    /// The place outside of the file that it is kept in, such as `environment variable TOKEN`.
    pub kept: Option<String>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(written) = &self.written else {
            return f.write_str("built-in default");
        };
        write!(f, "{}:{}", written.file, written.line)?;
        if let Some(by) = &written.by {
            write!(f, ", [{by}]")?;
        }
        match &written.kept {
            Some(kept) => write!(f, ", {kept}"),
            None => Ok(()),
        }
    }
}

impl Config {
    /// Gives the values at and below a place, such as `routes.shop`, with their origins; all of them
    /// for an empty place. With `only_written`, those that are built in are left out.
    pub fn origins(&self, within: &str, only_written: bool) -> Vec<Origin> {
        let printed = serde_json::to_value(self).unwrap_or_default();
        let nothing = Sources::default();
        let sources = self.include.sources().unwrap_or(&nothing);
        let main = &*sources.main;
        let joined = sources.shared.as_ref().map(|it| Joined::of(main, &it.text));
        let included = Included::placed(&sources.included, main.len());
        let (tree, _) = DeTable::parse_recoverable(main);
        let mut tree = tree.into_inner();
        let mut faults = Vec::new();
        let (whole, parts) = match (&joined, &sources.shared) {
            (Some(joined), Some(shared)) => {
                joined.add_to(&mut tree, &mut faults);
                let name = PathBuf::from(&*shared.name);
                (joined.text.clone(), vec![(name, joined.border)])
            }
            _ => {
                included.add_to(&mut tree, &mut faults);
                (included.whole(main), included.parts(&sources.path))
            }
        };
        let texts = Texts {
            path: &sources.path,
            lines: Lines::of(&whole),
            parts,
            tables: shared_tables(&tree),
        };
        policy::apply(&mut tree, &mut Defaulted::default());
        defaults::apply(&mut tree, &mut Defaulted::default());
        let root = Spanned::new(0..0, DeValue::Table(tree));
        let mut walk = Walk {
            within,
            only_written,
            texts: &texts,
            place: String::new(),
            found: Vec::new(),
        };
        walk.value(&printed, Some(&root));
        walk.found
    }
}

/// The texts as one, for places in them.
struct Texts<'t> {
    path: &'t Path,
    lines: Lines,
    /// Name and first byte of each part behind the main file.
    parts: Vec<(PathBuf, usize)>,
    /// Tables that others have values from, by the places of these.
    tables: HashMap<(usize, usize), String>,
}

/// The walk over a printed configuration, beside the tree that it was read from.
struct Walk<'t> {
    within: &'t str,
    only_written: bool,
    texts: &'t Texts<'t>,
    place: String,
    found: Vec<Origin>,
}

impl Walk<'_> {
    fn value(&mut self, printed: &Value, node: Option<&Spanned<DeValue<'_>>>) {
        let table = node.and_then(|node| {
            let is_kept = is_elsewhere(&Node::item(node));
            node.get_ref().as_table().filter(|_| !is_kept)
        });
        let inner = printed.as_object().filter(|map| !map.is_empty());
        let Some(inner) = inner else {
            return self.leaf(printed, node);
        };
        for (key, printed) in inner {
            // They are in the tables that have them.
            if self.place.is_empty() && key == "defaults" {
                continue;
            }
            let length = self.place.len();
            if length > 0 {
                self.place.push('.');
            }
            push_key(&mut self.place, key);
            if self.leads_to_it() {
                let node = match table {
                    Some(table) => table.get(key.as_str()),
                    // Written in a short form: all of it stands there.
                    None => node,
                };
                self.value(printed, node);
            }
            self.place.truncate(length);
        }
    }

    /// Returns true if the place is above, at or below the one that is asked for.
    fn leads_to_it(&self) -> bool {
        let (short, long) = match self.place.len() < self.within.len() {
            true => (&*self.place, self.within),
            false => (self.within, &*self.place),
        };
        let rest = long.strip_prefix(short);
        rest.is_some_and(|rest| short.is_empty() || rest.is_empty() || rest.starts_with('.'))
    }

    fn leaf(&mut self, printed: &Value, node: Option<&Spanned<DeValue<'_>>>) {
        let is_above = self.place.len() < self.within.len();
        // An empty table without a place is one of no consequence.
        let is_nothing = printed.as_object().is_some_and(|map| map.is_empty()) && node.is_none();
        if is_above || is_nothing || (self.only_written && node.is_none()) {
            return;
        }
        self.found.push(Origin {
            place: self.place.clone(),
            value: printed.clone(),
            written: node.map(|node| self.texts.written(node)),
        });
    }
}

impl Texts<'_> {
    fn written(&self, node: &Spanned<DeValue<'_>>) -> WrittenAt {
        let span = node.span();
        let part = self.parts.iter().rfind(|(_, border)| span.start >= *border);
        let (file, first) = match part {
            Some((name, border)) => (name.as_path(), self.lines.line(*border)),
            None => (self.path, 0),
        };
        let text = |key: &str| node.get_ref().as_table()?.get(key)?.get_ref().as_str();
        let variable = text("env").map(|name| format!("environment variable {name}"));
        let kept = variable.or_else(|| text("file").map(|path| format!("file {path}")));
        WrittenAt {
            file: file.display().to_string(),
            line: self.lines.line(span.start) - first + 1,
            by: self.tables.get(&(span.start, span.end)).cloned(),
            kept: kept.filter(|_| is_elsewhere(&Node::item(node))),
        }
    }
}

/// The places of all that stands in tables of `[defaults]` and `[policies]`.
fn shared_tables(tree: &DeTable<'_>) -> HashMap<(usize, usize), String> {
    let mut places = HashMap::new();
    for kind in ["defaults", "policies"] {
        let tables = tree.get(kind).and_then(|it| it.get_ref().as_table());
        for (name, table) in tables.into_iter().flatten() {
            let mut label = format!("{kind}.");
            push_key(&mut label, name.get_ref());
            note(table, &label, &mut places);
        }
    }
    places
}

fn note(value: &Spanned<DeValue<'_>>, label: &str, places: &mut HashMap<(usize, usize), String>) {
    let span = value.span();
    places.insert((span.start, span.end), label.to_owned());
    match value.get_ref() {
        DeValue::Table(table) => table.values().for_each(|value| note(value, label, places)),
        DeValue::Array(items) => items.iter().for_each(|value| note(value, label, places)),
        _ => {}
    }
}

/// Adds a key as TOML has it.
fn push_key(place: &mut String, key: &str) {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(is_bare) {
        place.push_str(key);
    } else {
        place.push_str(&Value::from(key).to_string());
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::config::{check::Rules, load::load};

    const MAIN: &str = r#"include = ["more.toml"]
[listeners.web]
address = "127.0.0.1:0"
[defaults.routes]
timeouts = { total = "60s", idle = "9s" }
[policies.slim]
compress = { level = 3 }
rate_limit = { key = "client_ip", rate = "9/s" }
[routes."a.b"]
pool = "app"
use = ["slim"]
compress = { min = "2KiB" }
timeouts = { idle = "1s" }
headers_request = { set = { x-key = { env = "HOME" } } }
"#;

    fn told(within: &str, only_written: bool) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("proxy.toml"), MAIN).unwrap();
        let more = "# pools\n[pools.app]\nendpoints = [\"127.0.0.1:9001\"]\n";
        fs::write(folder.path().join("more.toml"), more).unwrap();
        let path = folder.path().join("proxy.toml");
        let config = load(&path, &Rules::default()).unwrap().config;
        let found = config.origins(within, only_written).into_iter();
        let lines = found.map(|it| format!("{} = {} # {it}", it.place, it.value));
        let folder = format!("{}/", folder.path().display());
        lines.map(|line| line.replace(&folder, "")).collect()
    }

    #[test]
    fn each_value_says_where_it_comes_from() {
        let found = told("", false);
        for expected in [
            "listeners.web.address = \"127.0.0.1:0\" # proxy.toml:3",
            "routes.\"a.b\".timeouts.total = \"1m\" # proxy.toml:5, [defaults.routes]",
            "routes.\"a.b\".timeouts.idle = \"1s\" # proxy.toml:13",
            "routes.\"a.b\".timeouts.from_client = false # built-in default",
            "routes.\"a.b\".compress.level = 3 # proxy.toml:7, [policies.slim]",
            "routes.\"a.b\".compress.min = \"2KiB\" # proxy.toml:12",
            "routes.\"a.b\".headers_request.set.x-key = \"***\" # proxy.toml:14, environment variable HOME",
            "pools.app.retry_budget.minimum = 3 # built-in default",
        ] {
            assert!(
                found.iter().any(|line| line == expected),
                "{expected}\n\n{found:#?}"
            );
        }
        let endpoints = found
            .iter()
            .find(|line| line.starts_with("pools.app.endpoints = "));
        assert!(
            endpoints.unwrap().ends_with(" # more.toml:3"),
            "{endpoints:?}"
        );
        let rates = found
            .iter()
            .find(|line| line.starts_with("routes.\"a.b\".rate_limit = "));
        assert!(
            rates.unwrap().ends_with("# proxy.toml:8, [policies.slim]"),
            "{rates:?}"
        );
    }

    #[test]
    fn a_place_narrows_it_down() {
        let found = told("routes.\"a.b\".timeouts", true);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(told("routes.\"a.b\".timeouts.idle", false).len(), 1);
        assert!(told("rout", false).is_empty());
    }
}
