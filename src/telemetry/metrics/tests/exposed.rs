//! Tests of the limit on endpoints, and of OpenMetrics.

use std::collections::BTreeSet;
use std::time::{Duration, UNIX_EPOCH};

use super::super::names::*;
use super::super::{Exposition, Metrics, SeriesLimits};
use super::{everything, value};

#[test]
fn series_of_endpoints_over_their_limit_are_those_of_other_and_take_no_place_of_others() {
    let metrics = Metrics::with(SeriesLimits {
        series_max: 2,
        endpoints_max: 2,
    });
    let (one, two) = (metrics.worker(), metrics.worker());
    let mut handles = Vec::new();
    for n in 0..10 {
        let endpoint = format!("10.0.0.{n}:80");
        for worker in [&one, &two] {
            assert_eq!(worker.admits_endpoint("app", &endpoint), n < 2);
            let counter = worker.counter(&PICKS_TOTAL, ["app", &endpoint]);
            counter.inc();
            handles.push(counter);
        }
    }
    assert_eq!(metrics.total(&PICKS_TOTAL, [None, Some("other")]), 16);
    assert_eq!(metrics.total(&PICKS_TOTAL, [None, Some("10.0.0.1:80")]), 2);
    assert_eq!(value(&metrics, "sluicegate_folded_endpoints").unwrap(), "8");
    assert_eq!(
        value(&metrics, "sluicegate_dropped_series_total").unwrap(),
        "0"
    );
    // What another process counted for others is not lost, and makes no series.
    let counts = metrics.counts();
    let new = Metrics::with(SeriesLimits {
        series_max: 2,
        endpoints_max: 1,
    });
    new.carry(counts);
    assert_eq!(new.total(&PICKS_TOTAL, [None, None]), 20);
    assert_eq!(new.totals(&PICKS_TOTAL).len(), 2);
    assert_eq!(value(&new, "sluicegate_folded_endpoints").unwrap(), "1");
    // A count that comes after its endpoint has left is one of `other`.
    metrics.remove_series(["pool", "endpoint"], &[["app", "10.0.0.1:80"]]);
    drop(handles);
    one.counter(&PICKS_TOTAL, ["app", "10.0.0.1:80"]).inc();
    assert_eq!(metrics.total(&PICKS_TOTAL, [None, Some("10.0.0.1:80")]), 0);
    assert_eq!(metrics.total(&PICKS_TOTAL, [None, Some("other")]), 17);
    // One that comes after its pool is in a series that all removed pools share.
    metrics.remove_series(["pool"], &[["app"]]);
    for endpoint in ["10.0.0.1:80", "10.0.0.2:80"] {
        one.counter(&PICKS_TOTAL, ["app", endpoint]).inc();
    }
    assert_eq!(metrics.totals(&PICKS_TOTAL).len(), 1);
    assert_eq!(metrics.total(&PICKS_TOTAL, [Some("other"), None]), 2);
}

#[test]
fn the_newest_trace_of_a_bucket_is_its_exemplar_in_open_metrics_alone() {
    let metrics = Metrics::new(100);
    let workers = [metrics.worker(), metrics.worker()];
    let at = |seconds: u64| UNIX_EPOCH + Duration::from_millis(1000 * seconds + 250);
    let handles = workers
        .each_ref()
        .map(|worker| worker.histogram(&REQUEST_DURATION_SECONDS, ["all"]));
    for (place, (took, trace, seconds)) in [
        (3, b'a', 10),
        (3, b'b', 12),
        (3, b'c', 11),
        (100_000, b'd', 9),
    ]
    .into_iter()
    .enumerate()
    {
        let took = Duration::from_millis(took);
        handles[place % 2].observe(took);
        handles[place % 2].exemplify(took, [trace; 32], at(seconds));
    }
    let text = metrics.exposed(Exposition::OpenMetrics);
    let name = "sluicegate_request_duration_seconds_bucket{route=\"all\",le=";
    let trace = |letter: &str| letter.repeat(32);
    for line in [
        format!(
            "{name}\"0.005\"}} 3 # {{trace_id=\"{}\"}} 0.003 12.250\n",
            trace("b")
        ),
        format!(
            "{name}\"+Inf\"}} 4 # {{trace_id=\"{}\"}} 100 9.250\n",
            trace("d")
        ),
        format!("{name}\"1.0\"}} 3\n"),
    ] {
        assert!(text.contains(&line), "{line}{text}");
    }
    assert!(!metrics.text().contains("trace_id"));
}

#[test]
fn the_families_of_open_metrics_have_names_of_their_own_and_counters_end_in_total() {
    let described = include_str!("../names.rs").to_owned()
        + include_str!("../process_names.rs")
        + include_str!("../endpoint_names.rs")
        + include_str!("../rollout_names.rs");
    let mut families = BTreeSet::new();
    for item in described.split("pub static ").skip(1) {
        let name = item.split('"').nth(1).unwrap();
        let is_counter = item.split("::new").next().unwrap().contains("CounterDesc");
        let family = name.strip_suffix("_total");
        assert_eq!(family.is_some(), is_counter, "{name}");
        assert!(families.insert(family.unwrap_or(name).to_owned()), "{name}");
    }
    let text = everything().exposed(Exposition::OpenMetrics);
    assert!(text.ends_with("\n# EOF\n"));
    assert!(text.contains("# TYPE process_cpu_seconds counter\nprocess_cpu_seconds_total "));
}
