//! Common parts of the tests of all dialects.

use std::{fs, path::Path};

use super::{Dialect, import};
use crate::config::{self, Rules};

/// Imports a text that is written to this file; the result must be good.
pub(super) fn imported(dialect: Dialect, path: &Path, text: &str) -> String {
    fs::write(path, text).unwrap();
    let imported = import(dialect, path).unwrap();
    let count = imported.text.matches("# NOT TRANSLATED").count();
    assert_eq!(count, imported.untranslated, "{}", imported.text);
    let result = path.with_file_name("proxy.toml");
    if let Err(faults) = config::parse(imported.text.clone(), &result, &Rules::default()) {
        panic!("{faults}\n{}", imported.text);
    }
    imported.text
}

/// Writes a certificate and its key, `shop.pem` with both and `shop.key`.
pub(super) fn write_certificate(folder: &Path) {
    let made = rcgen::generate_simple_self_signed(["shop.example".to_owned()]).unwrap();
    let key = made.signing_key.serialize_pem();
    fs::write(folder.join("shop.pem"), made.cert.pem() + &key).unwrap();
    fs::write(folder.join("shop.key"), key).unwrap();
}

/// Asserts that each of these lines is there, in this order.
pub(super) fn has(text: &str, lines: &[&str]) {
    let mut rest = text;
    for line in lines {
        let Some(at) = rest.find(line) else {
            panic!("{line:?} is missing in\n{text}");
        };
        rest = &rest[at + line.len()..];
    }
}

/// Returns the names of the routes that let anybody in to an endpoint.
pub(super) fn open_routes(text: &str) -> Vec<String> {
    let tables: toml::Table = toml::from_str(text).unwrap();
    let of = |name: &str| tables.get(name).and_then(toml::Value::as_table);
    let defaults = of("defaults").and_then(|it| it.get("routes")?.as_table());
    let routes = || of("routes").into_iter().flatten();
    let rank = |it: &toml::Table| it.get("priority").map_or(0, |it| it.as_integer().unwrap());
    // A refusal of all requests goes before what has a lower rank.
    let is_of_all = |it: &&toml::Table| {
        it.contains_key("respond")
            && it
                .keys()
                .all(|it| matches!(&**it, "respond" | "priority" | "access"))
    };
    let all = routes().filter_map(|(_, it)| it.as_table());
    let first = all.filter(is_of_all).map(rank).max().unwrap_or(0);
    let is_open = |route: &toml::Table| {
        let value = |key: &str| route.get(key).or_else(|| defaults?.get(key));
        let access = |key: &str| {
            let list = value("access")?.get(key)?.as_array()?;
            Some(list.iter().filter_map(toml::Value::as_str).collect())
        };
        let allow: Vec<&str> = access("allow").unwrap_or_default();
        let deny: Vec<&str> = access("deny").unwrap_or_default();
        let has_pool =
            ["pool", "split"].iter().any(|it| route.contains_key(*it)) && rank(route) >= first;
        let is_kept = !allow.is_empty() || deny.contains(&"0.0.0.0/0") || value("auth").is_some();
        has_pool && !is_kept
    };
    routes()
        .filter(|(_, route)| is_open(route.as_table().unwrap()))
        .map(|(name, _)| name.clone())
        .collect()
}
