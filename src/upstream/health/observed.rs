//! Outcomes of one endpoint that the request path counts, and the gate for its trial.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release},
    },
};

use tokio::time::Instant;

use super::{
    state::PoolHealthState,
    tally::{Tally, Totals},
};

/// Outcome of a request to an endpoint, as far as it concerns the endpoint's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observed {
    /// It answered, without a sign of trouble.
    Success,
    /// It answered with a status that is a sign of trouble, or late: the cause may be the request
    /// as well as the endpoint.
    BadAnswer,
    /// It did not answer. Never for a client that left.
    Failure,
}

/// The counters of one endpoint, shared by all threads and all endpoint sets that hold it.
#[derive(Debug)]
pub struct EndpointHealth {
    address: Arc<str>,
    tally: Tally,
    /// Number of the probation and, in its low bits, whether its trial is free or taken.
    gate: AtomicU64,
}

impl EndpointHealth {
    pub(super) const fn new(address: Arc<str>, tally: Tally) -> Self {
        Self {
            address,
            tally,
            gate: AtomicU64::new(CLOSED),
        }
    }

    /// Identity of the endpoint.
    #[must_use]
    pub const fn address(&self) -> &Arc<str> {
        &self.address
    }

    /// Tally of its outcomes.
    pub(super) const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Returns all outcomes so far, starting again at 0 after 2^32.
    #[must_use]
    pub(super) fn totals(&self) -> Totals {
        self.tally.totals()
    }

    /// Opens the gate for one trial, or closes it. Called under the lock of the pool's machine.
    pub(super) fn set_probation(&self, on: bool) {
        let word = self.gate.load(Relaxed);
        match (on, word & PLACE) {
            // A new number, so that a request of an earlier probation cannot open or answer this one.
            (true, CLOSED) => self
                .gate
                .store((word & !PLACE).wrapping_add(NUMBER_STEP) | FREE, Release),
            (false, FREE | TAKEN) => self.gate.store(word & !PLACE, Release),
            _ => {}
        }
    }

    /// Claims the trial; returns the gate's word as the claim.
    pub(super) fn claim(&self) -> Option<u64> {
        let word = self.gate.load(Relaxed);
        if word & PLACE != FREE {
            return None;
        }
        let taken = (word & !PLACE) | TAKEN;
        self.gate
            .compare_exchange(word, taken, Acquire, Relaxed)
            .ok()
            .map(|_| taken)
    }

    /// Returns true if this claim still decides.
    pub(super) fn holds(&self, claim: u64) -> bool {
        self.gate.load(Acquire) == claim
    }

    fn give_back(&self, claim: u64) {
        let free = (claim & !PLACE) | FREE;
        // A claim that is no longer the one in force has nothing to give back.
        let _ = self.gate.compare_exchange(claim, free, Release, Relaxed);
    }
}

/// The one request that decides whether an endpoint on probation comes back.
///
/// If dropped without an outcome (the client left), it is released and another request decides.
#[must_use = "dropping it gives the trial back"]
pub struct Trial {
    pool: Arc<PoolHealthState>,
    endpoint: Arc<EndpointHealth>,
    claim: u64,
}

impl Trial {
    pub(super) const fn new(
        pool: Arc<PoolHealthState>,
        endpoint: Arc<EndpointHealth>,
        claim: u64,
    ) -> Self {
        Self {
            pool,
            endpoint,
            claim,
        }
    }

    /// Decides, at the response head and not at the end of a long body. Used instead of `observe`.
    pub fn finish(self, outcome: Observed, now: Instant) {
        self.pool
            .trial_ended(&self.endpoint, self.claim, outcome, now);
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        // After `finish` the gate is closed or carries another number, so this changes nothing.
        self.endpoint.give_back(self.claim);
    }
}

impl fmt::Debug for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trial")
            .field("endpoint", &self.endpoint.address)
            .finish_non_exhaustive()
    }
}

const PLACE: u64 = 0b11;
const CLOSED: u64 = 0;
const FREE: u64 = 1;
const TAKEN: u64 = 2;
const NUMBER_STEP: u64 = 4;

#[cfg(test)]
mod tests {
    use super::super::tally::Tallies;
    use super::*;

    fn endpoint() -> EndpointHealth {
        EndpointHealth::new("127.0.0.1:1".into(), Tallies::default().next(2))
    }

    #[test]
    fn a_claim_of_an_earlier_probation_neither_opens_nor_answers_a_later_one() {
        let endpoint = endpoint();
        assert_eq!(endpoint.claim(), None);
        endpoint.set_probation(true);
        let old = endpoint.claim().unwrap();
        assert_eq!(endpoint.claim(), None);
        endpoint.set_probation(false);
        endpoint.set_probation(true);
        assert!(!endpoint.holds(old));
        let new = endpoint.claim().unwrap();
        endpoint.give_back(old);
        assert_eq!(endpoint.claim(), None);
        assert!(endpoint.holds(new));
        endpoint.give_back(new);
        assert!(endpoint.claim().is_some());
    }
}
