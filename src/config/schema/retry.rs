//! `retry` of a route: when another endpoint is tried.

use std::time::Duration;

use crate::config::setting::table;
use crate::config::value::{ByteSize, HedgeAfter, RetryOn};
use http::StatusCode;

table! {
    /// Retries at other endpoints.
    pub struct Retry: Default {
        /// Attempts in all, 1 (no retry) to 10. Attempts at which nothing of the request was written do not count while an untried endpoint is left, up to 32 of them.
        pub attempts: u32 = 3,
        /// Outcomes after which a request that may be repeated is tried again: `"connect"` (no connection or TLS session), `"reset"` (the connection broke before any of the response was passed on, or the response is malformed or too large), `"refused-stream"`, `"timeout"`, `"5xx"`, a status such as `"503"`, `"grpc:unavailable"` and other gRPC errors. `"502"` and `"5xx"` include failures that the proxy would answer with 502; its own 504 is `"timeout"`.
        pub on: Vec<RetryOn> = default_outcomes(),
        /// Wait before the next attempt.
        pub backoff: Backoff = Backoff::default(),
        /// Bytes of a request body that are kept to be sent again; a longer body is sent once.
        pub body_max: ByteSize = ByteSize::kib(64),
        /// Makes any method with an `Idempotency-Key` header safe to repeat.
        pub idempotency_key: bool = false,
    }
}

table! {
    /// Hedging: a second attempt at another endpoint, within the pool's `retry_budget`. The first good answer counts, and the other attempt is cancelled.
    pub struct Hedge {
        /// Time without a response head after which the second attempt begins: a duration, or a quantile such as `"p95"` (50 to 99) of the times that such requests took at the pool in the last 30 to 60 s, at least 1 ms. With a quantile there is no hedge while fewer than ten samples lie above it, which takes 200 requests for `"p95"`.
        pub after: HedgeAfter,
        /// Attempts beside the first, 1 to 3, each begun `after` the one before it and at another endpoint.
        pub max: u32 = 1,
    }
}

table! {
    /// Wait before the next attempt: a random time up to `base`, which doubles with each attempt.
    pub struct Backoff: Default {
        /// Bound of the first wait.
        pub base: Duration = Duration::from_millis(25),
        /// Bound of every wait.
        pub max: Duration = Duration::from_millis(250),
    }
}

fn default_outcomes() -> Vec<RetryOn> {
    vec![
        RetryOn::Connect,
        RetryOn::Reset,
        RetryOn::RefusedStream,
        RetryOn::Status(StatusCode::BAD_GATEWAY),
        RetryOn::Status(StatusCode::SERVICE_UNAVAILABLE),
        RetryOn::Status(StatusCode::GATEWAY_TIMEOUT),
    ]
}
