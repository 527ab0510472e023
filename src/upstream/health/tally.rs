//! Where the workers count what requests to endpoints came to.
//!
//! Endpoints that joined one after the other count side by side: they are asked one after the other too, and in
//! a large pool each line of the cache is cold when its turn comes. So a success costs a look at the shared run of
//! failures and one store to the worker's own line, both of which served the endpoints before. Only failures
//! write a line that other workers read.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

/// Gives each endpoint its tally.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    newest: Option<Tally>,
}

/// Where the outcomes of one endpoint are counted. A clone is the same tally.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    block: Arc<Block>,
    at: usize,
}

/// The tallies of some endpoints.
#[derive(Debug)]
struct Block {
    /// How many failures each met since its last success.
    runs: Padded<[AtomicU32; BLOCK_ENDPOINTS]>,
    /// By worker, each written by that worker alone.
    counts: Box<[Padded<[Counts; BLOCK_ENDPOINTS]>]>,
}

#[derive(Debug, Default)]
struct Counts {
    successes: AtomicU64,
    failures: AtomicU64,
}

impl Tallies {
    /// A tally that nobody had before. Memory goes when the last endpoint of a block does.
    pub(super) fn next(&mut self, workers: usize) -> Tally {
        let next = match self.newest.take() {
            Some(Tally { block, at }) if at + 1 < BLOCK_ENDPOINTS => Tally { block, at: at + 1 },
            Some(_) | None => Tally {
                block: Arc::new(Block::new(workers)),
                at: 0,
            },
        };
        self.newest.insert(next).clone()
    }
}

impl Tally {
    /// Counts a success and ends the run of failures.
    pub(super) fn succeeded(&self, worker: usize) {
        let run = self.run();
        if run.load(Relaxed) != 0 {
            run.store(0, Relaxed);
        }
        if let Some(counts) = self.of(worker) {
            bump(&counts.successes);
        }
    }

    /// Counts a failure and returns the length of the run.
    pub(super) fn failed(&self, worker: usize) -> u32 {
        if let Some(counts) = self.of(worker) {
            bump(&counts.failures);
        }
        self.run().fetch_add(1, Relaxed).wrapping_add(1)
    }

    /// Ends the run of failures without a success.
    pub(super) fn forget_failures(&self) {
        self.run().store(0, Relaxed);
    }

    /// All successes and failures so far.
    pub(super) fn totals(&self) -> (u64, u64) {
        let all = self.block.counts.iter().map(|own| &own.0[self.at]);
        all.fold((0, 0), |(successes, failures), counts| {
            let own = (
                counts.successes.load(Relaxed),
                counts.failures.load(Relaxed),
            );
            (successes.wrapping_add(own.0), failures.wrapping_add(own.1))
        })
    }

    fn run(&self) -> &AtomicU32 {
        &self.block.runs.0[self.at]
    }

    fn of(&self, worker: usize) -> Option<&Counts> {
        self.block.counts.get(worker)?.0.get(self.at)
    }
}

impl Block {
    fn new(workers: usize) -> Self {
        let counts = std::iter::repeat_with(Padded::default);
        Self {
            runs: Padded::default(),
            counts: counts.take(workers.max(1)).collect(),
        }
    }
}

/// Adds one to a counter with a single writer: no locked instruction.
fn bump(counter: &AtomicU64) {
    counter.store(counter.load(Relaxed).wrapping_add(1), Relaxed);
}

/// A value on cache lines of its own: two of them, since they are fetched in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded<T>(T);

/// As many as have their counts on one [`Padded`] line.
const BLOCK_ENDPOINTS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_that_share_a_line_count_for_themselves() {
        let mut tallies = Tallies::default();
        let all: Vec<_> = (0..BLOCK_ENDPOINTS * 2 + 1)
            .map(|_| tallies.next(2))
            .collect();
        for (count, tally) in all.iter().enumerate() {
            (0..count).for_each(|_| tally.succeeded(count % 2));
        }
        all[3].failed(0);
        for (at, tally) in (0..).zip(&all) {
            assert_eq!(tally.totals(), (at, u64::from(at == 3)));
            assert_eq!(tally.failed(1), if at == 3 { 2 } else { 1 });
        }
        let line = size_of::<Padded<u8>>();
        assert_eq!(size_of::<Padded<[Counts; BLOCK_ENDPOINTS]>>(), line);
    }

    #[test]
    fn each_worker_counts_for_itself_and_a_stranger_is_not_counted() {
        let tally = Tallies::default().next(2);
        tally.succeeded(0);
        tally.failed(1);
        tally.failed(1);
        tally.succeeded(7);
        assert_eq!(tally.totals(), (1, 2));
    }

    #[test]
    fn a_success_ends_the_run_of_failures() {
        let tally = Tallies::default().next(2);
        assert_eq!((tally.failed(0), tally.failed(1)), (1, 2));
        tally.succeeded(0);
        assert_eq!(tally.failed(1), 1);
    }
}
