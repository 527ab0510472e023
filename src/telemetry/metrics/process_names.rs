//! The metric families of the process itself: configuration, services, sources, what was dropped.
//!
//! As `names`, which gives them on.

use super::descriptor::{CounterDesc, GaugeDesc};

/// Number of the configuration in use; goes up by one with each reload that succeeds.
pub static CONFIG_GENERATION: GaugeDesc<0> = GaugeDesc::new(
    "sluicegate_config_generation",
    "Generation of the configuration in use.",
    [],
);

/// 1 when the last reload succeeded, else 0.
pub static CONFIG_LAST_RELOAD_SUCCESS: GaugeDesc<0> = GaugeDesc::new(
    "sluicegate_config_last_reload_success",
    "1 when the last reload succeeded, 0 when it was refused.",
    [],
);

/// Unix time of the last reload that succeeded.
pub static CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP_SECONDS: GaugeDesc<0> = GaugeDesc::new(
    "sluicegate_config_last_reload_success_timestamp_seconds",
    "Unix time of the last reload that succeeded.",
    [],
);

/// Reloads; `result` is `succeeded`, `unchanged` or `failed`.
pub static CONFIG_RELOADS_TOTAL: CounterDesc<1> = CounterDesc::new(
    "sluicegate_config_reloads_total",
    "Reloads of the configuration: `succeeded`, `unchanged`, `failed`.",
    ["result"],
);

/// Upgrades of the binary; `result` is `succeeded` or `failed`.
pub static UPGRADES_TOTAL: CounterDesc<1> = CounterDesc::new(
    "sluicegate_upgrades_total",
    "Upgrades of the binary that this process or one before it began: `succeeded`, `failed`.",
    ["result"],
);

/// 1 while a background service of the control thread runs, 0 while it waits to be started again.
pub static SERVICE_UP: GaugeDesc<1> = GaugeDesc::new(
    "sluicegate_service_up",
    "1 while a background service runs, 0 while it waits to be started again.",
    ["service"],
);

/// Failures of background services, each followed by a new start.
pub static SERVICE_RESTARTS_TOTAL: CounterDesc<1> = CounterDesc::new(
    "sluicegate_service_restarts_total",
    "Failures of background services, each followed by a new start.",
    ["service"],
);

/// Endpoints of the last good list of a pool's source.
pub static DISCOVERY_ENDPOINTS: GaugeDesc<2> = GaugeDesc::new(
    "sluicegate_discovery_endpoints",
    "Endpoints of the last good list of a pool's source.",
    ["pool", "source"],
);

/// Entries of the last good list of a pool's source that cannot be used.
pub static DISCOVERY_SKIPPED_ENTRIES: GaugeDesc<2> = GaugeDesc::new(
    "sluicegate_discovery_skipped_entries",
    "Entries of the last good list of a pool's source that cannot be used; the others are.",
    ["pool", "source"],
);

/// Endpoints that stay in use for a time, though most of the list is suddenly gone.
pub static DISCOVERY_HELD_ENDPOINTS: GaugeDesc<2> = GaugeDesc::new(
    "sluicegate_discovery_held_endpoints",
    "Endpoints that stay in use for `hold_mass_removal`: the list of the source suddenly left out most.",
    ["pool", "source"],
);

/// Endpoints that are used until their check fails, though they are not listed any more.
pub static DISCOVERY_ABSENT_ENDPOINTS: GaugeDesc<2> = GaugeDesc::new(
    "sluicegate_discovery_absent_endpoints",
    "Endpoints that the source does not list any more, and that are used until their check fails.",
    ["pool", "source"],
);

/// 1 when the newest answer of a pool's source was a good list, else 0.
pub static DISCOVERY_LAST_SUCCESS: GaugeDesc<2> = GaugeDesc::new(
    "sluicegate_discovery_last_success",
    "1 when the newest answer of a pool's source was a good list, 0 when the last good one is kept.",
    ["pool", "source"],
);

/// Unix time of the last good list of a pool's source.
pub static DISCOVERY_LAST_SUCCESS_TIMESTAMP_SECONDS: GaugeDesc<2> = GaugeDesc::new(
    "sluicegate_discovery_last_success_timestamp_seconds",
    "Unix time of the last good list of a pool's source.",
    ["pool", "source"],
);

/// Answers of a pool's source; `result` is `changed`, `unchanged` or `failed`.
pub static DISCOVERY_UPDATES_TOTAL: CounterDesc<3> = CounterDesc::new(
    "sluicegate_discovery_updates_total",
    "Answers of a pool's source: `changed`, `unchanged`, `failed`.",
    ["pool", "source", "result"],
);

/// Panics caught; each one is a bug.
pub static PANICS_TOTAL: CounterDesc<0> = CounterDesc::new(
    "sluicegate_panics_total",
    "Panics caught in exchanges and tasks.",
    [],
);

/// Handles that were pointed to the `other` series.
pub static DROPPED_SERIES_TOTAL: CounterDesc<0> = CounterDesc::new(
    "sluicegate_dropped_series_total",
    "Times a new label set went to the series `other` because series_max was reached.",
    [],
);

/// Access log lines that were not written.
pub static ACCESS_LOG_LINES_DROPPED_TOTAL: CounterDesc<0> = CounterDesc::new(
    "sluicegate_access_log_lines_dropped_total",
    "Access log lines lost because the writer was behind or failed.",
    [],
);

/// Lines of the log that were not written.
pub static LOG_LINES_DROPPED_TOTAL: CounterDesc<0> = CounterDesc::new(
    "sluicegate_log_lines_dropped_total",
    "Lines of the log lost because the reader of standard error was behind, or it failed.",
    [],
);

/// Tasks of the process that run.
pub static TASKS: GaugeDesc<0> =
    GaugeDesc::new("sluicegate_tasks", "Named tasks that are running.", []);

/// Always 1; what is running.
pub static BUILD_INFO: GaugeDesc<2> = GaugeDesc::new(
    "sluicegate_build_info",
    "Always 1; the labels say which build this is.",
    ["version", "commit"],
);

/// Spans that did not reach the collector.
pub static TRACE_SPANS_DROPPED_TOTAL: CounterDesc<1> = CounterDesc::new(
    "sluicegate_trace_spans_dropped_total",
    "Spans that did not reach the collector: `queue_full`, `export_failed`, `refused` by the collector.",
    ["reason"],
);

/// Spans that the collector took.
pub static TRACE_SPANS_EXPORTED_TOTAL: CounterDesc<0> = CounterDesc::new(
    "sluicegate_trace_spans_exported_total",
    "Spans that the collector took.",
    [],
);

/// State of the collector.
pub static TRACE_COLLECTOR_UP: GaugeDesc<0> = GaugeDesc::new(
    "sluicegate_trace_collector_up",
    "1 while the collector of spans takes exports, 0 since it last failed.",
    [],
);

/// HTTP/3 connections ended because of a flood; `reason` says of what: `resets`, `unknown`,
/// `control`, `data`.
pub static HTTP3_FLOODS_TOTAL: CounterDesc<2> = CounterDesc::new(
    "sluicegate_http3_floods_total",
    "HTTP/3 connections ended because of a flood: `resets`, `unknown` frames, frames on the `control` stream, `data` frames without data.",
    ["listener", "reason"],
);

/// Time at which the next revocation list of clients is due, in seconds of Unix time.
pub static REVOCATION_LIST_NEXT_UPDATE_TIMESTAMP_SECONDS: GaugeDesc<2> = GaugeDesc::new(
    "sluicegate_revocation_list_next_update_timestamp_seconds",
    "Unix time at which the next of the revocation lists in a file of `client_crl` is due, the earliest of them.",
    ["listener", "file"],
);
