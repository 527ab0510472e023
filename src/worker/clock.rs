//! Wall clock of a worker, read rarely.

use std::{
    cell::{Cell, RefCell},
    time::{Duration, SystemTime},
};

use http::HeaderValue;
use tokio::time::Instant;

use crate::{semantics::date::DateCache, timer};

/// The wall clock and the runtime's, read together: a request reads only the latter.
#[derive(Debug)]
pub(super) struct Clock {
    read: Cell<(Duration, Instant)>,
    date: RefCell<DateCache>,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self {
            read: Cell::new(clocks()),
            date: RefCell::new(DateCache::new()),
        }
    }

    /// Reads both clocks.
    pub(super) fn tick(&self) {
        self.read.set(clocks());
    }

    /// Time since the Unix epoch, from the last tick and the time since.
    pub(super) fn since_epoch(&self) -> Duration {
        let (unix, then) = self.read.get();
        unix + timer::recent().saturating_duration_since(then)
    }

    /// The time in the HTTP format.
    pub(super) fn date(&self) -> [u8; 29] {
        *self.date.borrow_mut().text(self.unix_seconds())
    }

    /// The value of a `Date` field.
    pub(super) fn date_value(&self) -> HeaderValue {
        self.date.borrow_mut().header_value(self.unix_seconds())
    }

    fn unix_seconds(&self) -> u64 {
        self.since_epoch().as_secs()
    }
}

/// The wall clock, since the Unix epoch, and the runtime's.
fn clocks() -> (Duration, Instant) {
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    (unix.unwrap_or_default(), timer::now())
}
