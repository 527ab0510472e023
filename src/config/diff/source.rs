//! Changes of the source of a pool's endpoints, in words.

use std::collections::BTreeMap;

/// Returns the words for a pool whose endpoints come from another kind of source.
pub(super) fn moved(
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
) -> Option<String> {
    let (before, after) = (kind(old), kind(new));
    (before != after).then(|| format!("source {} -> {}", words(old, before), words(new, after)))
}

/// Returns the kind of source that a key is about, if it is about one.
pub(super) fn kind_of(key: &str) -> Option<&str> {
    let kind = key.strip_prefix("discover.")?.split('.').next()?;
    NAMED_BY
        .iter()
        .any(|(known, _)| *known == kind)
        .then_some(kind)
}

fn kind(keys: &BTreeMap<String, String>) -> Option<&str> {
    keys.keys().find_map(|key| kind_of(key))
}

/// Returns the source with the key that names it: `consul (service orders)`.
fn words(keys: &BTreeMap<String, String>, kind: Option<&str>) -> String {
    let Some(kind) = kind else {
        return "none".to_owned();
    };
    let named_by = NAMED_BY.iter().find(|(known, _)| *known == kind);
    let named_by = named_by.map_or("", |(_, key)| key);
    match keys.get(&format!("discover.{kind}.{named_by}")) {
        Some(name) => format!("{kind} ({named_by} {name})"),
        None => kind.to_owned(),
    }
}

/// Kinds of sources, and the key that says which one it is.
const NAMED_BY: [(&str, &str); 8] = [
    ("file", "path"),
    ("http", "url"),
    ("dns", "name"),
    ("consul", "service"),
    ("etcd", "prefix"),
    ("zookeeper", "path"),
    ("eureka", "app"),
    ("kubernetes", "service"),
];
