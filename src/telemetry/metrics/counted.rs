//! All counters and histograms of this version, to recognise them by name when another process
//! passes its counts.

use super::descriptor::Counted;
use super::names;

/// The descriptors.
pub(super) static COUNTED: &[&(dyn Counted + Sync)] = &[
    &names::ENDPOINT_REQUESTS_TOTAL,
    &names::ENDPOINT_FAILURES_TOTAL,
    &names::ENDPOINT_ATTEMPT_DURATION_SECONDS,
    &names::REQUEST_BODY_BYTES_TOTAL,
    &names::RESPONSE_BODY_BYTES_TOTAL,
    &names::POOL_REQUEST_BODY_BYTES_TOTAL,
    &names::POOL_RESPONSE_BODY_BYTES_TOTAL,
    &names::ROLLOUT_LEADER_CHANGES_TOTAL,
    &names::REGISTRATIONS_TOTAL,
    &names::CACHE_REQUESTS_TOTAL,
    &names::SPLIT_REQUESTS_TOTAL,
    &names::FAULTS_INJECTED_TOTAL,
    &names::RATE_LIMIT_STORE_TOTAL,
    &names::REQUESTS_TOTAL,
    &names::REQUEST_DURATION_SECONDS,
    &names::ATTEMPT_DURATION_SECONDS,
    &names::ATTEMPTS_TOTAL,
    &names::RETRIES_TOTAL,
    &names::HEDGES_TOTAL,
    &names::RATE_LIMITED_TOTAL,
    &names::RATE_LIMIT_DRY_RUN_TOTAL,
    &names::CONCURRENCY_REFUSED_TOTAL,
    &names::SHADOW_REQUESTS_TOTAL,
    &names::CONNECTIONS_TOTAL,
    &names::EJECTIONS_TOTAL,
    &names::BREAKER_TRANSITIONS_TOTAL,
    &names::BREAKER_REFUSED_TOTAL,
    &names::BUDGET_EXHAUSTED_TOTAL,
    &names::POOL_REFUSED_TOTAL,
    &names::PICKS_TOTAL,
    &names::TLS_HANDSHAKES_TOTAL,
    &names::ACME_ORDERS_TOTAL,
    &names::CERTIFICATE_RELOADS_TOTAL,
    &names::UPSTREAM_CONNECTIONS_TOTAL,
    &names::SHED_TOTAL,
    &names::PROXY_PROTOCOL_FAILURES_TOTAL,
    &names::INTERIM_RESPONSES_TOTAL,
    &names::HTTP2_FLOODS_TOTAL,
    &names::HTTP3_FLOODS_TOTAL,
    &names::HEADERS_DROPPED_TOTAL,
    &names::CONFIG_RELOADS_TOTAL,
    &names::UPGRADES_TOTAL,
    &names::SERVICE_RESTARTS_TOTAL,
    &names::DISCOVERY_UPDATES_TOTAL,
    &names::PANICS_TOTAL,
    &names::DROPPED_SERIES_TOTAL,
    &names::ACCESS_LOG_LINES_DROPPED_TOTAL,
    &names::LOG_LINES_DROPPED_TOTAL,
    &names::TRACE_SPANS_DROPPED_TOTAL,
    &names::TRACE_SPANS_EXPORTED_TOTAL,
];

#[cfg(test)]
mod tests {
    #[test]
    fn the_list_is_complete() {
        let sources = [
            include_str!("names.rs"),
            include_str!("process_names.rs"),
            include_str!("endpoint_names.rs"),
            include_str!("rollout_names.rs"),
        ];
        let lines = sources.iter().flat_map(|source| source.lines());
        let declared = lines.filter_map(|line| {
            let (name, kind) = line.strip_prefix("pub static ")?.split_once(": ")?;
            let counts = kind.starts_with("CounterDesc<") || kind.starts_with("HistogramDesc<");
            counts.then_some(name)
        });
        let listed = include_str!("counted.rs");
        for name in declared {
            let entry = format!("    &names::{name},\n");
            assert!(listed.contains(&entry), "add &names::{name} to COUNTED");
        }
    }
}
