//! Parts of two configurations side by side, key by key.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::source;
use crate::config::schema::Config;
use crate::config::setting::{Hidden, Setting as _};
use crate::config::value::secret::MASK;

/// One of the two configurations.
pub(super) struct Side<'c> {
    /// Printed in the clear, except for secrets.
    printed: Value,
    /// Printed with hidden values masked; none if nothing is hidden.
    shown: Option<Value>,
    hidden: Option<&'c Hidden>,
}

/// A part of one configuration.
pub(super) struct Part<'s> {
    side: &'s Side<'s>,
    place: Vec<String>,
    /// Its place within its kind, with hidden values masked.
    pub(super) name: String,
}

impl<'c> Side<'c> {
    pub(super) fn of(config: &'c Config) -> Self {
        let hidden = config.spans.hidden().filter(|hidden| !hidden.is_empty());
        let printed = config.print();
        Self {
            shown: hidden.map(|hidden| hidden.mask(printed.clone())),
            printed,
            hidden,
        }
    }

    pub(super) fn part(&self, place: &[&str]) -> Part<'_> {
        Part {
            side: self,
            place: place.iter().map(ToString::to_string).collect(),
            name: String::new(),
        }
    }

    pub(super) fn named(&self, kind: &str) -> BTreeMap<String, Part<'_>> {
        let all = self.printed.get(kind).and_then(Value::as_object);
        let names = all.into_iter().flat_map(|all| all.keys());
        let part = |name: &String| Part {
            name: name.clone(),
            ..self.part(&[kind, name])
        };
        names.map(|name| (name.clone(), part(name))).collect()
    }

    /// Endpoints by pool and address.
    pub(super) fn endpoints(&self) -> BTreeMap<String, Part<'_>> {
        let mut parts = BTreeMap::new();
        let pools = self.printed.get("pools").and_then(Value::as_object);
        for (pool, printed) in pools.into_iter().flatten() {
            let endpoints = printed.get("endpoints").and_then(Value::as_array);
            for (index, endpoint) in endpoints.into_iter().flatten().enumerate() {
                let index = index.to_string();
                let mut part = self.part(&["pools", pool, "endpoints", &index]);
                let address = endpoint.get("address").and_then(Value::as_str);
                let shown = part.keys(part.shown()).remove("address");
                part.name = format!("{pool}/{}", shown.as_deref().unwrap_or(MASK));
                parts.insert(format!("{pool}/{}", address.unwrap_or_default()), part);
            }
        }
        parts
    }
}

impl<'s> Part<'s> {
    /// Each key that differs, with its old and new value.
    pub(super) fn differences(&self, new: &Part<'_>) -> Vec<String> {
        let old = self;
        let (old_keys, new_keys) = (old.keys(old.printed()), new.keys(new.printed()));
        let mut keys: BTreeSet<&String> = old_keys.keys().chain(new_keys.keys()).collect();
        keys.retain(|key| {
            old_keys.get(*key) != new_keys.get(*key) || old.hidden_at(key) != new.hidden_at(key)
        });
        if keys.is_empty() {
            return Vec::new();
        }
        let (old_shown, new_shown) = (old.keys(old.shown()), new.keys(new.shown()));
        let moved = old.is_pool().then(|| source::moved(&old_shown, &new_shown));
        let moved = moved.flatten();
        if moved.is_some() {
            keys.retain(|key| source::kind_of(key).is_none());
        }
        let text =
            |keys: &BTreeMap<String, String>, shown: &BTreeMap<String, String>, key: &str| {
                let shown = shown.get(key).map_or(MASK, String::as_str);
                let written = keys.contains_key(key);
                if written { shown } else { "not set" }.to_owned()
            };
        let changed = keys.iter().map(|key| {
            let before = text(&old_keys, &old_shown, key);
            let after = text(&new_keys, &new_shown, key);
            if before == after {
                format!("{key} changed")
            } else {
                format!("{key} {before} -> {after}")
            }
        });
        moved.into_iter().chain(changed).collect()
    }

    fn printed(&self) -> &'s Value {
        at(&self.side.printed, &self.place)
    }

    fn shown(&self) -> &'s Value {
        let shown = self.side.shown.as_ref();
        shown.map_or_else(|| self.printed(), |shown| at(shown, &self.place))
    }

    fn keys(&self, value: &Value) -> BTreeMap<String, String> {
        let mut keys = BTreeMap::new();
        flatten("", value, &mut keys);
        if self.is_pool() {
            // Endpoints are compared one by one.
            keys.remove("endpoints");
        }
        keys
    }

    fn is_pool(&self) -> bool {
        self.place.len() == 2 && self.place[0] == "pools"
    }

    /// Returns the hidden texts at a key.
    fn hidden_at(&self, key: &str) -> Vec<&'s str> {
        let Some(hidden) = self.side.hidden else {
            return Vec::new();
        };
        let own = self.place.iter().map(String::as_str);
        let place: Vec<&str> = own.chain(key.split('.')).collect();
        hidden.at(&place)
    }
}

fn at<'v>(value: &'v Value, place: &[String]) -> &'v Value {
    place.iter().fold(value, |value, step| {
        let inner = match value {
            Value::Array(items) => step.parse().ok().and_then(|at: usize| items.get(at)),
            other => other.get(step),
        };
        inner.unwrap_or(&Value::Null)
    })
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
