//! Turns of a connection: how many requests begin before other connections have their turn.
//!
//! A client that cancels requests as fast as it sends them (CVE-2023-44487) costs little: fewer of
//! its requests begin in a turn, and each of them only a turn after it has arrived, when it is known
//! whether the client still wants it. Other clients notice nothing of that.

use super::{receive::Opened, session::Session};

/// Requests of one turn of a connection.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// Requests that may still begin in this turn.
    left: u32,
    /// Frames that have arrived wait for the next turn.
    pub(crate) has_rest: bool,
    /// Requests that begin in the next turn, unless they are cancelled until then.
    put_off: Vec<Opened>,
}

impl Turn {
    /// Starts a turn; `wary` of a client that cancels most of its requests.
    #[inline]
    pub(super) fn begin(&mut self, wary: bool) {
        self.left = if wary { WARY_AT_ONCE } else { AT_ONCE };
    }

    /// Returns true if no more requests may begin in this turn.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.left == 0
    }

    /// Counts a request that begins.
    #[inline]
    pub(super) fn count(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// Number of requests that wait for the next turn.
    #[inline]
    pub(crate) fn waiting(&self) -> usize {
        self.put_off.len()
    }
}

impl Session {
    /// Passes a request that begins to `open`, or puts it off.
    #[inline]
    pub(super) fn start(&mut self, opened: Opened, open: &mut impl FnMut(Opened)) {
        self.turn.count();
        if self.meter.is_wary() {
            self.turn.put_off.push(opened);
        } else {
            open(opened);
        }
    }

    /// Begins those of the first `count` requests put off that have not been cancelled since.
    #[cold]
    pub(crate) fn start_put_off(&mut self, count: usize, open: &mut impl FnMut(Opened)) {
        let later = self.turn.put_off.split_off(count);
        for opened in std::mem::replace(&mut self.turn.put_off, later) {
            if opened.0.is_over() {
                self.abandon(&opened.0);
            } else {
                open(opened);
            }
        }
    }
}

/// Requests that begin before those which have begun get their turn. A client that resets streams
/// as fast as it opens them then has no more than these waiting to be dropped.
const AT_ONCE: u32 = 32;
/// The same of a client that cancels most of its requests.
const WARY_AT_ONCE: u32 = 8;
