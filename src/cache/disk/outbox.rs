//! Work for the thread that writes: bounded, and never waited for by who adds.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    bans::{Ban, Bans},
    writer::Write,
};

/// Writes and purges that are still to be done.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
    /// Something was added, or has ended.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    writes: VecDeque<Write>,
    bytes: u64,
    purges: Bans,
    /// Something happened that is not in here.
    woken: bool,
    busy: bool,
    /// The last write that came found no room.
    full: bool,
    closed: bool,
    ended: bool,
}

/// Next work of the thread.
#[derive(Debug)]
pub(super) enum Job {
    /// Have these purges on disk.
    Purges(Bans),
    /// Write this answer.
    Write(Box<Write>),
    /// Look after the rest.
    Look,
    /// There will be no more.
    End,
}

impl Outbox {
    /// Adds an answer; false if too much waits already.
    pub(super) fn push(&self, write: Write) -> bool {
        let bytes = write.bytes();
        let mut state = self.state();
        let room = state.writes.is_empty()
            || state.writes.len() < WRITES_MAX && state.bytes + bytes <= BYTES_MAX;
        state.full = !room;
        if !room || state.closed {
            return false;
        }
        state.bytes += bytes;
        state.writes.push_back(write);
        drop(state);
        self.changed.notify_all();
        true
    }

    /// Adds a purge.
    pub(super) fn push_purge(&self, ban: Ban) {
        self.state().purges.add(ban);
        self.changed.notify_all();
    }

    /// Has the thread look after the rest.
    pub(super) fn wake(&self) {
        self.state().woken = true;
        self.changed.notify_all();
    }

    /// Waits for work, at most for `patience`; the last job has ended by then.
    pub(super) fn next(&self, patience: Duration) -> Job {
        let mut state = self.state();
        state.busy = false;
        self.changed.notify_all();
        if state.is_idle() && !state.closed {
            let idle = |state: &mut State| state.is_idle() && !state.closed;
            let waited = self.changed.wait_timeout_while(state, patience, idle);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.busy = true;
        state.woken = false;
        if !state.purges.is_empty() {
            return Job::Purges(std::mem::take(&mut state.purges));
        }
        match state.writes.pop_front() {
            Some(write) => {
                state.bytes -= write.bytes();
                Job::Write(Box::new(write))
            }
            None => {
                state.full = false;
                match state.closed {
                    true => Job::End,
                    false => Job::Look,
                }
            }
        }
    }

    /// Takes no more writes; the thread ends when it has done the rest.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    /// The thread has ended.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        state.busy = false;
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until the thread has ended; returns false if that takes longer than `patience`.
    pub(super) fn settle(&self, patience: Duration) -> bool {
        let state = self.state();
        let running = |state: &mut State| !state.ended;
        let waited = self.changed.wait_timeout_while(state, patience, running);
        waited.unwrap_or_else(PoisonError::into_inner).0.ended
    }

    /// Returns true while the thread is too slow for what comes.
    pub(super) fn is_full(&self) -> bool {
        self.state().full
    }

    /// Number of jobs that have not ended.
    pub(super) fn waiting(&self) -> usize {
        let state = self.state();
        state.writes.len() + state.purges.len() + usize::from(state.busy || state.woken)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.writes.is_empty() && self.purges.is_empty() && !self.woken
    }
}

/// Answers that wait to be written.
const WRITES_MAX: usize = 1024;
/// Bytes of answers that wait to be written; one waits whatever its size.
const BYTES_MAX: u64 = 32 << 20;
