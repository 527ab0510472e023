//! `[tracing]`: spans of exchanges and attempts.

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;

use crate::config::{
    setting::{table, words},
    value::{HttpUrl, Ratio, Secret},
};

table! {
    /// Traces: context in headers, and spans for a collector.
    pub struct Tracing: Default {
        /// Collector that takes OTLP: over gRPC, or over HTTP if the URL has a path, such as `"http://127.0.0.1:4318/v1/traces"`.
        pub otlp: Option<HttpUrl> = None,
        /// Collector that takes the JSON of Zipkin, version 2, such as `"http://127.0.0.1:9411/api/v2/spans"`.
        pub zipkin: Option<HttpUrl> = None,
        /// Headers of each export, such as a key of the collector.
        pub headers: Vec<(HeaderName, Secret)> = Vec::new(),
        /// File of the authorities that may certify the collector, as PEM. Without it the system's.
        pub ca: Option<PathBuf> = None,
        /// Share of the traces that begin here and are recorded. A trace that another process began is recorded as that one decided.
        pub sample: Ratio = Ratio::percent(1),
        /// Exchanges that are recorded although they were not sampled. Their traces have the spans of this proxy only.
        pub always: TraceAlways = TraceAlways::default(),
        /// Formats of the context in headers, in the order in which they are looked for; each is written.
        pub propagate: Vec<TracePropagation> = vec![TracePropagation::TraceContext],
        /// Peers whose context is continued. The context of others is replaced.
        pub accept: TraceAccept = TraceAccept::Trusted,
        /// Name of this service in the spans.
        pub service: String = "sluicegate".to_owned(),
    }
}

table! {
    /// Exchanges that are always recorded.
    pub struct TraceAlways: Default {
        /// Those that failed: with a status of 500 or more, or because of the proxy or an endpoint.
        pub failed: bool = false,
        /// Those that took at least this long.
        pub slow: Option<Duration> = None,
    }
}

words! {
    /// Format of the trace context.
    pub enum TracePropagation {
        /// `traceparent` and `tracestate` of the W3C.
        TraceContext = "tracecontext",
        /// The field `b3` of Zipkin. Both of its forms are read.
        B3 = "b3",
        /// The fields `X-B3-TraceId` and kin. Both forms are read.
        B3Multi = "b3multi",
    }
}

words! {
    /// Peers whose trace context is continued.
    pub enum TraceAccept {
        /// Those of `proxy.trusted_proxies`.
        Trusted = "trusted",
        /// All.
        All = "all",
        /// None: every trace begins here.
        None = "none",
    }
}
