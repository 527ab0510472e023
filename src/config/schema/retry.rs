//! `retry` of a route: when another endpoint is tried.

use std::time::Duration;

use crate::config::setting::table;
use crate::config::value::{ByteSize, RetryOn};
use http::StatusCode;

table! {
    /// When another endpoint is tried.
    pub struct Retry: Default {
        /// Tries in all, from 1 (no retry) to 10. A try at which nothing of the request was written does not count while an endpoint is left that was not tried, up to 32 of them.
        pub attempts: u32 = 3,
        /// After which outcomes: `"connect"` (no connection or TLS), `"reset"` (it broke, or what came is no answer: malformed, too large), `"refused-stream"`, `"timeout"`, `"5xx"`, a status such as `"503"`, `"grpc:unavailable"` and the other gRPC errors. `"502"` and `"5xx"` also mean what the proxy would answer with 502; its own 504 is `"timeout"`.
        pub on: Vec<RetryOn> = default_outcomes(),
        /// How long to wait before the next try.
        pub backoff: Backoff = Backoff::default(),
        /// Bytes of a request body kept to be sent again; a longer one is sent once.
        pub body_max: ByteSize = ByteSize::kib(64),
        /// Whether an `Idempotency-Key` header makes any method safe to repeat.
        pub idempotency_key: bool = false,
    }
}

table! {
    /// How long to wait before the next try: a random time up to `base`, doubled each try.
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
