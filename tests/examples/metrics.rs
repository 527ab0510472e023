//! The table of metrics, from their descriptors.

use std::fmt::Write as _;

use super::generated::compare;
use super::read;

#[test]
fn the_table_of_metrics_is_what_is_exposed() {
    let files = [
        "names.rs",
        "endpoint_names.rs",
        "process_names.rs",
        "rollout_names.rs",
    ];
    let source: String = files
        .iter()
        .map(|file| read(&format!("src/telemetry/metrics/{file}")))
        .collect();
    let mut table = "| name | kind | labels | meaning |\n|---|---|---|---|\n".to_owned();
    let mut count = 0;
    for item in source.split("pub static ").skip(1) {
        let (declared, rest) = item.split_once("Desc::new(").unwrap();
        let kind = declared.rsplit('=').next().unwrap().trim().to_lowercase();
        let (arguments, _) = rest.split_once(");").unwrap();
        let (texts, _) = arguments.rsplit_once(']').unwrap();
        let (texts, labels) = texts.rsplit_once('[').unwrap();
        let mut texts = quoted(texts);
        let (name, help) = (texts.next().unwrap(), texts.next().unwrap());
        assert_eq!(texts.next(), None, "{name}");
        let labels: Vec<String> = quoted(labels).map(|label| format!("`{label}`")).collect();
        let labels = if labels.is_empty() {
            "-".to_owned()
        } else {
            labels.join(", ")
        };
        let _ = writeln!(table, "| `{name}` | {kind} | {labels} | {help} |");
        count += 1;
    }
    assert!(count > 20, "{count}");
    compare("docs/operations/metrics.md", "metrics", &table);
}

/// Returns the texts between quotation marks; there are no escaped ones in that file.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2)
}
