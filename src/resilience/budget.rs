//! Limit of the retries of a pool that are under way at once.
//!
//! Retries in flight stay below a share of the requests in flight, or a small minimum: if all
//! endpoints fail, retries add 20 % to the load instead of doubling it. A retry counts from its
//! decision, so those that wait in backoff are seen; counted only once sent, they would all be
//! allowed at the same moment. It counts until its response head: from then on it is an ordinary
//! request in flight, in place of the one that failed, and adds nothing to the load. Held to the
//! end of long answers, the budget would be used up by retries that have succeeded.
//!
//! Requests are counted per worker, each count in a cache line of its own with one writer, and
//! summed only when a retry is decided. The sum may be off by the requests that begin or end
//! meanwhile; the count of retries is one atomic and exact.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::memory::Padded;

/// The retry budget of a pool, shared by all workers. A clone is the same budget.
#[derive(Clone, Debug)]
pub struct RetryBudget(Arc<SharedBudget>);

#[derive(Debug)]
struct SharedBudget {
    requests: Box<[Padded<AtomicU32>]>,
    retries: Padded<AtomicU32>,
    /// Bits of an `f64`.
    ratio: AtomicU64,
    minimum: AtomicU32,
}

impl RetryBudget {
    /// Makes the budget for this many workers: 20 % of the requests in flight, at least 3.
    pub fn new(workers: usize) -> Self {
        Self(Arc::new(SharedBudget {
            requests: (0..workers).map(|_| Padded::default()).collect(),
            retries: Padded::default(),
            ratio: AtomicU64::new(RATIO.to_bits()),
            minimum: AtomicU32::new(MINIMUM),
        }))
    }

    /// Number of workers that it was made for.
    pub fn workers(&self) -> usize {
        self.0.requests.len()
    }

    /// Changes the limits; requests and retries in flight stay counted.
    pub fn set(&self, ratio: f64, minimum: u32) {
        self.0.ratio.store(ratio.to_bits(), Relaxed);
        self.0.minimum.store(minimum, Relaxed);
    }

    /// Returns the counter of a worker. Only that worker may hold it: the count has one writer.
    /// Requests of workers beyond the number that the budget was made for are not counted.
    pub fn worker(&self, index: usize) -> BudgetWorker {
        BudgetWorker(Rc::new(Share {
            budget: Arc::clone(&self.0),
            index,
        }))
    }

    /// Takes a retry out of the budget, until the guard is dropped; `None` if it is used up.
    pub fn try_withdraw(&self) -> Option<BudgetGuard> {
        let bound = self.bound();
        let one_more = |retries: u32| {
            let next = retries.checked_add(1)?;
            (f64::from(next) <= bound).then_some(next)
        };
        let taken = self.0.retries.0.fetch_update(Relaxed, Relaxed, one_more);
        taken.ok().map(|_| BudgetGuard(Arc::clone(&self.0)))
    }

    /// Requests in flight on all workers.
    pub fn requests(&self) -> u64 {
        self.0
            .requests
            .iter()
            .map(|count| u64::from(count.0.load(Relaxed)))
            .sum()
    }

    /// Retries decided and not ended.
    pub fn retries(&self) -> u32 {
        self.0.retries.0.load(Relaxed)
    }

    fn bound(&self) -> f64 {
        let ratio = f64::from_bits(self.0.ratio.load(Relaxed));
        let minimum = f64::from(self.0.minimum.load(Relaxed));
        // `max` also drops a NaN.
        (ratio * self.requests() as f64).max(minimum)
    }
}

/// Counts the requests of one worker.
#[derive(Clone, Debug)]
pub struct BudgetWorker(Rc<Share>);

#[derive(Debug)]
struct Share {
    budget: Arc<SharedBudget>,
    index: usize,
}

impl BudgetWorker {
    /// Counts a request until the guard is dropped. Does not touch memory that other workers write.
    pub fn request_started(&self) -> BudgetRequest {
        self.0.change(|count| count.saturating_add(1));
        BudgetRequest(Rc::clone(&self.0))
    }
}

impl Share {
    fn change(&self, change: impl FnOnce(u32) -> u32) {
        if let Some(count) = self.budget.requests.get(self.index) {
            // One writer: no need for a locked instruction.
            count.0.store(change(count.0.load(Relaxed)), Relaxed);
        }
    }
}

/// A request in flight.
#[derive(Debug)]
#[must_use = "the request is over when this is dropped"]
pub struct BudgetRequest(Rc<Share>);

impl Drop for BudgetRequest {
    fn drop(&mut self) {
        self.0.change(|count| count.saturating_sub(1));
    }
}

/// A retry from its decision to its response head.
#[derive(Debug)]
#[must_use = "the retry is over when this is dropped"]
pub struct BudgetGuard(Arc<SharedBudget>);

impl Drop for BudgetGuard {
    fn drop(&mut self) {
        self.0.retries.0.fetch_sub(1, Relaxed);
    }
}

const RATIO: f64 = 0.2;
const MINIMUM: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn withdraw_all(budget: &RetryBudget) -> Vec<BudgetGuard> {
        std::iter::from_fn(|| budget.try_withdraw()).collect()
    }

    #[test]
    fn the_minimum_holds_without_requests() {
        let budget = RetryBudget::new(2);
        let guards = withdraw_all(&budget);
        assert_eq!(guards.len(), 3);
        drop(guards);
        assert_eq!(budget.retries(), 0);
        assert!(budget.try_withdraw().is_some());
    }

    #[test]
    fn the_ratio_is_of_requests_on_all_workers() {
        let budget = RetryBudget::new(2);
        let workers = [budget.worker(0), budget.worker(1)];
        let requests: Vec<_> = (0..99)
            .map(|at| workers[at % 2].request_started())
            .collect();
        assert_eq!(budget.requests(), 99);
        assert_eq!(withdraw_all(&budget).len(), 19);
        drop(requests);
        assert_eq!(budget.requests(), 0);
        assert_eq!(withdraw_all(&budget).len(), 3);
    }

    #[test]
    fn a_reload_keeps_the_counts() {
        let budget = RetryBudget::new(1);
        let worker = budget.worker(0);
        let requests: Vec<_> = (0..10).map(|_| worker.request_started()).collect();
        let first = withdraw_all(&budget);
        budget.set(0.5, 0);
        assert_eq!(first.len() + withdraw_all(&budget).len(), 5);
        budget.set(0.1, 0);
        assert!(budget.try_withdraw().is_none(), "three of one are out");
        drop(first);
        assert!(budget.try_withdraw().is_some());
        drop(requests);
        assert!(budget.try_withdraw().is_none());
    }

    #[test]
    fn odd_limits_are_borne() {
        let budget = RetryBudget::new(0);
        drop(budget.worker(7).request_started());
        for (ratio, minimum, allowed) in [(f64::NAN, 2, 2), (-1.0, 0, 0), (0.0, 1, 1)] {
            budget.set(ratio, minimum);
            assert_eq!(withdraw_all(&budget).len(), allowed);
        }
    }

    #[test]
    fn workers_at_once_never_overdraw() {
        let budget = RetryBudget::new(4);
        budget.set(0.0, 5);
        std::thread::scope(|scope| {
            for index in 0..4 {
                let budget = budget.clone();
                scope.spawn(move || {
                    let worker = budget.worker(index);
                    for _ in 0..2000 {
                        let _request = worker.request_started();
                        let _retry = budget.try_withdraw();
                        assert!(budget.retries() <= 5);
                    }
                });
            }
        });
        assert_eq!((budget.requests(), budget.retries()), (0, 0));
    }
}
