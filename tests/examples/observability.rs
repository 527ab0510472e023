//! Prometheus, alerts and dashboard of the examples: every name in them is one that the proxy has.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

use serde_json::Value;

use super::{read, root};

/// Label names of every family, by the names of its series.
fn families() -> BTreeMap<String, BTreeSet<String>> {
    let mut families = BTreeMap::new();
    for file in [
        "names.rs",
        "endpoint_names.rs",
        "process_names.rs",
        "rollout_names.rs",
    ] {
        let source = read(&format!("src/telemetry/metrics/{file}"));
        for item in source.split("pub static ").skip(1) {
            let (declared, rest) = item.split_once("Desc::new(").unwrap();
            let (arguments, _) = rest.split_once(");").unwrap();
            let (texts, labels) = arguments.rsplit_once('[').unwrap();
            let name = texts.split('"').nth(1).unwrap();
            let labels = labels.split('"').skip(1).step_by(2);
            let mut labels: BTreeSet<String> = labels.map(str::to_owned).collect();
            if declared.contains("Histogram") {
                labels.insert("le".to_owned());
                for suffix in ["_bucket", "_sum", "_count"] {
                    families.insert(format!("{name}{suffix}"), labels.clone());
                }
            } else {
                families.insert(name.to_owned(), labels);
            }
        }
    }
    let process = read("src/telemetry/metrics/process.rs");
    for part in process.split("\"process_").skip(1) {
        let name = part.split('"').next().unwrap();
        families.insert(format!("process_{name}"), BTreeSet::new());
    }
    // Made by Prometheus for each target.
    families.insert("up".to_owned(), BTreeSet::new());
    families
}

/// Fails unless every metric of a query exists, with the labels that it selects by.
fn check(query: &str, families: &BTreeMap<String, BTreeSet<String>>) {
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let mut found = 0;
    for (at, _) in query.match_indices(|it: char| it.is_ascii_alphabetic()) {
        if query[..at].ends_with(is_name) {
            continue;
        }
        let word = query[at..].split(|it| !is_name(it)).next().unwrap();
        let is_metric = ["sluicegate_", "process_"]
            .iter()
            .any(|start| word.starts_with(start));
        if !is_metric {
            continue;
        }
        found += 1;
        let labels = families
            .get(word)
            .unwrap_or_else(|| panic!("{word} in {query}"));
        let Some(selector) = query[at + word.len()..].strip_prefix('{') else {
            continue;
        };
        let selector = selector.split('}').next().unwrap();
        for part in selector.split("\",") {
            let label = part.split(['=', '!', '~']).next().unwrap().trim();
            let given = ["instance", "job"].contains(&label);
            assert!(
                given || labels.contains(label),
                "{label} of {word} in {query}"
            );
        }
    }
    assert!(found > 0 || query.contains("up{"), "{query}");
}

/// Queries of the dashboard.
fn dashboard() -> Vec<String> {
    let dashboard: Value =
        serde_json::from_str(&read("examples/observability/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let queries = targets.map(|target| target["expr"].as_str().unwrap().to_owned());
    let marks = dashboard["annotations"]["list"].as_array().unwrap().iter();
    let marks = marks.map(|mark| mark["expr"].as_str().unwrap().to_owned());
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
    let variables = variables.filter_map(|it| {
        let query = it["definition"].as_str()?.strip_prefix("label_values(")?;
        let (metric, label) = query.strip_suffix(')')?.split_once(", ")?;
        Some(format!("{metric}{{{label}=\"\"}}"))
    });
    let queries: Vec<_> = queries.chain(marks).chain(variables).collect();
    assert!(queries.len() > 40);
    queries
}

#[test]
fn every_query_of_the_dashboard_and_the_alerts_is_about_metrics_that_exist() {
    let families = families();
    for query in dashboard() {
        check(&query, &families);
    }
    let alerts = read("examples/observability/alerts.yml");
    let rules = alerts.split("- alert: ").skip(1);
    let expressions = rules.map(|rule| {
        let (_, rest) = rule.split_once("expr: ").unwrap();
        let lines = rest.lines().take_while(|line| {
            let line = line.trim();
            !line.starts_with("for:") && !line.starts_with("labels:")
        });
        lines.collect::<Vec<_>>().join("\n")
    });
    let mut count = 0;
    for expression in expressions {
        check(&expression, &families);
        count += 1;
    }
    assert!(count > 10, "{count}");
    let table = read("docs/operations/README.md");
    let (_, table) = table.split_once("## What to alert on").unwrap();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        check(row.split('`').nth(1).unwrap(), &families);
    }
}

#[test]
fn promtool_takes_the_configuration_the_alerts_and_their_tests_and_the_dashboard() {
    let folder = tempfile::tempdir().unwrap();
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    for (number, query) in dashboard().iter().enumerate() {
        let query = query.replace("$__rate_interval", "1m");
        let expression = serde_json::to_string(&query).unwrap();
        rules += &format!("      - record: panel:{number}\n        expr: {expression}\n");
    }
    let file = folder.path().join("dashboard.yml");
    fs::write(&file, rules).unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new("promtool")
            .args(arguments)
            .current_dir(root().join("examples/observability"))
            .output();
        // Part of the Debian package `prometheus`, which `tests/run` installs.
        let Ok(output) = output else { return };
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    };
    run(&["check", "config", "prometheus.yml"]);
    run(&["test", "rules", "alerts_test.yml"]);
    run(&["check", "rules", file.to_str().unwrap()]);
}
