//! Records of exchanges that a worker keeps: lines of the access log, and the latest ones for the
//! admin API.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use crate::{
    semantics::secret_names::SecretNames,
    state::{
        RequestView, Snapshot,
        heads::{HeadOrigin, HeadRing, RecentHead},
    },
    telemetry::{
        access_log::{AccessLog, Line, WorkerLog},
        recent::{RecentExchange, RecentRing},
        trace::{TraceSpool, TraceView, WorkerTraces},
    },
};

/// The access log and the latest exchanges.
#[derive(Debug)]
pub(super) struct Records {
    log: RefCell<Option<WorkerLog>>,
    traces: RefCell<Option<WorkerTraces>>,
    recent: Arc<RecentRing>,
    /// Records kept for the admin API since the last tick.
    kept: Cell<u32>,
    heads: Arc<HeadRing>,
    /// Heads to keep until the next tick.
    heads_wanted: Cell<u32>,
    /// Heads kept so far, as many as the ring has room for.
    heads_kept: Cell<usize>,
}

impl Records {
    pub(super) fn new(recent: Arc<RecentRing>, heads: Arc<HeadRing>) -> Self {
        Self {
            log: RefCell::new(None),
            traces: RefCell::new(None),
            recent,
            kept: Cell::new(0),
            heads,
            heads_wanted: Cell::new(HEADS_PER_TICK_AT_FIRST),
            heads_kept: Cell::new(0),
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

    pub(super) fn write_trace(&self, line: &Line<'_>, trace: &TraceView<'_>) {
        if let Some(traces) = &mut *self.traces.borrow_mut() {
            traces.write(line, trace);
        }
    }

    /// Passes waiting lines and spans on, and starts a new quota of kept exchanges.
    pub(super) fn tick(&self) {
        self.kept.set(0);
        let is_full = self.heads_kept.get() >= self.heads.capacity;
        self.heads_wanted.set(match is_full {
            false => HEADS_PER_TICK_AT_FIRST,
            true => HEADS_PER_TICK,
        });
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

    pub(super) fn keep(&self, line: &Line<'_>, snapshot: &Snapshot) {
        self.recent.push(|| RecentExchange {
            generation: snapshot.generation,
            ..RecentExchange::of(line, &snapshot.secrets)
        });
    }

    /// Returns true if the next head is kept: the first ones of each tick. A ring that is full turns
    /// over slowly, so that it tells of minutes and not of seconds.
    pub(super) fn wants_head(&self) -> bool {
        self.heads_wanted.get() > 0
    }

    #[cold]
    pub(super) fn keep_head(
        &self,
        view: &RequestView<'_>,
        origin: HeadOrigin<'_>,
        names: &SecretNames,
    ) {
        self.heads_wanted
            .set(self.heads_wanted.get().saturating_sub(1));
        self.heads_kept.set(self.heads_kept.get().saturating_add(1));
        let head = RecentHead::of(view, origin, &self.heads.key, names);
        self.heads.push(head);
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
/// Maximum number of heads kept in each tick until the ring is full, and then.
const HEADS_PER_TICK_AT_FIRST: u32 = 20;
const HEADS_PER_TICK: u32 = 2;
