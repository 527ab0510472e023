//! Faults of an access log that last: noted by those who write, read by those who tell.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Steps of the writer that can fail for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogStep {
    /// Writing lines.
    Write,
    /// Beginning a new file when the old one is large enough.
    Rotate,
    /// Opening the file anew, because its name leads to another one now.
    Reopen,
}

/// Faults of an access log, and the number of its lost lines.
#[derive(Debug, Default)]
pub(super) struct LogFaults {
    lost: AtomicU64,
    now: Mutex<BTreeMap<LogStep, String>>,
}

impl LogFaults {
    /// Notes how the last step of this kind went.
    pub(super) fn note(&self, step: LogStep, went: Result<(), String>) {
        match went {
            Ok(()) => self.lock().remove(&step),
            Err(why) => self.lock().insert(step, why),
        };
    }

    /// Returns the reason why the last step of this kind failed, if it did.
    pub(super) fn of(&self, step: LogStep) -> Option<String> {
        self.lock().get(&step).cloned()
    }

    pub(super) fn lose(&self, lines: u64) {
        self.lost.fetch_add(lines, Ordering::Relaxed);
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<LogStep, String>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
