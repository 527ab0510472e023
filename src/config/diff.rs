//! What a new configuration changes, told by name and key.
//!
//! Both sides are compared as they print, so that a key that a table gains is covered
//! without a line here. Only secrets need care: they print alike when they differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::schema::{Config, Pool};
use super::setting::Setting as _;

/// The difference between two configurations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    /// What only the new one has.
    pub added: Vec<Item>,
    /// What only the old one has.
    pub removed: Vec<Item>,
    /// What both have, differently.
    pub changed: Vec<Change>,
}

/// One named thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What it is.
    pub kind: Kind,
    /// Its name; an endpoint's is `pool/address`, and what there is one of has none.
    pub name: String,
}

/// How a named thing differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What it is.
    pub kind: Kind,
    /// Its name, as in [`Item`].
    pub name: String,
    /// Each key with its old and new value: `weight 1 -> 3`.
    pub what: Vec<String>,
    /// What it takes to bring it about.
    pub effect: Effect,
}

/// What can differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The table `[proxy]`.
    Proxy,
    /// The table `[admin]`.
    Admin,
    /// The table `[log]`.
    Log,
    /// The table `[access_log]`.
    AccessLog,
    /// The table `[metrics]`.
    Metrics,
    /// A listener.
    Listener,
    /// A route.
    Route,
    /// A pool, apart from its endpoints.
    Pool,
    /// An endpoint of a pool.
    Endpoint,
    /// A test.
    Test,
}

/// What it takes to bring a change about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// A reload, as of every edit.
    Reload,
    /// A new start of the process; until then the old value holds.
    Restart,
}

impl Diff {
    /// Compares two configurations.
    pub fn between(old: &Config, new: &Config) -> Self {
        let mut diff = Self::default();
        diff.compare_single(Kind::Proxy, &old.proxy.print(), &new.proxy.print());
        diff.compare_single(Kind::Admin, &old.admin.print(), &new.admin.print());
        diff.compare_tokens(old, new);
        diff.compare_single(Kind::Log, &old.log.print(), &new.log.print());
        let (old_log, new_log) = (old.access_log.print(), new.access_log.print());
        diff.compare_single(Kind::AccessLog, &old_log, &new_log);
        diff.compare_single(Kind::Metrics, &old.metrics.print(), &new.metrics.print());
        let (old_listeners, new_listeners) = (old.listeners.print(), new.listeners.print());
        diff.compare_named(
            Kind::Listener,
            &entries(old_listeners),
            &entries(new_listeners),
        );
        diff.compare_named(
            Kind::Route,
            &entries(old.routes.print()),
            &entries(new.routes.print()),
        );
        diff.compare_named(Kind::Pool, &pools(old), &pools(new));
        diff.compare_named(Kind::Endpoint, &endpoints(old), &endpoints(new));
        diff.compare_named(
            Kind::Test,
            &entries(old.tests.print()),
            &entries(new.tests.print()),
        );
        diff
    }

    /// Tells whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }

    /// Tells whether part of it waits for a new start of the process.
    pub fn needs_restart(&self) -> bool {
        self.changed
            .iter()
            .any(|change| change.effect == Effect::Restart)
    }

    fn compare_single(&mut self, kind: Kind, old: &Value, new: &Value) {
        self.note(kind, "", differences(old, new));
    }

    fn compare_named(
        &mut self,
        kind: Kind,
        old: &BTreeMap<String, Value>,
        new: &BTreeMap<String, Value>,
    ) {
        let item = |name: &String| Item {
            kind,
            name: name.clone(),
        };
        let is_new = |name: &&String| !old.contains_key(*name);
        let is_gone = |name: &&String| !new.contains_key(*name);
        self.added.extend(new.keys().filter(is_new).map(item));
        self.removed.extend(old.keys().filter(is_gone).map(item));
        for (name, value) in old {
            if let Some(other) = new.get(name) {
                self.note(kind, name, differences(value, other));
            }
        }
    }

    /// Tokens print alike, so they are compared themselves.
    fn compare_tokens(&mut self, old: &Config, new: &Config) {
        let token = |config: &Config| config.admin.as_ref().and_then(|admin| admin.token.clone());
        if let (Some(old), Some(new)) = (token(old), token(new))
            && old != new
        {
            self.note(Kind::Admin, "", vec!["token changed".to_owned()]);
        }
    }

    fn note(&mut self, kind: Kind, name: &str, what: Vec<String>) {
        let (restart, reload): (Vec<_>, Vec<_>) =
            what.into_iter().partition(|line| needs_restart(kind, line));
        for (what, effect) in [(reload, Effect::Reload), (restart, Effect::Restart)] {
            if !what.is_empty() {
                let name = name.to_owned();
                self.changed.push(Change {
                    kind,
                    name,
                    what,
                    effect,
                });
            }
        }
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("no change");
        }
        let mut lines = Vec::new();
        for (sign, items) in [('+', &self.added), ('-', &self.removed)] {
            lines.extend(
                items
                    .iter()
                    .map(|item| format!("{sign} {}", label(item.kind, &item.name))),
            );
        }
        for change in &self.changed {
            let restart = match change.effect {
                Effect::Reload => "",
                Effect::Restart => " (needs a restart)",
            };
            let label = label(change.kind, &change.name);
            lines.push(format!("~ {label}: {}{restart}", change.what.join(", ")));
        }
        f.write_str(&lines.join("\n"))
    }
}

fn label(kind: Kind, name: &str) -> String {
    let word = match kind {
        Kind::Proxy => "[proxy]",
        Kind::Admin => "[admin]",
        Kind::Log => "[log]",
        Kind::AccessLog => "[access_log]",
        Kind::Metrics => "[metrics]",
        Kind::Listener => "listener",
        Kind::Route => "route",
        Kind::Pool => "pool",
        Kind::Endpoint => "endpoint",
        Kind::Test => "test",
    };
    if name.is_empty() {
        word.to_owned()
    } else {
        format!("{word} {name}")
    }
}

/// The settings that a running process cannot take over.
fn needs_restart(kind: Kind, line: &str) -> bool {
    match kind {
        Kind::Proxy => line.starts_with("workers "),
        Kind::Admin => line.starts_with("address ") || line.starts_with("mode "),
        Kind::Listener => line.starts_with("ipv6_only "),
        Kind::Log => line.starts_with("format "),
        Kind::AccessLog
        | Kind::Metrics
        | Kind::Route
        | Kind::Pool
        | Kind::Endpoint
        | Kind::Test => false,
    }
}

fn entries(printed: Value) -> BTreeMap<String, Value> {
    match printed {
        Value::Object(map) => map.into_iter().collect(),
        _ => BTreeMap::new(),
    }
}

/// The pools without their endpoints, which are compared one by one.
fn pools(config: &Config) -> BTreeMap<String, Value> {
    let mut pools = entries(config.pools.print());
    for pool in pools.values_mut() {
        if let Some(keys) = pool.as_object_mut() {
            keys.remove("endpoints");
        }
    }
    pools
}

fn endpoints(config: &Config) -> BTreeMap<String, Value> {
    let of_pool = |(name, pool): (&super::value::Name, &Pool)| {
        let name = name.to_string();
        let named = |endpoint: &super::schema::Endpoint| {
            (format!("{name}/{}", endpoint.address), endpoint.print())
        };
        pool.endpoints.iter().map(named).collect::<Vec<_>>()
    };
    config.pools.iter().flat_map(of_pool).collect()
}

fn differences(old: &Value, new: &Value) -> Vec<String> {
    let (mut old_keys, mut new_keys) = (BTreeMap::new(), BTreeMap::new());
    flatten("", old, &mut old_keys);
    flatten("", new, &mut new_keys);
    let keys: BTreeSet<&String> = old_keys.keys().chain(new_keys.keys()).collect();
    let text = |keys: &BTreeMap<String, String>, key: &str| {
        keys.get(key)
            .cloned()
            .unwrap_or_else(|| "not set".to_owned())
    };
    keys.into_iter()
        .map(|key| (key, text(&old_keys, key), text(&new_keys, key)))
        .filter(|(_, old, new)| old != new)
        .map(|(key, old, new)| format!("{key} {old} -> {new}"))
        .collect()
}

fn flatten(path: &str, value: &Value, out: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                let dot = if path.is_empty() { "" } else { "." };
                flatten(&format!("{path}{dot}{key}"), value, out);
            }
        }
        Value::Null => {}
        Value::String(text) => {
            out.insert(path.to_owned(), text.clone());
        }
        other => {
            out.insert(path.to_owned(), other.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Rules, parse};

    fn config(text: &str) -> Config {
        let text = format!("[listeners.web]\naddress = \"127.0.0.1:80\"\n{text}");
        let rules = Rules::default();
        parse(text, Path::new("p.toml"), &rules).unwrap().config
    }

    fn diff(old: &str, new: &str) -> String {
        Diff::between(&config(old), &config(new)).to_string()
    }

    const POOL: &str = "[routes.r]\npool = \"a\"\n[pools.a]\n";

    #[test]
    fn endpoints_are_told_one_by_one() {
        let old = format!("{POOL}endpoints = [\"1.1.1.1:1\", \"1.1.1.1:2\"]");
        let new = format!(
            "{POOL}endpoints = [\"1.1.1.1:3\", {{ address = \"1.1.1.1:1\", weight = 3 }}]\n\
             health = {{ tcp = {{}} }}"
        );
        let told = diff(&old, &new);
        assert!(
            told.contains("+ endpoint a/1.1.1.1:3\n- endpoint a/1.1.1.1:2\n"),
            "{told}"
        );
        assert!(
            told.contains("~ endpoint a/1.1.1.1:1: weight 1 -> 3"),
            "{told}"
        );
        assert!(told.contains("health.interval not set -> 5s"), "{told}");
        assert_eq!(diff(&new, &new), "no change");
    }

    #[test]
    fn order_and_place_are_no_change() {
        let old = "[routes.a]\npath = \"/a\"\nrespond = {}\n[routes.b]\nrespond = {}\n";
        let new =
            "\n\n[routes.b]\nrespond = {status = 200}\n[routes.a]\nrespond = {}\npath = \"/a\"";
        assert_eq!(diff(old, new), "no change");
    }

    #[test]
    fn workers_the_admin_address_and_the_format_of_the_log_need_a_restart() {
        let told = diff("", "[proxy]\nworkers = 2\n[admin]\n");
        assert!(
            told.contains("[proxy]: workers auto -> 2 (needs a restart)"),
            "{told}"
        );
        assert!(
            told.contains("[admin]: address not set -> 127.0.0.1:9901 (needs"),
            "{told}"
        );
        let told = diff("", "[log]\nlevel = \"warn\"\nformat = \"json\"");
        assert!(told.contains("[log]: level info -> warn\n"), "{told}");
        assert!(
            told.contains("format text -> json (needs a restart)"),
            "{told}"
        );
        let both = Diff::between(&config(""), &config("[proxy]\nstate_dir = \"s\""));
        assert!(!both.needs_restart());
    }

    #[test]
    fn a_new_token_is_told_but_not_shown() {
        let told = diff("[admin]\ntoken = \"one\"", "[admin]\ntoken = \"two\"");
        assert_eq!(told, "~ [admin]: token changed");
    }
}
