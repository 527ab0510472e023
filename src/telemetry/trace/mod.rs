//! Traces: spans of exchanges and attempts, made from the record of an exchange at its end.
//!
//! A worker encodes the spans of a recorded exchange into a buffer of its own, in the form that the
//! collector takes, and passes full buffers to control through a bounded queue. The data path never
//! waits for a collector: if the queue is full, spans are dropped and counted. Names of attributes
//! are those of OpenTelemetry's conventions for HTTP.

mod encode;
pub mod otlp;
mod settings;
mod span;
mod spool;
pub mod zipkin;

pub use settings::{Accept, TraceEncoding, TraceSettings};
pub use span::TraceView;
pub(in crate::telemetry) use span::host_and_port;
pub use spool::{SpanBatch, TraceSpool, WorkerTraces};

#[cfg(test)]
mod tests;
