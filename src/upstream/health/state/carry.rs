//! The state of a pool for the next process of an upgrade.

use tokio::time::Instant;

use super::PoolHealthState;
use crate::upstream::health::CarriedEndpoint;

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
}
