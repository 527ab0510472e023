//! Settings of tracing, as far as workers need them.

use std::{sync::Arc, time::Duration};

use crate::{
    semantics::{
        secret_names::SecretNames,
        trace::{Incoming, Sampling, TraceFormat, TraceId},
    },
    telemetry::access_log::Sample,
};

/// Settings of tracing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceSettings {
    /// Form of the spans; none: context is passed on, and nothing is recorded.
    pub encoding: Option<TraceEncoding>,
    /// Share of the traces that begin here and are recorded.
    pub sample: Sample,
    /// Record every exchange that failed.
    pub failed: bool,
    /// Record every exchange that took at least this long.
    pub slow: Option<Duration>,
    /// Formats that are read, in this order, and written.
    pub formats: Vec<TraceFormat>,
    /// Peers whose context is believed.
    pub accept: Accept,
    /// Names of query parameters whose values spans do not show.
    pub names: Arc<SecretNames>,
    /// Name of the service, for Zipkin, which wants it in each span.
    pub service: Box<str>,
}

/// Form of the spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceEncoding {
    /// Protocol buffers of OpenTelemetry.
    Otlp,
    /// JSON of Zipkin, version 2.
    Zipkin,
}

/// Peers whose context is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// Those of `trusted_proxies`.
    Trusted,
    /// All.
    All,
    /// None: every trace begins here.
    Nobody,
}

impl TraceSettings {
    /// Decides if a trace is recorded: as its sender did, else by its share.
    pub fn samples(&self, trace: TraceId, sent: Option<&Incoming>) -> bool {
        match sent.map_or(Sampling::Undecided, |sent| sent.sampling) {
            Sampling::Sampled => true,
            Sampling::NotSampled => false,
            Sampling::Undecided => self.sample.takes_draw(trace.low()),
        }
    }

    /// Returns true if an exchange is recorded at its end, although it was not sampled.
    pub fn takes_late(&self, failed: bool, took: Duration) -> bool {
        (failed && self.failed) || self.slow.is_some_and(|slow| took >= slow)
    }
}
