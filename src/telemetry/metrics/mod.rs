//! Metrics: a registry with cells that only one worker writes.
//!
//! A handle ([`Counter`], [`Gauge`], [`Histogram`]) is made once, when its object appears, and then
//! costs a relaxed load and store per event: no lock, no hash, no cache line that another worker
//! writes. A scrape sums the cells of all workers. State: the registry (families, series, counts of
//! dropped handles).
//!
//! Bounded by design: at most `series_max` label sets; further ones are counted in one series per
//! family whose labels are all `other`. Exposition: Prometheus text format 0.0.4.

mod arena;
mod carried;
mod counted;
mod descriptor;
mod family;
pub mod names;
mod process;
mod process_names;
mod recorder;
mod registry;
mod shared;
mod text;
mod worker_counters;

pub use arena::GaugeReader;
pub use carried::Counts;
pub use descriptor::{CounterDesc, GaugeDesc, HistogramDesc};
pub(crate) use process::resident_bytes;
pub use recorder::{Counter, CounterMap, Gauge, Histogram, Metrics, WorkerMetrics};
pub use shared::{ControlMetrics, SharedCounter, SharedGauge, SharedHistogram};
pub use worker_counters::{ListenerMetrics, WorkerCounters};

/// Media type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

#[cfg(test)]
mod tests;
