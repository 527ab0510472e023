//! The age of a connection with many streams: when it is closed for want of requests, or because it
//! was used for long enough. For HTTP/2 and HTTP/3.

use std::time::Duration;

use tokio::time::Instant;

use crate::worker::Connection;

/// Follows the requests of a connection. The clock is an argument.
#[derive(Debug, Default)]
pub(super) struct Age {
    /// Time since when there has been no request.
    quiet_since: Option<Instant>,
    requests_seen: u64,
}

/// Verdict on the age of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Its idle time, its lifetime or its number of requests is over: the client is to be told.
    Over,
    /// The client was told, has no request, and has not gone.
    Overdue,
    /// It stays until then at least; always in the future.
    Until(Instant),
}

impl Age {
    /// Looks at a connection, which has open requests if it is busy.
    pub(super) fn look(&mut self, connection: &Connection, busy: bool, now: Instant) -> Verdict {
        let requests = connection.requests.get();
        if busy || requests != self.requests_seen {
            self.requests_seen = requests;
            self.quiet_since = None;
        }
        let quiet_since = match busy {
            true => now,
            false => *self.quiet_since.get_or_insert(now),
        };
        let listener = connection.known_listener();
        let worn = connection.is_worn(listener.requests_per_connection, 0);
        let deadline = quiet_since + listener.timeouts.idle;
        let idle = !busy && now >= deadline;
        let end = connection.end_of_life(listener.timeouts.lifetime);
        let old = end.is_some_and(|end| now >= end);
        if (idle || worn || old) && !connection.is_closing() {
            return Verdict::Over;
        }
        if idle && now >= deadline + GOODBYE {
            return Verdict::Overdue;
        }
        let next = end
            .filter(|_| !old)
            .map_or(deadline, |end| deadline.min(end));
        Verdict::Until(if next <= now { now + AGAIN } else { next })
    }
}

/// Time that a client has to leave after a GOAWAY.
const GOODBYE: Duration = Duration::from_secs(5);
/// Delay until a deadline that has passed is checked again.
const AGAIN: Duration = Duration::from_secs(1);
