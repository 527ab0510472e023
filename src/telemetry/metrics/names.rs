//! Every metric family that the proxy exposes, with its labels.
//!
//! The names are a promise to users: see `docs/operations/metrics.md`. Base units (seconds, bytes),
//! counters end in `_total`. Labels are bounded sets: names from the configuration, words of
//! [`crate::failure::Failure`], or the few words given here.

use super::descriptor::{CounterDesc, GaugeDesc, HistogramDesc};
pub use super::{endpoint_names::*, process_names::*, rollout_names::*};

/// Exchanges that ended; `reason` is empty when the endpoint's answer was passed on whole.
pub static REQUESTS_TOTAL: CounterDesc<4> = CounterDesc::new(
    "sluicegate_requests_total",
    "Exchanges that ended, by status class and reason.",
    ["listener", "route", "status_class", "reason"],
);

/// From the request head to the end of the response.
pub static REQUEST_DURATION_SECONDS: HistogramDesc<1> = HistogramDesc::new(
    "sluicegate_request_duration_seconds",
    "Time from the request head to the end of the response.",
    ["route"],
    DURATION_BOUNDS_NS,
);

/// From picking an endpoint to its response head.
pub static ATTEMPT_DURATION_SECONDS: HistogramDesc<2> = HistogramDesc::new(
    "sluicegate_attempt_duration_seconds",
    "Time from the start of an attempt to the response head of the endpoint.",
    ["pool", "version"],
    DURATION_BOUNDS_NS,
);

/// Tries at an endpoint; `reason` is empty for one that brought a response head.
pub static ATTEMPTS_TOTAL: CounterDesc<2> = CounterDesc::new(
    "sluicegate_attempts_total",
    "Attempts at an endpoint that ended, by reason of failure.",
    ["pool", "reason"],
);

/// Second and later attempts; `outcome` is `succeeded` or `failed`.
pub static RETRIES_TOTAL: CounterDesc<2> = CounterDesc::new(
    "sluicegate_retries_total",
    "Attempts after the first one, which `succeeded` or `failed`.",
    ["pool", "outcome"],
);

/// Requests that a rule of `rate_limit` refused.
pub static RATE_LIMITED_TOTAL: CounterDesc<2> = CounterDesc::new(
    "sluicegate_rate_limited_total",
    "Requests that a rule of a rate limit refused.",
    ["route", "rule"],
);

/// Requests that a rule of `rate_limit` with `dry_run` would have refused.
pub static RATE_LIMIT_DRY_RUN_TOTAL: CounterDesc<2> = CounterDesc::new(
    "sluicegate_rate_limit_dry_run_total",
    "Requests that a rule of a rate limit would have refused, but for its `dry_run`.",
    ["route", "rule"],
);

/// Requests that `concurrency` of a route refused.
pub static CONCURRENCY_REFUSED_TOTAL: CounterDesc<2> = CounterDesc::new(
    "sluicegate_concurrency_refused_total",
    "Requests that got no place under a `concurrency` of their route.",
    ["route", "per"],
);

/// Requests that hold a place under `concurrency` of a route.
pub static CONCURRENCY_IN_USE: GaugeDesc<2> = GaugeDesc::new(
    "sluicegate_concurrency_in_use",
    "Requests that hold a place under a `concurrency` of their route; of all clients together.",
    ["route", "per"],
);

/// Requests that wait for a place under `concurrency` of a route.
pub static CONCURRENCY_WAITING: GaugeDesc<2> = GaugeDesc::new(
    "sluicegate_concurrency_waiting",
    "Requests that wait for a place under a `concurrency` of their route; of all clients together.",
    ["route", "per"],
);

/// Number of places under `concurrency` of a route.
pub static CONCURRENCY_LIMIT: GaugeDesc<2> = GaugeDesc::new(
    "sluicegate_concurrency_limit",
    "Places under a `concurrency` of a route: of the route, or of each client.",
    ["route", "per"],
);

/// Hedges; `outcome` is `won`, `lost`, `no_budget` or `no_endpoint`.
pub static HEDGES_TOTAL: CounterDesc<2> = CounterDesc::new(
    "sluicegate_hedges_total",
    "Attempts beside a slow first one: `won`, `lost` or, with a client that left, `cancelled`; or not made for want of budget (`no_budget`) or of another endpoint (`no_endpoint`).",
    ["pool", "outcome"],
);

/// Routes that are closed for maintenance.
pub static ROUTES_IN_MAINTENANCE: GaugeDesc<0> = GaugeDesc::new(
    "sluicegate_routes_in_maintenance",
    "Routes that are closed for maintenance.",
    [],
);

/// Requests by the pool that a split chose for their user.
pub static SPLIT_REQUESTS_TOTAL: CounterDesc<2> = CounterDesc::new(
    "sluicegate_split_requests_total",
    "Requests of a route with a split, by the pool chosen for the user.",
    ["route", "pool"],
);

/// Requests at the cache of a route.
pub static CACHE_REQUESTS_TOTAL: CounterDesc<2> = CounterDesc::new(
    "sluicegate_cache_requests_total",
    "Requests at a cache: answered from it (`hit`, `stale`, `revalidated`), by an endpoint (`miss`), by what another request fetched (`collapsed`), or past it (`bypass`).",
    ["route", "result"],
);

/// Bytes of the answers that a cache holds.
pub static CACHE_BYTES: GaugeDesc<1> = GaugeDesc::new(
    "sluicegate_cache_bytes",
    "Bytes that the stored answers of a route take, heads included.",
    ["route"],
);

/// URLs of which a cache holds answers.
pub static CACHE_ENTRIES: GaugeDesc<1> = GaugeDesc::new(
    "sluicegate_cache_entries",
    "Keys with stored answers of a route.",
    ["route"],
);

/// Bytes of the files of a cache.
pub static CACHE_DISK_BYTES: GaugeDesc<1> = GaugeDesc::new(
    "sluicegate_cache_disk_bytes",
    "Bytes on disk that the stored answers of a route take.",
    ["route"],
);

/// URLs of which a cache has answers on disk.
pub static CACHE_DISK_ENTRIES: GaugeDesc<1> = GaugeDesc::new(
    "sluicegate_cache_disk_entries",
    "Keys with stored answers of a route on disk.",
    ["route"],
);

/// Disks of caches that do not work.
pub static CACHE_DISK_FAILING: GaugeDesc<1> = GaugeDesc::new(
    "sluicegate_cache_disk_failing",
    "1 while the disk of a route's cache fails, or does not answer in time: answers are kept in memory alone.",
    ["route"],
);

/// Requests that a route chose to copy; `result` tells what came of it.
pub static SHADOW_REQUESTS_TOTAL: CounterDesc<2> = CounterDesc::new(
    "sluicegate_shadow_requests_total",
    "Requests chosen to be copied, by result: `answered` (not compared), `equal`, `mismatch`, `failed`, `unsent`, `incomparable`, or not copied: `busy`, `too_large`, `abandoned`.",
    ["route", "result"],
);

/// Faults that a route injected; `kind` is `delay` or `abort`.
pub static FAULTS_INJECTED_TOTAL: CounterDesc<3> = CounterDesc::new(
    "sluicegate_faults_injected_total",
    "Requests that a route delayed (`delay`) or answered with a failure (`abort`, with the class of its status) on purpose.",
    ["route", "kind", "status_class"],
);

/// Calls of the store of a rate limit; `result` is `answered`, `late`, `failed` or `skipped`.
pub static RATE_LIMIT_STORE_TOTAL: CounterDesc<3> = CounterDesc::new(
    "sluicegate_rate_limit_store_total",
    "Requests for which the store of a rate limit `answered`, was `late`, `failed`, or was `skipped` since it failed just before.",
    ["route", "rule", "result"],
);

pub static CONFIG_STORE_UP: GaugeDesc<0> = GaugeDesc::new(
    "sluicegate_config_store_up",
    "1 while the store of the shared configuration answers.",
    [],
);

/// 1 while a listener is in its registry.
pub static REGISTERED: GaugeDesc<2> = GaugeDesc::new(
    "sluicegate_registered",
    "1 while a listener is in the registry that it is entered into.",
    ["listener", "registry"],
);

/// Entries of listeners into their registry; `result` is `entered` or `failed`.
pub static REGISTRATIONS_TOTAL: CounterDesc<3> = CounterDesc::new(
    "sluicegate_registrations_total",
    "Attempts to keep a listener in its registry: `entered`, or `failed`, also when the registry has lost it.",
    ["listener", "registry", "result"],
);

/// 1 while the store of a rate limit is asked, 0 while it is left alone since it failed.
pub static RATE_LIMIT_STORE_UP: GaugeDesc<1> = GaugeDesc::new(
    "sluicegate_rate_limit_store_up",
    "1 while the store of a rate limit is asked, 0 while it is left alone since it failed.",
    ["store"],
);

/// Exchanges not yet ended.
pub static REQUESTS_IN_FLIGHT: GaugeDesc<1> = GaugeDesc::new(
    "sluicegate_requests_in_flight",
    "Exchanges that have begun and not ended.",
    ["listener"],
);

/// Open downstream connections.
pub static CONNECTIONS: GaugeDesc<1> = GaugeDesc::new(
    "sluicegate_connections",
    "Open downstream connections.",
    ["listener"],
);

/// Accepted downstream connections.
pub static CONNECTIONS_TOTAL: CounterDesc<1> = CounterDesc::new(
    "sluicegate_connections_accepted_total",
    "Downstream connections accepted.",
    ["listener"],
);

/// 1 when the endpoint is healthy and not ejected, else 0.
pub static ENDPOINT_HEALTHY: GaugeDesc<2> = GaugeDesc::new(
    "sluicegate_endpoint_healthy",
    "1 when the endpoint takes traffic by its health and ejection state, else 0.",
    ["pool", "endpoint"],
);

/// Passive removals of an endpoint.
pub static EJECTIONS_TOTAL: CounterDesc<1> = CounterDesc::new(
    "sluicegate_ejections_total",
    "Endpoints ejected because of their answers.",
    ["pool"],
);

/// 0 while the breaker of the pool is closed, 1 while it is half-open, 2 while it is open.
pub static BREAKER_STATE: GaugeDesc<1> = GaugeDesc::new(
    "sluicegate_breaker_state",
    "State of the breaker of a pool that has one: 0 closed, 1 half-open, 2 open.",
    ["pool"],
);

/// Changes of the breaker's state; `state` is the new one.
pub static BREAKER_TRANSITIONS_TOTAL: CounterDesc<2> = CounterDesc::new(
    "sluicegate_breaker_transitions_total",
    "Changes of the breaker's state, by the new one: `closed`, `half_open`, `open`.",
    ["pool", "state"],
);

/// Requests that met an open breaker.
pub static BREAKER_REFUSED_TOTAL: CounterDesc<1> = CounterDesc::new(
    "sluicegate_breaker_refused_total",
    "Requests that met the open breaker of a pool, whatever became of them.",
    ["pool"],
);

/// Retries that the budget refused.
pub static BUDGET_EXHAUSTED_TOTAL: CounterDesc<1> = CounterDesc::new(
    "sluicegate_budget_exhausted_total",
    "Retries not made because the retry budget of the pool was used up.",
    ["pool"],
);

/// Times an endpoint was picked.
pub static PICKS_TOTAL: CounterDesc<2> = CounterDesc::new(
    "sluicegate_picks_total",
    "Times the picker chose the endpoint.",
    ["pool", "endpoint"],
);

/// Upstream connections kept for reuse.
pub static IDLE_CONNECTIONS: GaugeDesc<1> = GaugeDesc::new(
    "sluicegate_idle_connections",
    "Upstream connections kept for reuse.",
    ["pool"],
);

/// TLS handshakes with clients; `result` is `full`, `resumed`, `failed`, `late`,
/// `not_tls` (plain HTTP to a port for TLS) or `not_served` (the other way round).
pub static TLS_HANDSHAKES_TOTAL: CounterDesc<2> = CounterDesc::new(
    "sluicegate_tls_handshakes_total",
    "TLS handshakes with clients: `full`, `resumed`, `failed`, `late`, `not_tls` (plain HTTP to a TLS port), `not_served` (TLS to a plain port), `retry` (over QUIC the client must first prove its address).",
    ["listener", "result"],
);

/// Expiry time of a certificate, in seconds of Unix time.
pub static CERTIFICATE_EXPIRY_TIMESTAMP_SECONDS: GaugeDesc<2> = GaugeDesc::new(
    "sluicegate_certificate_expiry_timestamp_seconds",
    "Unix time at which a certificate of a listener expires.",
    ["listener", "certificate"],
);

/// The same under its former name, for dashboards and alerts that have it.
pub static CERTIFICATE_EXPIRY_SECONDS: GaugeDesc<2> = GaugeDesc::new(
    "sluicegate_certificate_expiry_seconds",
    "The same as sluicegate_certificate_expiry_timestamp_seconds, under its former name.",
    ["listener", "certificate"],
);

/// Renewed certificates taken up or refused; `result` is `succeeded` or `failed`.
pub static CERTIFICATE_RELOADS_TOTAL: CounterDesc<1> = CounterDesc::new(
    "sluicegate_certificate_reloads_total",
    "Changed certificate files, whose use `succeeded` or `failed`.",
    ["result"],
);

/// Orders of certificates at a CA.
pub static ACME_ORDERS_TOTAL: CounterDesc<1> = CounterDesc::new(
    "sluicegate_acme_orders_total",
    "Certificates ordered from a CA (ACME), whose issue `succeeded` or `failed`.",
    ["result"],
);

/// Open upstream connections.
pub static UPSTREAM_CONNECTIONS: GaugeDesc<1> = GaugeDesc::new(
    "sluicegate_upstream_connections",
    "Open upstream connections, idle or in use.",
    ["pool"],
);

/// Upstream connections established.
pub static UPSTREAM_CONNECTIONS_TOTAL: CounterDesc<1> = CounterDesc::new(
    "sluicegate_upstream_connections_opened_total",
    "Upstream connections established.",
    ["pool"],
);

/// Work refused to protect the rest; `reason` names the limit.
pub static SHED_TOTAL: CounterDesc<1> = CounterDesc::new(
    "sluicegate_shed_total",
    "Work refused: connections by the limits `connections`, `listener_connections` and `client_connections`, connections and requests by `memory`, connections by the system (`accept`).",
    ["reason"],
);

/// The limit on resident memory; 0: none.
pub static MEMORY_LIMIT: GaugeDesc<0> = GaugeDesc::new(
    "sluicegate_memory_limit_bytes",
    "Limit on resident memory, from `proxy.limits.memory`. 0: none.",
    [],
);

/// Pressure on the memory limit: 0 calm, 1 tight, 2 full.
pub static MEMORY_PRESSURE: GaugeDesc<0> = GaugeDesc::new(
    "sluicegate_memory_pressure",
    "Pressure on the memory limit: 0 calm, 1 idle connections are closed, 2 new work is refused.",
    [],
);

/// Connections closed for want of the PROXY protocol header that was due; `reason` is
/// `malformed`, `late` or `cut_short`.
pub static PROXY_PROTOCOL_FAILURES_TOTAL: CounterDesc<1> = CounterDesc::new(
    "sluicegate_proxy_protocol_failures_total",
    "Connections closed for lack of a PROXY protocol header: `malformed`, `late`, `cut_short`.",
    ["reason"],
);

/// Interim responses (1xx) of endpoints; `outcome` is `forwarded` or `dropped`.
pub static INTERIM_RESPONSES_TOTAL: CounterDesc<1> = CounterDesc::new(
    "sluicegate_interim_responses_total",
    "Interim responses (1xx) of endpoints, `forwarded` to the client or `dropped`.",
    ["outcome"],
);

/// HTTP/2 connections ended because of a flood; `reason` says of what: `resets`, `pings`,
/// `settings`, `priorities`, `continuations`, `headers`, `data`.
pub static HTTP2_FLOODS_TOTAL: CounterDesc<2> = CounterDesc::new(
    "sluicegate_http2_floods_total",
    "HTTP/2 connections ended because of a flood: `resets`, `pings`, `settings`, `priorities`, `continuations`, `headers`, `data`.",
    ["listener", "reason"],
);

/// Header fields not passed on; `reason` is for instance `underscore`.
pub static HEADERS_DROPPED_TOTAL: CounterDesc<1> = CounterDesc::new(
    "sluicegate_headers_dropped_total",
    "Request header fields dropped before routing: `underscore`.",
    ["reason"],
);

/// Upper bounds of the duration histograms: dense where a proxy's answers are, a minute at the end.
pub const DURATION_BOUNDS_NS: &[u64] = &[
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
];
