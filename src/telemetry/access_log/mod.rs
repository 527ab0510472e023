//! The access log: one line per exchange, also when it was aborted.

mod record;
mod sample;

pub use record::{AttemptView, Line};
pub use sample::Sample;
