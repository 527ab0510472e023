//! Tallies: outcomes of requests to endpoints, counted by the workers.
//!
//! Endpoints that joined one after the other count side by side: they are used one after the other
//! too, and in a large pool each cache line is cold when its turn comes. So a success costs a read
//! of the shared run of failures and one store to the worker's own line, both of which served the
//! endpoints before. Only failures write a line that other workers read.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release},
};

use crate::memory::Padded;

/// Gives each endpoint its tally, and knows which of them have new counts.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    newest: Option<Tally>,
    blocks: usize,
    /// Groups, with the number of their first block.
    groups: Vec<(usize, Arc<Group>)>,
    /// Blocks with new counts at the last look.
    again: Vec<usize>,
}

/// Tally of one endpoint's outcomes. A clone is the same tally.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    block: Arc<Block>,
    at: usize,
}

/// Tallies of several endpoints.
#[derive(Debug)]
struct Block {
    /// Number of failures of each endpoint since its last success.
    runs: Padded<[Runs; BLOCK_ENDPOINTS]>,
    /// By worker, each written by that worker alone.
    counts: Box<[Padded<[Counts; BLOCK_ENDPOINTS]>]>,
    group: Arc<Group>,
    /// The block's own bit in the marks of its group.
    bit: u64,
    /// Its number in the pool.
    number: usize,
}

/// Marks of the blocks that have counted something since the last look: a bit for each of 64
/// blocks, by worker. A worker sets it once between two looks, and only reads it otherwise.
#[derive(Debug)]
struct Group(Box<[Padded<AtomicU64>]>);

/// Two counts of outcomes in a row; the second is 0 if the first is.
#[derive(Debug, Default)]
struct Runs {
    /// Failures and bad answers since the last success.
    bad: AtomicU32,
    /// Failures since the last answer.
    unanswered: AtomicU32,
}

#[derive(Debug, Default)]
struct Counts {
    successes: AtomicU32,
    bad_answers: AtomicU32,
    failures: AtomicU32,
}

/// Outcomes of an endpoint over all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) successes: u32,
    pub(super) bad_answers: u32,
    pub(super) failures: u32,
}

/// A series of outcomes without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Number of all of them.
    pub(super) bad: u32,
    /// Number of the last of them without an answer in between.
    pub(super) unanswered: u32,
}

impl Totals {
    /// Returns the counts added since.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            successes: self.successes.wrapping_sub(earlier.successes),
            bad_answers: self.bad_answers.wrapping_sub(earlier.bad_answers),
            failures: self.failures.wrapping_sub(earlier.failures),
        }
    }
}

impl Tallies {
    /// Returns an unused tally. Memory is released with the last endpoint of a block.
    pub(super) fn next(&mut self, workers: usize) -> Tally {
        let next = match self.newest.take() {
            Some(Tally { block, at }) if at + 1 < BLOCK_ENDPOINTS => Tally { block, at: at + 1 },
            last => {
                let block = Arc::new(self.next_block(last, workers));
                Tally { block, at: 0 }
            }
        };
        self.newest.insert(next).clone()
    }

    fn next_block(&mut self, last: Option<Tally>, workers: usize) -> Block {
        let number = self.blocks;
        self.blocks += 1;
        let place = number % GROUP_BLOCKS;
        let group = last
            .filter(|_| place > 0)
            .map(|last| Arc::clone(&last.block.group));
        let group = group.unwrap_or_else(|| {
            let group = Arc::new(Group::new(workers));
            self.groups.push((number - place, Arc::clone(&group)));
            group
        });
        Block::new(workers, number, group)
    }

    /// Takes the numbers of tallies that may have new counts since the last call.
    ///
    /// A worker that counts at this moment may find its mark still set, and the count may become
    /// visible a moment later: so each is returned once more at the next call.
    pub(super) fn take_touched(&mut self) -> Vec<usize> {
        self.groups
            .retain(|(_, group)| Arc::strong_count(group) > 1);
        let mut blocks = Vec::new();
        for (first, group) in &self.groups {
            let mut marks = group.take_marks();
            while marks != 0 {
                blocks.push(first + marks.trailing_zeros() as usize);
                marks &= marks - 1;
            }
        }
        let mut touched = std::mem::replace(&mut self.again, blocks.clone());
        touched.extend(blocks);
        touched.sort_unstable();
        touched.dedup();
        let numbers = |block| block * BLOCK_ENDPOINTS..(block + 1) * BLOCK_ENDPOINTS;
        touched.into_iter().flat_map(numbers).collect()
    }
}

impl Tally {
    /// Counts a success and ends the run of failures.
    pub(super) fn succeeded(&self, worker: usize) {
        if self.runs().bad.load(Relaxed) != 0 {
            self.forget_failures();
        }
        if let Some(counts) = self.of(worker) {
            bump(&counts.successes);
            self.mark(worker);
        }
    }

    /// Counts a bad answer and returns the run it belongs to.
    pub(super) fn answered_badly(&self, worker: usize) -> Run {
        if let Some(counts) = self.of(worker) {
            bump(&counts.bad_answers);
            self.mark(worker);
        }
        self.runs().unanswered.store(0, Relaxed);
        Run {
            bad: self.runs().bad.fetch_add(1, Relaxed).wrapping_add(1),
            unanswered: 0,
        }
    }

    /// Counts a failure and returns the run it belongs to.
    pub(super) fn failed(&self, worker: usize) -> Run {
        if let Some(counts) = self.of(worker) {
            bump(&counts.failures);
            self.mark(worker);
        }
        let one_more = |count: &AtomicU32| count.fetch_add(1, Relaxed).wrapping_add(1);
        Run {
            bad: one_more(&self.runs().bad),
            unanswered: one_more(&self.runs().unanswered),
        }
    }

    /// Ends the run of failures without a success.
    pub(super) fn forget_failures(&self) {
        self.runs().bad.store(0, Relaxed);
        self.runs().unanswered.store(0, Relaxed);
    }

    /// All outcomes so far.
    pub(super) fn totals(&self) -> Totals {
        let all = self.block.counts.iter().map(|own| &own.0[self.at]);
        all.fold(Totals::default(), |sum, counts| Totals {
            successes: sum.successes.wrapping_add(counts.successes.load(Relaxed)),
            bad_answers: sum
                .bad_answers
                .wrapping_add(counts.bad_answers.load(Relaxed)),
            failures: sum.failures.wrapping_add(counts.failures.load(Relaxed)),
        })
    }

    /// Its number in the pool, never reused.
    pub(super) fn number(&self) -> usize {
        self.block.number * BLOCK_ENDPOINTS + self.at
    }

    fn mark(&self, worker: usize) {
        let Block { group, bit, .. } = &*self.block;
        if let Some(Padded(marks)) = group.0.get(worker)
            && marks.load(Relaxed) & bit == 0
        {
            marks.fetch_or(*bit, Release);
        }
    }

    fn runs(&self) -> &Runs {
        &self.block.runs.0[self.at]
    }

    fn of(&self, worker: usize) -> Option<&Counts> {
        self.block.counts.get(worker)?.0.get(self.at)
    }
}

impl Block {
    fn new(workers: usize, number: usize, group: Arc<Group>) -> Self {
        let counts = std::iter::repeat_with(Padded::default);
        Self {
            runs: Padded::default(),
            counts: counts.take(workers.max(1)).collect(),
            group,
            bit: 1 << (number % GROUP_BLOCKS),
            number,
        }
    }
}

impl Group {
    fn new(workers: usize) -> Self {
        let marks = std::iter::repeat_with(Padded::default);
        Self(marks.take(workers.max(1)).collect())
    }

    fn take_marks(&self) -> u64 {
        let set = self.0.iter().filter(|marks| marks.0.load(Relaxed) != 0);
        set.fold(0, |all, marks| all | marks.0.swap(0, Acquire))
    }
}

/// Adds one to a counter with a single writer: no locked instruction.
fn bump(counter: &AtomicU32) {
    counter.store(counter.load(Relaxed).wrapping_add(1), Relaxed);
}

/// Number of endpoints whose counts share one [`Padded`] line.
const BLOCK_ENDPOINTS: usize = 8;
/// Number of bits in a word.
const GROUP_BLOCKS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(successes: u32, bad_answers: u32, failures: u32) -> Totals {
        Totals {
            successes,
            bad_answers,
            failures,
        }
    }

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
            assert_eq!(tally.totals(), totals(at, 0, u32::from(at == 3)));
            assert_eq!(tally.failed(1).bad, if at == 3 { 2 } else { 1 });
        }
        let line = size_of::<Padded<u8>>();
        assert_eq!(size_of::<Padded<[Counts; BLOCK_ENDPOINTS]>>(), line);
        assert_eq!(size_of::<Padded<[Runs; BLOCK_ENDPOINTS]>>(), line);
    }

    #[test]
    fn each_worker_counts_for_itself_and_a_stranger_is_not_counted() {
        let tally = Tallies::default().next(2);
        tally.succeeded(0);
        tally.failed(1);
        tally.failed(1);
        tally.answered_badly(0);
        tally.succeeded(7);
        assert_eq!(tally.totals(), totals(1, 1, 2));
        let since = tally.totals().since(totals(u32::MAX, 0, 2));
        assert_eq!(since, totals(2, 1, 0));
    }

    #[test]
    fn those_that_counted_something_are_named_twice_and_no_others() {
        let mut tallies = Tallies::default();
        let all: Vec<_> = (0..2000).map(|_| tallies.next(2)).collect();
        for (at, tally) in (0..).zip(&all) {
            assert_eq!(tally.number(), at);
        }
        assert!(tallies.take_touched().is_empty());
        all[1500].succeeded(1);
        all[0].failed(0);
        all[7].answered_badly(1);
        let touched: Vec<usize> = (0..8).chain(1496..1504).collect();
        assert_eq!(tallies.take_touched(), touched);
        assert_eq!(tallies.take_touched(), touched);
        assert!(tallies.take_touched().is_empty());
        // A group goes with its last endpoint, but for the one where the next will be.
        drop(all);
        assert!(tallies.take_touched().is_empty());
        assert_eq!(tallies.groups.len(), 1);
        assert_eq!(tallies.next(2).number(), 2000);
    }

    #[test]
    fn a_success_ends_both_runs_and_an_answer_the_one_of_failures() {
        let tally = Tallies::default().next(2);
        let run = |bad, unanswered| Run { bad, unanswered };
        assert_eq!(tally.failed(0), run(1, 1));
        assert_eq!(tally.failed(1), run(2, 2));
        assert_eq!(tally.answered_badly(1), run(3, 0));
        assert_eq!(tally.failed(1), run(4, 1));
        tally.succeeded(0);
        assert_eq!(tally.failed(1), run(1, 1));
    }
}
