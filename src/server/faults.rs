//! Faults of configurations in the log, each at its own level.

use crate::config::{Faults, Severity};

/// Logs the errors as errors and the warnings as warnings.
pub(super) fn log(faults: &Faults) {
    for line in faults.lines_of(&[Severity::Error]) {
        tracing::error!("{line}");
    }
    for line in faults.lines_of(&[Severity::Warning]) {
        tracing::warn!("{line}");
    }
}
