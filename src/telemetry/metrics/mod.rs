//! Metrics: a registry with cells that only one worker writes.
//!
//! A handle ([`Counter`], [`Gauge`], [`Histogram`]) is made once, when its object appears, and then
//! costs a relaxed load and store per event: no lock, no hash, no cache line that another worker
//! writes. A scrape sums the cells of all workers. State: the registry (families, series, counts of
//! dropped handles).
//!
//! Bounded by design: at most `series_max` label sets; further ones are counted in one series per
//! family whose labels are all `other`. Series of endpoints do not count there: they have a limit of
//! their own. Exposition: Prometheus text format 0.0.4 or OpenMetrics 1.0.0.

mod arena;
mod buckets;
mod carried;
mod counted;
mod descriptor;
mod endpoint_names;
mod endpoint_places;
mod exemplar;
mod exposition;
mod family;
pub mod names;
mod process;
mod process_names;
mod recorder;
mod registry;
mod rollout_names;
mod shared;
mod text;
mod worker_counters;

pub use arena::GaugeReader;
pub use buckets::coarser_cells;
pub use carried::Counts;
pub use descriptor::{CounterDesc, GaugeDesc, HistogramDesc};
pub use exposition::Exposition;
pub(crate) use process::resident_bytes;
pub use recorder::{Counter, CounterMap, Gauge, Histogram, Metrics, SeriesLimits, WorkerMetrics};
pub use shared::{ControlMetrics, SharedCounter, SharedGauge, SharedHistogram};
pub use worker_counters::{ListenerMetrics, WorkerCounters};

#[cfg(test)]
mod tests;
