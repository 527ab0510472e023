//! Tables that people write: each has a row for every word of the code, and no other.

use std::process::Command;

use sluicegate::config::schema::AccessField;
use sluicegate::config::value::{Placeholder, template::Fill};
use sluicegate::telemetry::access_log::FIELD_NAMES;
use sluicegate::upstream::health::EndpointState;

use super::read;

#[test]
fn every_placeholder_has_its_row() {
    let names = Placeholder::from_name("").unwrap_err();
    let names: Vec<String> = names.iter().map(|name| format!("{{{name}}}")).collect();
    same("docs/configuration/README.md", "## Placeholders", &names);
}

#[test]
fn every_field_of_the_access_log_has_its_row() {
    assert_eq!(AccessField::NAMES, FIELD_NAMES);
    let names: Vec<String> = FIELD_NAMES.map(str::to_owned).to_vec();
    same("docs/configuration/access_log.md", "## Fields", &names);
}

#[test]
fn every_state_of_an_endpoint_has_its_row() {
    use EndpointState::*;
    // Fails to compile when a state is missing: add it to the list, too.
    let known = |state: EndpointState| match state {
        Healthy | Pending | Unhealthy | Ejected | Probation | Draining | EjectedByOperator => {
            state.word().to_owned()
        }
    };
    let all = [
        Healthy,
        Pending,
        Unhealthy,
        Ejected,
        Probation,
        Draining,
        EjectedByOperator,
    ];
    same(
        "docs/health.md",
        "## States of an endpoint",
        &all.map(known),
    );
}

#[test]
fn every_command_has_its_row() {
    let asked = Command::new(env!("CARGO_BIN_EXE_sluicegate"))
        .arg("--help")
        .output();
    let help = String::from_utf8(asked.unwrap().stdout).unwrap();
    let (_, rest) = help.split_once("Commands:\n").unwrap();
    let (commands, _) = rest.split_once("\n\n").unwrap();
    let names = commands.lines().filter_map(|line| {
        // A longer explanation goes on in lines that are further in.
        let name = line.strip_prefix("  ")?.split(' ').next()?;
        (!name.is_empty() && name != "help").then(|| name.to_owned())
    });
    let names: Vec<String> = names.collect();
    assert!(names.len() > 10, "{help}");
    same("docs/operations/command-line.md", "## Commands", &names);
}

#[test]
fn every_area_has_its_line_in_the_map() {
    let page = read("docs/architecture.md");
    let folder = std::fs::read_dir(super::root().join("src")).unwrap();
    for entry in folder {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(page.contains(&format!("src/{name}")), "src/{name}");
    }
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let mut known = Vec::new();
    // Those of one kind of processor stand under it.
    let targets = manifest["target"].as_table().unwrap().values();
    let targets = targets.map(|target| &target["dependencies"]);
    let everywhere = ["dependencies", "dev-dependencies"].map(|section| &manifest[section]);
    for section in everywhere.into_iter().chain(targets) {
        known.extend(section.as_table().unwrap().keys().cloned());
    }
    same("docs/dependencies.md", "# Dependencies", &known);
}

/// Compares the first column of the table below a heading with what it should have.
/// A cell may have several words in back quotes; of each the first part counts.
fn same(page: &str, heading: &str, expected: &[String]) {
    let text = read(page);
    let heading = format!("{heading}\n");
    let (_, below) = text
        .split_once(&heading)
        .unwrap_or_else(|| panic!("{page} has no {heading:?}"));
    let rows = below.lines().skip_while(|line| !line.starts_with('|'));
    let rows = rows.take_while(|line| line.starts_with('|')).skip(2);
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    let words = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let mut found: Vec<&str> = words.filter_map(|word| word.split(' ').next()).collect();
    let mut expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    for list in [&mut found, &mut expected] {
        list.sort_unstable();
        list.dedup();
    }
    assert!(found.len() > 3, "{page}: no table below {heading:?}");
    assert_eq!(found, expected, "{page}");
}
