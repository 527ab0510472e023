//! Records of exchanges that a worker keeps: lines of the access log, and the latest ones for the
//! admin API.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use crate::telemetry::{
    access_log::{AccessLog, Line, WorkerLog},
    recent::{RecentExchange, RecentRing},
    trace::{TraceSpool, TraceView, WorkerTraces},
};

/// The access log and the latest exchanges.
#[derive(Debug)]
pub(super) struct Records {
    log: RefCell<Option<WorkerLog>>,
    traces: RefCell<Option<WorkerTraces>>,
    recent: Arc<RecentRing>,
    /// Records kept for the admin API since the last tick.
    kept: Cell<u32>,
}

impl Records {
    pub(super) fn new(recent: Arc<RecentRing>) -> Self {
        Self {
            log: RefCell::new(None),
            traces: RefCell::new(None),
            recent,
            kept: Cell::new(0),
        }
    }

    /// Writes to this log from now on.
    pub(super) fn take_up(&self, log: Option<&AccessLog>) {
        *self.log.borrow_mut() = log.map(AccessLog::worker);
    }

    /// Passes spans to this queue from now on.
    pub(super) fn take_up_traces(&self, spool: Option<&TraceSpool>) {
        *self.traces.borrow_mut() = spool.map(TraceSpool::worker);
    }

    pub(super) fn write_trace(&self, line: &Line<'_>, trace: &TraceView) {
        if let Some(traces) = &mut *self.traces.borrow_mut() {
            traces.write(line, trace);
        }
    }

    /// Passes waiting lines and spans on, and starts a new quota of kept exchanges.
    pub(super) fn tick(&self) {
        self.kept.set(0);
        if let Some(log) = &mut *self.log.borrow_mut() {
            log.flush();
        }
        if let Some(traces) = &mut *self.traces.borrow_mut() {
            traces.flush();
        }
    }

    pub(super) fn has_log(&self) -> bool {
        self.log.borrow().is_some()
    }

    pub(super) fn write_line(&self, line: &Line<'_>) {
        if let Some(log) = &mut *self.log.borrow_mut() {
            log.write(line);
        }
    }

    pub(super) fn keep(&self, line: &Line<'_>, generation: u64) {
        self.recent.push(|| RecentExchange {
            generation,
            ..line.into()
        });
    }

    /// Returns true if an exchange is kept: the first ones of each tick, which are all of them
    /// under light load, and a bounded cost under heavy load.
    pub(super) fn samples(&self) -> bool {
        let kept = self.kept.get();
        self.kept.set(kept.saturating_add(1));
        kept < KEPT_PER_TICK
    }
}

/// Maximum number of records kept for the admin API in each tick.
const KEPT_PER_TICK: u32 = 20;
