//! `[defaults]`: keys that every route, pool and listener has unless it writes them itself.
//!
//! They are put into the tree before it is read, so that the rest of the configuration knows
//! nothing of them. Tables merge key by key, lists and values replace; of keys that exclude each
//! other, such as `pool` and `redirect`, those of the named table win. The positions stay those in
//! `[defaults]`, so a fault there is found once and not once for each route.

use std::collections::HashSet;

use toml::de::{DeTable, DeValue};

use super::{
    diagnostic::Fault,
    policy,
    schema::{Listener, Pool, Route},
    setting::{Form, KeyDoc, Node, Span, Table, is_elsewhere},
};

/// Positions of all that stands in `[defaults]` and `[policies]`.
#[derive(Debug, Default)]
pub(super) struct Defaulted(HashSet<(usize, usize)>);

/// Gives each route, pool and listener the keys that it does not write itself.
pub(super) fn apply(tree: &mut DeTable<'_>, defaulted: &mut Defaulted) -> Vec<Fault> {
    let mut faults = Vec::new();
    let Some(defaults) = tree.get("defaults").cloned() else {
        return faults;
    };
    let Some(defaults) = defaults.get_ref().as_table() else {
        return faults;
    };
    let kinds = [
        ("routes", Route::keys()),
        ("pools", Pool::keys()),
        ("listeners", Listener::keys()),
    ];
    for (kind, keys) in kinds {
        let Some(values) = defaults.get(kind).and_then(|it| it.get_ref().as_table()) else {
            continue;
        };
        defaulted.note(values);
        let named = tree.get_mut(kind).map(toml::Spanned::get_mut);
        let Some(DeValue::Table(named)) = named else {
            continue;
        };
        for (name, table) in named.iter_mut() {
            let DeValue::Table(table) = table.get_mut() else {
                continue;
            };
            if kind == "routes" {
                let source = "[defaults.routes]";
                faults.extend(policy::check_access(name.get_ref(), table, values, source));
            }
            merge(table, values, &keys);
        }
    }
    faults
}

impl Defaulted {
    /// Keeps the first of several faults about the same default: every table that has the default
    /// finds it anew.
    pub(super) fn tell_once(&self, faults: &mut Vec<Fault>) {
        let mut told = HashSet::new();
        faults.retain(|fault| {
            let span = fault.span.map(|span| (span.start, span.end));
            span.is_none_or(|span| !self.0.contains(&span) || told.insert(span))
        });
    }

    /// Notes all that stands in a table.
    pub(super) fn note(&mut self, values: &DeTable<'_>) {
        for (key, value) in values {
            let (key, value_span): (Span, Span) = (key.span().into(), value.span().into());
            self.0.insert((key.start, key.end));
            self.0.insert((value_span.start, value_span.end));
            self.note_value(value.get_ref());
        }
    }

    fn note_value(&mut self, value: &DeValue<'_>) {
        match value {
            DeValue::Table(table) => self.note(table),
            DeValue::Array(items) => {
                for item in items.iter() {
                    let span: Span = item.span().into();
                    self.0.insert((span.start, span.end));
                    self.note_value(item.get_ref());
                }
            }
            _ => {}
        }
    }
}

/// Adds the defaults that `table` has no key for; returns true if there were any. `keys` are those that it may have; none for a
/// table whose keys the user chooses.
pub(super) fn merge<'i>(table: &mut DeTable<'i>, defaults: &DeTable<'i>, keys: &[KeyDoc]) -> bool {
    let mut added = false;
    let doc_of = |name: &str| keys.iter().find(|key| key.name == name);
    let chosen: HashSet<u8> = table
        .keys()
        .filter_map(|name| doc_of(name.get_ref())?.group)
        .collect();
    for (name, default) in defaults {
        let doc = doc_of(name.get_ref());
        let Some(written) = table.get_mut(&**name.get_ref()) else {
            let is_excluded = doc
                .and_then(|doc| doc.group)
                .is_some_and(|group| chosen.contains(&group));
            if !is_excluded {
                table.insert(name.clone(), default.clone());
                added = true;
            }
            continue;
        };
        let Some(inner) = doc.and_then(|doc| table_of(&doc.form)) else {
            continue;
        };
        if is_elsewhere(&Node::item(written)) || is_elsewhere(&Node::item(default)) {
            continue;
        }
        if let (DeValue::Table(written), DeValue::Table(default)) =
            (written.get_mut(), default.get_ref())
        {
            added |= merge(written, default, &inner);
        }
    }
    added
}

/// The keys of a setting that may be written as a table; empty if the user chooses them.
pub(super) fn table_of(form: &Form) -> Option<Vec<KeyDoc>> {
    match form {
        Form::Table(keys) | Form::Part(keys) => Some(keys()),
        Form::Map(_) => Some(Vec::new()),
        Form::Either(forms) => forms.iter().find_map(table_of),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use crate::config::{check::Rules, load::parse};

    const REST: &str = r#"
        [listeners.web]
        address = "127.0.0.1:0"
        [listeners.other]
        address = "127.0.0.1:1"
        limits = { streams = 7 }
        [routes.plain]
        [routes.own]
        path = "/own"
        timeouts = { attempt = "1s" }
        retry = false
        secure_headers = false
        methods = ["PUT"]
        headers_response = { set = { x-b = "own", x-c = "own" } }
        respond = { status = 204 }
        [pools.app]
        endpoints = ["127.0.0.1:9001"]
        [pools.tcp]
        endpoints = ["127.0.0.1:9002"]
        health = { tcp = {}, fall = 9 }
        picker = { ring_hash = { key = "header:x" } }
        "#;

    fn effective(defaults: &str) -> Value {
        let text = format!("{defaults}{REST}");
        let loaded = parse(text, Path::new("proxy.toml"), &Rules::default());
        let loaded = loaded.unwrap_or_else(|faults| panic!("{faults}"));
        serde_json::to_value(&loaded.config).unwrap()
    }

    const DEFAULTS: &str = r#"
        [defaults.routes]
        pool = "app"
        timeouts = { total = "60s", attempt = "5s" }
        retry = { attempts = 3 }
        secure_headers = true
        methods = ["GET", "POST"]
        path_prefix = "/"
        headers_response = { set = { x-a = "all", x-b = "all" } }
        [defaults.pools]
        health = { http = { path = "/up" }, interval = "9s" }
        picker = { maglev = { key = "client_ip" } }
        [defaults.listeners]
        limits = { connections = 9, streams = 8 }
    "#;

    #[test]
    fn what_a_table_does_not_write_comes_from_the_defaults() {
        let config = effective(DEFAULTS);
        let plain = &config["routes"]["plain"];
        assert_eq!(plain["pool"], "app");
        assert_eq!(plain["timeouts"]["total"], "1m");
        assert_eq!(plain["retry"]["attempts"], 3);
        assert_eq!(plain["methods"], json!(["GET", "POST"]));
        assert_eq!(plain["path_prefix"], "/");
        let web = &config["listeners"]["web"]["limits"];
        assert_eq!(
            (&web["connections"], &web["streams"]),
            (&json!(9), &json!(8))
        );
        let app = &config["pools"]["app"];
        assert_eq!(app["health"]["http"]["path"], "/up");
        assert_eq!(app["health"]["interval"], "9s");
        assert_eq!(
            app["picker"],
            json!({ "maglev": { "key": "client_ip", "load_max": 1.25 } })
        );
    }

    #[test]
    fn tables_merge_lists_replace_and_false_turns_off() {
        let config = effective(DEFAULTS);
        let own = &config["routes"]["own"];
        assert_eq!(own["timeouts"]["total"], "1m");
        assert_eq!(own["timeouts"]["attempt"], "1s");
        assert_eq!(own["retry"], false);
        assert_eq!(own["secure_headers"], false);
        assert_eq!(own["methods"], json!(["PUT"]));
        let set = &own["headers_response"]["set"];
        assert_eq!(*set, json!({ "x-a": "all", "x-b": "own", "x-c": "own" }));
        let other = &config["listeners"]["other"]["limits"];
        assert_eq!(
            (&other["connections"], &other["streams"]),
            (&json!(9), &json!(7))
        );
    }

    #[test]
    fn of_keys_that_exclude_each_other_the_own_one_wins() {
        let config = effective(DEFAULTS);
        let own = &config["routes"]["own"];
        assert_eq!((own.get("pool"), own.get("path_prefix")), (None, None));
        assert_eq!(own["respond"]["status"], 204);
        assert_eq!(own["path"], "/own");
        let tcp = &config["pools"]["tcp"];
        assert_eq!(tcp["health"].get("http"), None);
        assert_eq!(
            (&tcp["health"]["fall"], &tcp["health"]["interval"]),
            (&json!(9), &json!("9s"))
        );
        assert_eq!(tcp["picker"]["ring_hash"]["key"], "header:x");
        assert_eq!(tcp["picker"].get("maglev"), None);
    }

    #[test]
    fn the_effective_configuration_reads_back_the_same_without_the_defaults() {
        let config = effective(DEFAULTS);
        assert_eq!(config["defaults"], json!({}));
        let text = toml::to_string(&config).unwrap();
        let again = parse(text, Path::new("proxy.toml"), &Rules::default()).unwrap();
        assert_eq!(serde_json::to_value(&again.config).unwrap(), config);
    }

    #[test]
    fn a_fault_in_the_defaults_is_told_once_at_its_place() {
        let text = format!(
            "{}{REST}",
            r#"
            [defaults.routes]
            pool = "cart"
            timeouts = { total = "soon" }
            colour = "red"
            "#
        );
        let faults = parse(text, Path::new("proxy.toml"), &Rules::default()).unwrap_err();
        let shown = faults.to_string();
        assert_eq!(
            shown.matches("\"cart\", which is not defined").count(),
            1,
            "{shown}"
        );
        assert_eq!(shown.matches("\"soon\"").count(), 1 + 1, "{shown}");
        assert_eq!(
            shown.matches("unknown key \"colour\"").count(),
            1,
            "{shown}"
        );
        assert!(shown.contains("defaults.routes.timeouts.total"), "{shown}");
    }
}
