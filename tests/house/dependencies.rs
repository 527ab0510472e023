//! Crates built into the proxy and its tests comply with `deny.toml`.

use std::{collections::BTreeMap, fs, process::Command};

use toml::Value;

use crate::{licence, root};

/// A package that is built for the machines of `deny.toml`.
struct Package {
    name: String,
    version: String,
    licence: String,
}

#[test]
fn every_licence_is_one_that_was_agreed_to() {
    let deny = deny();
    let allowed = strings(&deny["licenses"]["allow"]);
    for package in built(&deny) {
        let Package { name, licence, .. } = package;
        assert!(licence::is_granted(&licence, &allowed), "{name}: {licence}");
    }
}

#[test]
fn no_package_is_there_that_was_decided_against() {
    let deny = deny();
    let banned = table_list(&deny["bans"]["deny"]);
    for package in built(&deny) {
        let found = banned
            .iter()
            .find(|ban| ban["crate"].as_str() == Some(&package.name));
        assert!(found.is_none(), "{found:?}");
    }
}

#[test]
fn there_is_one_version_of_each_package_but_of_named_ones() {
    let deny = deny();
    let mut skipped: Vec<&str> = table_list(&deny["bans"]["skip"])
        .iter()
        .map(|skip| skip["crate"].as_str().unwrap())
        .collect();
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in built(&deny) {
        let is_skipped = skipped.iter().position(|skip| {
            let (name, version) = skip.split_once('@').unwrap();
            let of_it = package.version.strip_prefix(version);
            name == package.name && of_it.is_some_and(|rest| rest.starts_with('.'))
        });
        match is_skipped {
            Some(at) => drop(skipped.remove(at)),
            None => versions
                .entry(package.name)
                .or_default()
                .push(package.version),
        }
    }
    versions.retain(|_, versions| versions.len() > 1);
    assert!(versions.is_empty(), "{versions:?}");
    assert!(skipped.is_empty(), "no longer needed: {skipped:?}");
}

#[test]
fn packages_come_from_the_registry_alone() {
    let deny = deny();
    let allowed = strings(&deny["sources"]["allow-registry"]);
    let lock: Value = read("Cargo.lock");
    for package in table_list(&lock["package"]) {
        // Without a source it is this package.
        let Some(source) = package.get("source").and_then(Value::as_str) else {
            assert_eq!(package["name"].as_str(), Some(env!("CARGO_PKG_NAME")));
            continue;
        };
        let registry = source.strip_prefix("registry+").unwrap_or(source);
        assert!(allowed.contains(&registry), "{package}");
    }
}

#[test]
fn every_dependency_names_a_version() {
    let manifest: Value = read("Cargo.toml");
    for section in ["dependencies", "dev-dependencies"] {
        for (name, wanted) in manifest[section].as_table().unwrap() {
            let version = wanted.as_str().or_else(|| wanted.get("version")?.as_str());
            assert!(version.is_some_and(|version| version != "*"), "{name}");
        }
    }
}

/// Returns the crates that cargo would build, tests and build scripts included.
fn built(deny: &Value) -> Vec<Package> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root());
    cargo.args([
        "tree",
        "--locked",
        "--offline",
        "--edges",
        "normal,build,dev",
    ]);
    cargo.args(["--prefix", "none", "--no-dedupe", "--format", "{p}|{l}"]);
    for target in strings(&deny["graph"]["targets"]) {
        cargo.args(["--target", target]);
    }
    let output = cargo.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut lines: Vec<&str> = said.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    assert!(lines.len() > 50, "{said}");
    lines.into_iter().map(package).collect()
}

/// Reads `serde_derive v1.0.2 (proc-macro)|MIT OR Apache-2.0`.
fn package(line: &str) -> Package {
    let (package, licence) = line.split_once('|').unwrap();
    let mut words = package.split(' ');
    Package {
        name: words.next().unwrap().to_owned(),
        version: words.next().unwrap().trim_start_matches('v').to_owned(),
        licence: licence.to_owned(),
    }
}

fn deny() -> Value {
    read("deny.toml")
}

fn read(path: &str) -> Value {
    let text = fs::read_to_string(root().join(path)).unwrap();
    Value::Table(text.parse().unwrap())
}

fn strings(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap().iter();
    list.map(|value| value.as_str().unwrap()).collect()
}

fn table_list(list: &Value) -> &[Value] {
    list.as_array().unwrap()
}
