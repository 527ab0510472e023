//! Tests of the registry through its front door, and of the text against a parser of its own.

mod exposed;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::names::*;
use super::{CounterDesc, Metrics};

#[test]
fn a_scrape_sums_the_cells_of_all_workers() {
    let metrics = Metrics::new(100);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let metrics = metrics.clone();
            std::thread::spawn(move || {
                let worker = metrics.worker();
                let requests = worker.counter(&REQUESTS_TOTAL, ["web", "all", "2xx", ""]);
                for _ in 0..10_000 {
                    requests.inc();
                }
            })
        })
        .collect();
    let shared = metrics.control();
    let requests = shared.counter(&REQUESTS_TOTAL, ["web", "all", "2xx", ""]);
    requests.add(5);
    for thread in threads {
        thread.join().unwrap();
    }
    // The workers are gone and with them their handles, but not what they counted.
    let text = metrics.text();
    let line = r#"sluicegate_requests_total{listener="web",route="all",status_class="2xx",reason=""} 40005"#;
    assert!(text.lines().any(|l| l == line), "{text}");
    assert_eq!(
        metrics.total(&REQUESTS_TOTAL, [None, Some("all"), None, None]),
        40_005
    );
    assert_eq!(
        metrics.total(&REQUESTS_TOTAL, [None, Some("x"), None, None]),
        0
    );
}

#[test]
fn a_dropped_handle_leaves_its_count_behind() {
    let metrics = Metrics::new(100);
    let worker = metrics.worker();
    for _ in 0..1000 {
        let ejections = worker.counter(&EJECTIONS_TOTAL, ["app"]);
        ejections.clone().inc();
    }
    assert_eq!(metrics.total(&EJECTIONS_TOTAL, [Some("app")]), 1000);
}

#[test]
fn what_a_gauge_shows_goes_with_its_handle() {
    let metrics = Metrics::new(100);
    let (one, two) = (metrics.worker(), metrics.worker());
    let (a, b) = (
        one.gauge(&CONNECTIONS, ["web"]),
        two.gauge(&CONNECTIONS, ["web"]),
    );
    a.add(3);
    b.inc();
    b.sub(2);
    assert_eq!(
        value(&metrics, r#"sluicegate_connections{listener="web"}"#),
        Some("2".into())
    );
    drop(a);
    assert_eq!(
        value(&metrics, r#"sluicegate_connections{listener="web"}"#),
        Some("-1".into())
    );
    b.set(7);
    assert_eq!(
        value(&metrics, r#"sluicegate_connections{listener="web"}"#),
        Some("7".into())
    );
    drop(b);
    assert_eq!(
        value(&metrics, r#"sluicegate_connections{listener="web"}"#),
        None
    );
}

#[test]
fn a_histogram_puts_each_duration_under_its_inclusive_bound() {
    let metrics = Metrics::new(100);
    let worker = metrics.worker();
    let duration = worker.histogram(&REQUEST_DURATION_SECONDS, ["all"]);
    duration.observe(Duration::from_micros(100));
    duration.observe(Duration::from_nanos(100_001));
    duration.observe(Duration::from_millis(1500));
    duration.observe(Duration::from_secs(3600));
    let bucket = |le: &str| {
        let name = "sluicegate_request_duration_seconds_bucket";
        value(&metrics, &format!(r#"{name}{{route="all",le="{le}"}}"#)).unwrap()
    };
    assert_eq!(bucket("0.0001"), "1");
    assert_eq!(bucket("0.00025"), "2");
    assert_eq!(bucket("1"), "2");
    assert_eq!(bucket("2.5"), "3");
    assert_eq!(bucket("60"), "3");
    assert_eq!(bucket("+Inf"), "4");
    let name = "sluicegate_request_duration_seconds";
    assert_eq!(
        value(&metrics, &format!(r#"{name}_sum{{route="all"}}"#)).unwrap(),
        "3601.500200001"
    );
    assert_eq!(
        value(&metrics, &format!(r#"{name}_count{{route="all"}}"#)).unwrap(),
        "4"
    );
    drop(duration);
    assert_eq!(
        value(&metrics, &format!(r#"{name}_count{{route="all"}}"#)).unwrap(),
        "4"
    );
}

#[test]
fn series_over_the_limit_go_to_other_and_are_counted() {
    // One is build_info.
    let metrics = Metrics::new(3);
    let worker = metrics.worker();
    let names: Vec<String> = (0..50).map(|n| format!("pool-{n}")).collect();
    let handles: Vec<_> = names
        .iter()
        .map(|name| worker.counter(&EJECTIONS_TOTAL, [name]))
        .collect();
    for handle in &handles {
        handle.inc();
    }
    assert_eq!(metrics.total(&EJECTIONS_TOTAL, [Some("other")]), 48);
    assert_eq!(metrics.total(&EJECTIONS_TOTAL, [None]), 50);
    assert_eq!(
        value(&metrics, "sluicegate_dropped_series_total").unwrap(),
        "48"
    );
    // A place given free is used again.
    metrics.remove_series(["pool"], &[["pool-0"]]);
    drop(handles);
    worker.counter(&EJECTIONS_TOTAL, ["late"]).inc();
    assert_eq!(metrics.total(&EJECTIONS_TOTAL, [Some("late")]), 1);
    assert_eq!(metrics.total(&EJECTIONS_TOTAL, [Some("pool-0")]), 0);
}

#[test]
fn series_of_a_removed_object_go_with_the_last_handle() {
    let metrics = Metrics::new(100);
    let worker = metrics.worker();
    assert!(worker.admits_endpoint("app", "10.0.0.1:80"));
    assert!(worker.admits_endpoint("app", "10.0.0.2:80"));
    let gone = worker.counter(&PICKS_TOTAL, ["app", "10.0.0.1:80"]);
    let kept = worker.counter(&PICKS_TOTAL, ["app", "10.0.0.2:80"]);
    gone.inc();
    kept.inc();
    metrics.remove_series(["pool", "endpoint"], &[["app", "10.0.0.1:80"]]);
    assert_eq!(metrics.total(&PICKS_TOTAL, [None, None]), 2);
    drop(gone);
    assert_eq!(metrics.total(&PICKS_TOTAL, [None, None]), 1);
    assert!(!metrics.text().contains("10.0.0.1:80"));
    // Of a pool that comes back before its handles went, nothing is lost.
    metrics.remove_series(["pool"], &[["app"]]);
    assert!(worker.admits_endpoint("app", "10.0.0.2:80"));
    let again = worker.counter(&PICKS_TOTAL, ["app", "10.0.0.2:80"]);
    drop((kept, again));
    assert_eq!(metrics.total(&PICKS_TOTAL, [None, None]), 1);
}

#[test]
fn a_counter_map_makes_each_counter_once() {
    let metrics = Metrics::new(100);
    let mut by_class = metrics.worker().counter_map(&REQUESTS_TOTAL);
    for status in [200_u16, 204, 503, 200] {
        let class = status / 100;
        let text = format!("{class}xx");
        by_class.get(class, || ["web", "all", &text, ""]).inc();
    }
    assert_eq!(
        metrics.total(&REQUESTS_TOTAL, [None, None, Some("2xx"), None]),
        3
    );
    assert_eq!(
        metrics.total(&REQUESTS_TOTAL, [None, None, Some("5xx"), None]),
        1
    );
    by_class.retain(|class| *class != 5);
    assert_eq!(
        metrics.total(&REQUESTS_TOTAL, [None, None, Some("5xx"), None]),
        1
    );
}

#[test]
fn hostile_label_values_come_back_from_the_text_unchanged() {
    static HOSTILE: CounterDesc<1> = CounterDesc::new("hostile_total", "Back\\slash\nline.", ["l"]);
    let values = [
        "",
        "a\"b",
        "back\\slash",
        "line\nfeed",
        "ü \u{0} \u{7f}",
        "}=,{",
    ];
    let metrics = Metrics::new(100);
    let control = metrics.control();
    let handles = values.map(|value| control.counter(&HOSTILE, [value]));
    for handle in &handles {
        handle.inc();
    }
    let long = control.counter(&HOSTILE, [&"ä".repeat(1000)]);
    long.inc();
    let text = metrics.text();
    assert!(
        text.contains("# HELP hostile_total Back\\\\slash\\nline.\n# TYPE hostile_total counter\n")
    );
    let parsed: Vec<_> = parse(&text)
        .into_iter()
        .filter(|sample| sample.name == "hostile_total")
        .collect();
    for value in values {
        let found = parsed.iter().filter(|sample| sample.labels["l"] == value);
        assert_eq!(found.count(), 1, "{value:?}");
    }
    assert!(parsed.iter().all(|sample| sample.labels["l"].len() <= 256));
}

#[test]
fn the_whole_text_parses_and_its_families_are_whole_and_sorted() {
    let metrics = everything();
    let text = metrics.text();
    let families: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(families.is_sorted());
    assert!(families.contains(&"process_start_time_seconds"));
    for sample in parse(&text) {
        let family = families.iter().any(|family| {
            let rest = sample.name.strip_prefix(family);
            rest.is_some_and(|rest| ["", "_bucket", "_sum", "_count"].contains(&rest))
        });
        assert!(family, "{} has no TYPE", sample.name);
        assert!(sample.value.parse::<f64>().is_ok(), "{}", sample.value);
    }
}

#[test]
fn promtool_finds_no_fault() {
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    // Part of the `prometheus` package; where it is missing, the parser above has to do.
    let Ok(mut promtool) = promtool else { return };
    let text = everything().text();
    let mut input = promtool.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// A registry in which each kind of family has a series that shows.
fn everything() -> Metrics {
    let metrics = Metrics::new(100);
    let control = metrics.control();
    control
        .counter(&REQUESTS_TOTAL, ["web", "all", "5xx", "dns_error"])
        .inc();
    control.counter(&PANICS_TOTAL, []).inc();
    let attempts = control.histogram(&ATTEMPT_DURATION_SECONDS, ["app", "1.4.2"]);
    attempts.observe(Duration::from_millis(3));
    metrics
}

fn value(metrics: &Metrics, series: &str) -> Option<String> {
    let text = metrics.text();
    let mut lines = text.lines();
    lines.find_map(|line| Some(line.strip_prefix(series)?.strip_prefix(' ')?.to_owned()))
}

struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: String,
}

/// Reads the exposition format as its specification says; any fault is a panic.
fn parse(text: &str) -> Vec<Sample> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(parse_line).collect()
}

fn parse_line(line: &str) -> Sample {
    let end = line.find(['{', ' ']).unwrap();
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while let Some((label, after)) = rest.split_once("=\"") {
            let mut value = String::new();
            let mut characters = after.char_indices();
            let end = loop {
                match characters.next().unwrap() {
                    (at, '"') => break at,
                    (_, '\\') => value.push(match characters.next().unwrap().1 {
                        'n' => '\n',
                        other => other,
                    }),
                    (_, other) => value.push(other),
                }
            };
            assert!(labels.insert(label.to_owned(), value).is_none());
            rest = &after[end + 1..];
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => break,
            }
        }
        rest = rest.strip_prefix('}').unwrap();
    }
    Sample {
        name: name.to_owned(),
        labels,
        value: rest.strip_prefix(' ').unwrap().to_owned(),
    }
}
