//! What the request path notes about one endpoint: atomics that workers write and the control thread sums.
//!
//! A success costs one relaxed load of the shared run of failures and one store to a line of the worker's own,
//! where it counts for eight endpoints: they are asked one after the other, and each line is cold in a large pool.
//! Only failures write a line that other workers read.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release},
    },
};

use tokio::time::Instant;

use super::state::PoolHealthState;

/// What a request to an endpoint came to, as far as the endpoint's health goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It answered, and not in a way that speaks of trouble.
    Success,
    /// It did not answer, or with a status that counts as a failure. Never for a client that went away.
    Failure,
}

/// The counters of one endpoint, shared by all threads and all endpoint sets that hold it.
#[derive(Debug)]
pub struct EndpointHealth {
    shared: Padded<Shared>,
    address: Arc<str>,
}

impl EndpointHealth {
    pub(super) fn new(address: Arc<str>, counts: Tally) -> Self {
        let shared = Shared {
            failures_in_a_row: AtomicU32::default(),
            gate: AtomicU64::default(),
            counts,
        };
        Self {
            shared: Padded(shared),
            address,
        }
    }

    /// The identity of the endpoint.
    #[must_use]
    pub const fn address(&self) -> &Arc<str> {
        &self.address
    }

    /// All successes and failures so far.
    #[must_use]
    pub fn totals(&self) -> (u64, u64) {
        let all = self.shared.0.counts.all();
        all.fold((0, 0), |(successes, failures), counts| {
            let own = (
                counts.successes.load(Relaxed),
                counts.failures.load(Relaxed),
            );
            (successes.wrapping_add(own.0), failures.wrapping_add(own.1))
        })
    }

    /// Counts a success and ends the run of failures.
    pub(super) fn succeeded(&self, worker: usize) {
        let run = &self.shared.0.failures_in_a_row;
        if run.load(Relaxed) != 0 {
            run.store(0, Relaxed);
        }
        if let Some(counts) = self.shared.0.counts.of(worker) {
            bump(&counts.successes);
        }
    }

    /// Counts a failure and returns the length of the run.
    pub(super) fn failed(&self, worker: usize) -> u32 {
        if let Some(counts) = self.shared.0.counts.of(worker) {
            bump(&counts.failures);
        }
        self.shared
            .0
            .failures_in_a_row
            .fetch_add(1, Relaxed)
            .wrapping_add(1)
    }

    pub(super) fn forget_failures(&self) {
        self.shared.0.failures_in_a_row.store(0, Relaxed);
    }

    /// Opens the gate for one probe request, or closes it. Called under the lock of the pool's machine.
    pub(super) fn set_probation(&self, on: bool) {
        let word = self.shared.0.gate.load(Relaxed);
        match (on, word & PLACE) {
            // A new number, so that a request of an earlier probation cannot open or answer this one.
            (true, CLOSED) => self
                .shared
                .0
                .gate
                .store((word & !PLACE).wrapping_add(NUMBER_STEP) | FREE, Release),
            (false, FREE | TAKEN) => self.shared.0.gate.store(word & !PLACE, Release),
            _ => {}
        }
    }

    /// Claims the probe request; returns the gate's word as the claim.
    pub(super) fn claim(&self) -> Option<u64> {
        let word = self.shared.0.gate.load(Relaxed);
        if word & PLACE != FREE {
            return None;
        }
        let taken = (word & !PLACE) | TAKEN;
        self.shared
            .0
            .gate
            .compare_exchange(word, taken, Acquire, Relaxed)
            .ok()
            .map(|_| taken)
    }

    /// Whether a claim still is the one that decides.
    pub(super) fn holds(&self, claim: u64) -> bool {
        self.shared.0.gate.load(Acquire) == claim
    }

    fn give_back(&self, claim: u64) {
        let free = (claim & !PLACE) | FREE;
        // A claim that is no longer the one in force has nothing to give back.
        let _ = self
            .shared
            .0
            .gate
            .compare_exchange(claim, free, Release, Relaxed);
    }
}

/// The one request that decides whether an endpoint on probation comes back.
///
/// Dropped without an outcome (the client went away), it is given back and another request decides.
#[must_use = "dropping it gives the probe request back"]
pub struct ProbeRequest {
    pool: Arc<PoolHealthState>,
    endpoint: Arc<EndpointHealth>,
    claim: u64,
}

impl ProbeRequest {
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

    /// Decides, at the response head and not at the end of a long body. Takes the place of `observe`.
    pub fn finish(self, outcome: Outcome, now: Instant) {
        self.pool
            .probe_request(&self.endpoint, self.claim, outcome, now);
    }
}

impl Drop for ProbeRequest {
    fn drop(&mut self) {
        // After `finish` the gate is closed or carries another number, so this changes nothing.
        self.endpoint.give_back(self.claim);
    }
}

impl fmt::Debug for ProbeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProbeRequest")
            .field("endpoint", &self.endpoint.address)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Shared {
    failures_in_a_row: AtomicU32,
    /// The number of the probation and, in its low bits, whether its probe request is free or taken.
    gate: AtomicU64,
    /// Only read; here because whoever looks at the failures goes there next.
    counts: Tally,
}

/// Gives each endpoint its tally.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    newest: Option<Tally>,
}

/// Where the workers count the outcomes of one endpoint.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    block: Arc<[Block]>,
    at: usize,
}

/// The counts of one worker for endpoints that joined one after the other, written by that worker alone.
type Block = Padded<[Counts; BLOCK_ENDPOINTS]>;

impl Tallies {
    /// A tally that nobody had before. Memory goes when the last endpoint of a block does.
    pub(super) fn next(&mut self, workers: usize) -> Tally {
        let next = match self.newest.take() {
            Some(Tally { block, at }) if at + 1 < BLOCK_ENDPOINTS => Tally { block, at: at + 1 },
            Some(_) | None => Tally {
                block: std::iter::repeat_with(Block::default)
                    .take(workers.max(1))
                    .collect(),
                at: 0,
            },
        };
        self.newest.insert(next).clone()
    }
}

impl Tally {
    fn of(&self, worker: usize) -> Option<&Counts> {
        self.block.get(worker)?.0.get(self.at)
    }

    fn all(&self) -> impl Iterator<Item = &Counts> {
        self.block.iter().filter_map(|own| own.0.get(self.at))
    }
}

#[derive(Debug, Default)]
struct Counts {
    successes: AtomicU64,
    failures: AtomicU64,
}

/// Adds one to a counter with a single writer: no locked instruction.
fn bump(counter: &AtomicU64) {
    counter.store(counter.load(Relaxed).wrapping_add(1), Relaxed);
}

/// A value on cache lines of its own: two of them, since they are fetched in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded<T>(T);

/// As many as fit on a [`Padded`] line.
const BLOCK_ENDPOINTS: usize = 8;

const PLACE: u64 = 0b11;
const CLOSED: u64 = 0;
const FREE: u64 = 1;
const TAKEN: u64 = 2;
const NUMBER_STEP: u64 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> EndpointHealth {
        EndpointHealth::new("127.0.0.1:1".into(), Tallies::default().next(2))
    }

    #[test]
    fn endpoints_that_share_a_line_count_for_themselves() {
        let mut tallies = Tallies::default();
        let endpoints: Vec<_> = (0..BLOCK_ENDPOINTS * 2 + 1)
            .map(|_| EndpointHealth::new("127.0.0.1:1".into(), tallies.next(2)))
            .collect();
        for (count, endpoint) in endpoints.iter().enumerate() {
            (0..count).for_each(|_| endpoint.succeeded(count % 2));
        }
        for (count, endpoint) in (0..).zip(&endpoints) {
            assert_eq!(endpoint.totals(), (count, 0));
        }
        assert_eq!(size_of::<Block>(), size_of::<Padded<u8>>());
    }

    #[test]
    fn each_worker_counts_for_itself_and_a_stranger_is_not_counted() {
        let endpoint = endpoint();
        endpoint.succeeded(0);
        endpoint.failed(1);
        endpoint.failed(1);
        endpoint.succeeded(7);
        assert_eq!(endpoint.totals(), (1, 2));
    }

    #[test]
    fn a_success_ends_the_run_of_failures() {
        let endpoint = endpoint();
        assert_eq!((endpoint.failed(0), endpoint.failed(1)), (1, 2));
        endpoint.succeeded(0);
        assert_eq!(endpoint.failed(1), 1);
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
