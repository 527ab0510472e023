//! Differences between two configurations, by name and key.
//!
//! Both sides are compared in their printed form, so that new keys of a table need no code here.
//! Hidden values are compared in the clear, and shown masked.

mod held;
mod part;
mod source;

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::Config;
pub use held::Held;
use part::{Part, Side};

/// The difference between two configurations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diff {
    /// Items that only the new configuration has.
    pub added: Vec<Item>,
    /// Items that only the old configuration has.
    pub removed: Vec<Item>,
    /// Items that both have, with differences.
    pub changed: Vec<Change>,
}

/// A named item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Item {
    /// The kind of the item.
    pub kind: Kind,
    /// Its name; `pool/address` for an endpoint, empty for tables that exist once.
    pub name: String,
}

/// Differences in a named item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// The kind of the item.
    pub kind: Kind,
    /// Its name, as in [`Item`].
    pub name: String,
    /// Each key with its old and new value: `weight 1 -> 3`.
    pub what: Vec<String>,
    /// The step that brings the change into effect.
    pub effect: Effect,
}

/// Kinds of things that can differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The table `[proxy]`.
    Proxy,
    /// The table `[admin]`.
    Admin,
    /// The table `[config]`.
    Config,
    /// The table `[log]`.
    Log,
    /// The table `[access_log]`.
    AccessLog,
    /// The table `[tracing]`.
    Tracing,
    /// The table `[metrics]`.
    Metrics,
    /// The table `[geo]`.
    Geo,
    /// A listener.
    Listener,
    /// A route.
    Route,
    /// A pool, apart from its endpoints.
    Pool,
    /// An endpoint of a pool.
    Endpoint,
    /// A rollout.
    Rollout,
    /// A test.
    Test,
}

/// The step that brings a change into effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// A reload, as for any edit.
    Reload,
    /// A restart of the process; until then the old value holds.
    Restart,
}

impl Diff {
    /// Compares two configurations.
    pub fn between(old: &Config, new: &Config) -> Self {
        let mut diff = Self::default();
        let (old, new) = (Side::of(old), Side::of(new));
        for (kind, key) in SINGLE {
            let what = old.part(&[key]).differences(&new.part(&[key]));
            diff.note(kind, "", what);
        }
        for (kind, key) in NAMED {
            diff.compare_named(kind, &old.named(key), &new.named(key));
        }
        diff.compare_named(Kind::Endpoint, &old.endpoints(), &new.endpoints());
        diff
    }

    /// Tells whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }

    /// Tells whether part of it takes effect only after a restart.
    pub fn needs_restart(&self) -> bool {
        self.changed
            .iter()
            .any(|change| change.effect == Effect::Restart)
    }

    fn compare_named(
        &mut self,
        kind: Kind,
        old: &BTreeMap<String, Part<'_>>,
        new: &BTreeMap<String, Part<'_>>,
    ) {
        let item = |(_, part): (&String, &Part<'_>)| Item {
            kind,
            name: part.name.clone(),
        };
        let added = new.iter().filter(|(name, _)| !old.contains_key(*name));
        self.added.extend(added.map(item));
        let removed = old.iter().filter(|(name, _)| !new.contains_key(*name));
        self.removed.extend(removed.map(item));
        for (name, part) in old {
            if let Some(other) = new.get(name) {
                self.note(kind, &other.name, part.differences(other));
            }
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
        Kind::Config => "[config]",
        Kind::Log => "[log]",
        Kind::AccessLog => "[access_log]",
        Kind::Tracing => "[tracing]",
        Kind::Metrics => "[metrics]",
        Kind::Geo => "[geo]",
        Kind::Listener => "listener",
        Kind::Route => "route",
        Kind::Pool => "pool",
        Kind::Endpoint => "endpoint",
        Kind::Rollout => "rollout",
        Kind::Test => "test",
    };
    if name.is_empty() {
        word.to_owned()
    } else {
        format!("{word} {name}")
    }
}

/// Returns true if a running process cannot apply the setting.
fn needs_restart(kind: Kind, line: &str) -> bool {
    match kind {
        Kind::Proxy => line.starts_with("workers "),
        // A running proxy takes up what it logs in with, and nothing else.
        Kind::Config => !CREDENTIALS.iter().any(|key| line.starts_with(key)),
        // Without the table, it is closed.
        Kind::Admin if line.ends_with(" -> not set") => false,
        Kind::Admin => line.starts_with("address ") || line.starts_with("mode "),
        Kind::Listener => line.starts_with("ipv6_only "),
        Kind::Log => line.starts_with("format "),
        Kind::AccessLog
        | Kind::Tracing
        | Kind::Metrics
        | Kind::Geo
        | Kind::Route
        | Kind::Pool
        | Kind::Endpoint
        | Kind::Rollout
        | Kind::Test => false,
    }
}

/// Keys of `[config]` that a store is asked with.
const CREDENTIALS: [&str; 3] = [
    "source.consul.token ",
    "source.etcd.user ",
    "source.etcd.password ",
];
/// Tables that exist once.
const SINGLE: [(Kind, &str); 8] = [
    (Kind::Proxy, "proxy"),
    (Kind::Admin, "admin"),
    (Kind::Config, "config"),
    (Kind::Log, "log"),
    (Kind::AccessLog, "access_log"),
    (Kind::Tracing, "tracing"),
    (Kind::Metrics, "metrics"),
    (Kind::Geo, "geo"),
];

/// Tables with named entries.
const NAMED: [(Kind, &str); 5] = [
    (Kind::Listener, "listeners"),
    (Kind::Route, "routes"),
    (Kind::Pool, "pools"),
    (Kind::Rollout, "rollouts"),
    (Kind::Test, "tests"),
];

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
    fn every_table_that_prints_is_compared() {
        let text = "[routes.r]\nrespond = {}\n[admin]\n[access_log]\n";
        let printed = serde_json::to_value(config(text)).unwrap();
        for table in printed.as_object().unwrap().keys() {
            let known = SINGLE.iter().chain(&NAMED).any(|(_, key)| key == table);
            assert!(known, "{table} is compared nowhere");
        }
    }

    #[test]
    fn another_source_of_endpoints_is_told_in_words() {
        let told = diff(
            &format!("{POOL}discover = {{ file = {{ path = \"/list.json\" }} }}"),
            &format!("{POOL}discover = {{ consul = {{ service = \"orders\", tags = [\"a\"] }} }}"),
        );
        assert_eq!(
            told,
            "~ pool a: source file (path /list.json) -> consul (service orders)"
        );
        let told = diff(
            &format!("{POOL}endpoints = [\"1.1.1.1:1\"]"),
            &format!(
                "{POOL}endpoints = [\"1.1.1.1:1\"]\n\
                 discover = {{ dns = {{ name = \"a.example\", port = 80 }} }}"
            ),
        );
        assert!(
            told.contains("source none -> dns (name a.example)"),
            "{told}"
        );
        let told = diff(
            &format!("{POOL}discover = {{ consul = {{ service = \"a\" }} }}"),
            &format!("{POOL}discover = {{ consul = {{ service = \"b\" }} }}"),
        );
        assert_eq!(told, "~ pool a: discover.consul.service a -> b");
    }

    #[test]
    fn an_edit_of_a_rollout_is_told() {
        let text = |share: &str| {
            format!(
                "[routes.r]\nrollout = \"x\"\n[pools.a]\nendpoints = [\"1.1.1.1:1\"]\n\
                 [rollouts.x]\npool = \"a\"\nbaseline = \"^1\"\ncandidate = \"^2\"\n\
                 steps = [{{ share = \"{share}\", hold = \"1m\" }}]\n"
            )
        };
        let told = diff(&text("10%"), &text("5%"));
        assert!(told.starts_with("~ rollout x: steps"), "{told}");
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
