//! Behaviour of a worker while the process is short of memory.
//!
//! Idle connections go first, then clients that stand still, then new work is refused. A worker
//! that carries next to nothing refuses nothing: what it holds is not what fills the memory, and
//! a process whose memory does not come back must not end up refusing everything.

use std::time::Duration;

use tokio::time::Instant;

use super::{Connection, Worker};
use crate::resilience::Pressure;

impl Worker {
    /// Closes what is idle.
    pub(crate) fn relieve(&self) {
        // What changed since control has asked counts.
        if self.shared.pressure() == Pressure::Calm {
            return;
        }
        self.close_connections(|connection| connection.in_flight.get() == 0);
        let now = Instant::now();
        for pool in &self.snapshot().pools {
            pool.sweep(now, IDLE_UPSTREAM);
        }
    }

    /// Returns true if a new connection is more than there is memory for.
    pub(super) fn refuses_connections(&self) -> bool {
        self.shared.pressure() == Pressure::Full && self.connections.count() >= CONNECTIONS_SERVED
    }
}

impl Connection {
    /// Returns true if a new request is more than there is memory for; counts it then.
    pub(crate) fn refuses_requests(&self) -> bool {
        let worker = &self.worker;
        if worker.shared.pressure() != Pressure::Full {
            return false;
        }
        // The request itself is counted already.
        if self.exchanges.reader().value() <= REQUESTS_SERVED {
            return false;
        }
        worker.counters.shed("memory");
        true
    }

    /// Time for which its client may stand still, of that which the listener allows.
    pub(crate) fn patience(&self, allowed: Duration) -> Duration {
        match self.worker.shared.pressure() {
            Pressure::Calm => allowed,
            Pressure::Tight | Pressure::Full => allowed.min(STANDS_STILL),
        }
    }
}

/// Connections and requests of a listener at once that each worker serves even then.
const CONNECTIONS_SERVED: usize = 8;
const REQUESTS_SERVED: i64 = 8;
/// Maximum time that a client may stand still while memory is short.
const STANDS_STILL: Duration = Duration::from_secs(2);
/// Maximum idle time of upstream connections then.
const IDLE_UPSTREAM: Duration = Duration::from_secs(1);
