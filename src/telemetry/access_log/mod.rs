//! The access log: one line per exchange, including aborted ones.
//!
//! The worker formats a [`Line`] into a buffer of its own and passes full buffers to a writer
//! thread through a bounded queue. The data path never waits for the disk: if the queue is full,
//! lines are dropped and counted.

mod clock;
mod format;
mod record;
mod sample;
mod sink;

pub use format::{FIELD_NAMES, Format, FormatError, Redaction};
pub use record::{AttemptView, Line};
pub use sample::Sample;
pub use sink::{
    AccessLog, AccessLogSettings, LogStep, Rotation, SinkTarget, SyslogAddress, SyslogTarget,
    WorkerLog,
};
