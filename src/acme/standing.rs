//! Standing of a certificate that a CA issues: what is known of it now. It outlives reloads.

use std::{
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

/// Standing of one certificate; written by the service, read by the admin API.
#[derive(Debug, Default)]
pub struct Standing(Mutex<Status>);

/// Knowledge of a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// End of its validity, in seconds of Unix time; none: there is none yet.
    pub expires: Option<i64>,
    /// An order is under way.
    pub ordering: bool,
    /// Time of the next order.
    pub next: Option<SystemTime>,
    /// Failed orders in a row.
    pub failures: u32,
    /// Time of the first of them that this process has seen.
    pub failing_since: Option<SystemTime>,
    /// Reason why the last order failed.
    pub error: Option<String>,
}

impl Standing {
    /// Returns the present knowledge.
    pub fn status(&self) -> Status {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Replaces the knowledge.
    pub fn set(&self, status: Status) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }
}
