//! The state of a pool for the next process of an upgrade, and the decisions of operators for
//! that after a restart.

use tokio::time::Instant;

use super::PoolHealthState;
use crate::upstream::health::{CarriedEndpoint, Decisions};

impl PoolHealthState {
    /// Returns the state of the endpoints for the next process.
    #[must_use]
    pub fn carried(&self, now: Instant) -> Vec<CarriedEndpoint> {
        let mut inner = self.lock();
        let changes = inner.hear(now);
        let carried = inner.machine.carried(now);
        self.take(inner, changes, now);
        carried
    }

    /// Goes on with what another process knew.
    pub fn take_over(&self, carried: &[CarriedEndpoint], now: Instant) {
        self.apply(now, |machine| machine.take_over(carried, now));
        self.publish(&mut self.lock(), now);
    }

    /// Goes on with the decisions of operators that an earlier process kept, before the pool has
    /// its endpoints.
    pub fn restore(&self, decisions: Decisions) {
        self.lock().machine.restore(decisions);
    }

    /// Returns the decisions of operators, for the next process.
    #[must_use]
    pub fn decisions(&self) -> Decisions {
        self.lock().machine.decisions()
    }

    /// Returns true if decisions may differ from those at the last call.
    pub fn take_decided(&self) -> bool {
        self.lock().machine.take_decided()
    }

    /// Forgets decisions on endpoints that have not joined: the pool has its whole list.
    pub fn forget_waiting(&self) {
        self.lock().machine.forget_waiting();
    }
}
