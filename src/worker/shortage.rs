//! Log of connections that cannot be accepted for want of descriptors or memory, rate limited.
//!
//! A shortage repeats itself for each new connection, and anybody can cause them.

use std::{
    io,
    sync::{Arc, LazyLock},
};

use tokio::time::Instant;

use crate::telemetry::log::LogLimit;

/// The step that failed for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// Accepting it from the socket.
    Accept,
    /// Passing it to another worker.
    HandOn,
    /// Taking it over from another worker.
    TakeOver,
}

/// Logs the shortage, at most every few seconds for each listener, step and kind of error.
pub(crate) fn tell(listener: &Arc<str>, step: Step, error: &io::Error) {
    let kind = (Arc::clone(listener), step, error.kind());
    let Some(passed_over) = TOLD.due(kind, Instant::now()) else {
        return;
    };
    match step {
        Step::Accept => {
            tracing::warn!(%listener, %error, passed_over, "cannot accept a connection");
        }
        Step::HandOn => {
            tracing::warn!(%listener, %error, passed_over, "cannot hand on a connection");
        }
        Step::TakeOver => {
            tracing::warn!(%listener, %error, passed_over, "cannot take over a connection");
        }
    }
}

static TOLD: LazyLock<LogLimit<(Arc<str>, Step, io::ErrorKind)>> = LazyLock::new(LogLimit::default);
