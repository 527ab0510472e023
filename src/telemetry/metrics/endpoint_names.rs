//! The metric families of single endpoints, of panic, of bytes, and of the limits of a pool.
//!
//! As `names`, which gives them on. A family whose first labels are `pool` and `endpoint` has at
//! most `metrics.per_endpoint` endpoints; the others of a pool are `other`.

use super::descriptor::{CounterDesc, GaugeDesc, HistogramDesc};

/// Attempts that an endpoint answered, by status class; a call of gRPC is `2xx`.
pub static ENDPOINT_REQUESTS_TOTAL: CounterDesc<3> = CounterDesc::new(
    "sluicegate_endpoint_requests_total",
    "Attempts that an endpoint answered, by status class.",
    ["pool", "endpoint", "status_class"],
);

/// Attempts that failed at an endpoint; `reason` as in `sluicegate_attempts_total`.
pub static ENDPOINT_FAILURES_TOTAL: CounterDesc<3> = CounterDesc::new(
    "sluicegate_endpoint_failures_total",
    "Attempts that failed at an endpoint, by reason.",
    ["pool", "endpoint", "reason"],
);

/// Attempts under way, with their answers.
pub static ENDPOINT_REQUESTS_IN_FLIGHT: GaugeDesc<2> = GaugeDesc::new(
    "sluicegate_endpoint_requests_in_flight",
    "Attempts at an endpoint that have begun, and whose answers have not ended.",
    ["pool", "endpoint"],
);

/// Open connections to an endpoint.
pub static ENDPOINT_CONNECTIONS: GaugeDesc<2> = GaugeDesc::new(
    "sluicegate_endpoint_connections",
    "Open connections to an endpoint, idle or in use.",
    ["pool", "endpoint"],
);

/// From the start of an attempt to the response head of the endpoint, or its failure.
pub static ENDPOINT_ATTEMPT_DURATION_SECONDS: HistogramDesc<2> = HistogramDesc::new(
    "sluicegate_endpoint_attempt_duration_seconds",
    "Time from the start of an attempt to the response head of the endpoint.",
    ["pool", "endpoint"],
    ENDPOINT_BOUNDS_NS,
);

/// Endpoints without series of their own.
pub static FOLDED_ENDPOINTS: GaugeDesc<0> = GaugeDesc::new(
    "sluicegate_folded_endpoints",
    "Endpoints without series of their own, as metrics.per_endpoint is reached: they are `other` of their pool.",
    [],
);

/// 1 while a pool ignores health, else 0.
pub static POOL_IN_PANIC: GaugeDesc<1> = GaugeDesc::new(
    "sluicegate_pool_in_panic",
    "1 while so few endpoints of a pool are healthy that health is ignored, else 0.",
    ["pool"],
);

/// Bytes of request bodies, and of what tunnels brought from clients.
pub static REQUEST_BODY_BYTES_TOTAL: CounterDesc<2> = CounterDesc::new(
    "sluicegate_request_body_bytes_total",
    "Bytes of request bodies read from clients, tunnels included.",
    ["listener", "route"],
);

/// Bytes of response bodies, and of what tunnels took to clients.
pub static RESPONSE_BODY_BYTES_TOTAL: CounterDesc<2> = CounterDesc::new(
    "sluicegate_response_body_bytes_total",
    "Bytes of response bodies sent to clients, tunnels included.",
    ["listener", "route"],
);

/// The same for requests that a pool answered.
pub static POOL_REQUEST_BODY_BYTES_TOTAL: CounterDesc<1> = CounterDesc::new(
    "sluicegate_pool_request_body_bytes_total",
    "Bytes of request bodies read from clients, of requests that the pool answered.",
    ["pool"],
);

/// The same for answers of a pool.
pub static POOL_RESPONSE_BODY_BYTES_TOTAL: CounterDesc<1> = CounterDesc::new(
    "sluicegate_pool_response_body_bytes_total",
    "Bytes of response bodies sent to clients, of answers of the pool.",
    ["pool"],
);

/// Requests that a limit of the pool refused; `limit` is its key.
pub static POOL_REFUSED_TOTAL: CounterDesc<2> = CounterDesc::new(
    "sluicegate_pool_refused_total",
    "Requests that a limit of the pool refused, by its key in `limits`: `connections`, `requests` or `per_endpoint`.",
    ["pool", "limit"],
);

/// Upper bounds of an endpoint's durations: some of `DURATION_BOUNDS_NS`, since there are many
/// endpoints.
pub const ENDPOINT_BOUNDS_NS: &[u64] = &[
    1_000_000,
    5_000_000,
    25_000_000,
    100_000_000,
    250_000_000,
    1_000_000_000,
    5_000_000_000,
    30_000_000_000,
];
