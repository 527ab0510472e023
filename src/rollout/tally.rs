//! Figures of both versions: counted by workers, summed by control.
//!
//! The tallies are the rollout's own, not the metrics: series of metrics may overflow to `other`.
//! Each worker writes its own cells; nothing on the request path is shared between workers, except
//! one bit for each user who met a failure.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::{
    cohort::Share,
    gate::{Sample, Samples},
    latency::{BUCKETS, Latencies, bucket_of},
    statistics::Counts,
};

/// A version of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arm {
    /// The old one.
    Baseline,
    /// The new one.
    Candidate,
}

impl Arm {
    /// Its word in logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Candidate => "candidate",
        }
    }
}

/// Share and figures of a rollout, shared by control and all workers; outlives reloads.
#[derive(Debug)]
pub struct Shared {
    /// The candidate's share, in parts of 2^32.
    share: AtomicU64,
    /// Number of the present share: only requests that began under it are compared.
    epoch: AtomicU32,
    workers: Box<[WorkerCells]>,
    /// Users of whom a request was compared in this step, one bit each; made when first needed.
    compared: OnceLock<Box<[AtomicU64]>>,
    hurt: [HurtUsers; 2],
}

/// Outcome of a request, as one version is responsible for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It went well; the head took that long.
    Good(Duration),
    /// It went well; its time says nothing.
    Untimed,
    /// It failed.
    Bad,
    /// The client gave up after that long: no verdict, but no faster than that.
    GivenUp(Duration),
}

/// Requests as clients saw them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Served {
    /// Requests by version: the baseline's first.
    pub counts: [Counts; 2],
    /// Users that met a failure, about.
    pub hurt: [u64; 2],
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct WorkerCells([Cells; 2]);

#[derive(Debug)]
struct Cells {
    total: AtomicU64,
    bad: AtomicU64,
    answered: AtomicU64,
    answered_bad: AtomicU64,
    latencies: Box<[AtomicU64; BUCKETS]>,
}

/// Users that met a failure, one bit each.
#[derive(Debug)]
struct HurtUsers(Box<[AtomicU64; HURT_WORDS]>);

impl Shared {
    /// Makes the figures for this many workers.
    pub fn new(workers: usize) -> Self {
        Self {
            share: AtomicU64::new(0),
            epoch: AtomicU32::new(0),
            workers: (0..workers).map(|_| WorkerCells::default()).collect(),
            compared: OnceLock::new(),
            hurt: [HurtUsers::default(), HurtUsers::default()],
        }
    }

    /// The candidate's share.
    pub fn share(&self) -> Share {
        Share::from_bits(self.share.load(Relaxed))
    }

    /// Number of the present share.
    pub fn epoch(&self) -> u32 {
        self.epoch.load(Relaxed)
    }

    /// Publishes a share; requests that began before are no longer compared.
    pub fn publish(&self, share: Share) {
        self.share.store(share.bits(), Relaxed);
        self.epoch.fetch_add(1, Relaxed);
        if let Some(compared) = self.compared.get() {
            compared.iter().for_each(|word| word.store(0, Relaxed));
        }
    }

    /// Returns true for the first request of a user in this epoch. Of two users with the same bit
    /// one is left out.
    pub fn is_first(&self, epoch: u32, user: u32) -> bool {
        if epoch != self.epoch() {
            return false;
        }
        let compared = self
            .compared
            .get_or_init(|| (0..COMPARED_WORDS).map(|_| AtomicU64::new(0)).collect());
        // The upper bits: those of all users of a small share differ in the lower ones, too.
        let bit = (user.wrapping_mul(0x9e37_79b1) >> 12) as usize;
        let mask = 1 << (bit % 64);
        compared[bit / 64].fetch_or(mask, Relaxed) & mask == 0
    }

    /// Counts the outcome of a request that began in this epoch.
    pub fn count(&self, worker: usize, arm: Arm, epoch: u32, outcome: Outcome) {
        let Some(cells) = self.cells(worker, arm).filter(|_| epoch == self.epoch()) else {
            return;
        };
        let took = match outcome {
            Outcome::Bad => {
                cells.bad.fetch_add(1, Relaxed);
                cells.total.fetch_add(1, Relaxed);
                return;
            }
            Outcome::Untimed => {
                cells.total.fetch_add(1, Relaxed);
                return;
            }
            Outcome::Good(took) => {
                cells.total.fetch_add(1, Relaxed);
                took
            }
            Outcome::GivenUp(took) => took,
        };
        cells.latencies[bucket_of(took)].fetch_add(1, Relaxed);
    }

    /// Counts an answer that a client got from a version.
    pub fn answered(&self, worker: usize, arm: Arm, user: u32, failed: bool) {
        let Some(cells) = self.cells(worker, arm) else {
            return;
        };
        cells.answered.fetch_add(1, Relaxed);
        if failed {
            cells.answered_bad.fetch_add(1, Relaxed);
            self.hurt[arm as usize].note(user);
        }
    }

    /// Sums what was compared so far.
    pub fn samples(&self) -> Samples {
        Samples {
            baseline: self.sample(Arm::Baseline),
            candidate: self.sample(Arm::Candidate),
        }
    }

    /// Sums what clients saw so far.
    pub fn served(&self) -> Served {
        let arms = [Arm::Baseline, Arm::Candidate];
        Served {
            counts: arms
                .map(|arm| self.of_all(arm, |cells| (&cells.answered, &cells.answered_bad))),
            hurt: arms.map(|arm| self.hurt[arm as usize].count()),
        }
    }

    /// Forgets the users that met a failure: another rollout begins.
    pub fn forget_hurt(&self) {
        self.hurt.iter().for_each(HurtUsers::clear);
    }

    fn sample(&self, arm: Arm) -> Sample {
        let mut latencies = Latencies::default();
        for worker in &self.workers {
            let counts = worker.0[arm as usize].latencies.iter();
            for (sum, count) in latencies.0.iter_mut().zip(counts) {
                *sum += count.load(Relaxed);
            }
        }
        Sample {
            counts: self.of_all(arm, |cells| (&cells.total, &cells.bad)),
            latencies,
        }
    }

    fn of_all(&self, arm: Arm, of: impl Fn(&Cells) -> (&AtomicU64, &AtomicU64)) -> Counts {
        let mut sum = Counts::default();
        for worker in &self.workers {
            let (total, bad) = of(&worker.0[arm as usize]);
            // The bad ones first: no more than the total.
            let bad = bad.load(Relaxed);
            sum.add(Counts {
                total: total.load(Relaxed).max(bad),
                bad,
            });
        }
        sum
    }

    fn cells(&self, worker: usize, arm: Arm) -> Option<&Cells> {
        Some(&self.workers.get(worker)?.0[arm as usize])
    }
}

impl HurtUsers {
    fn note(&self, user: u32) {
        let bit = user as usize % (HURT_WORDS * 64);
        self.0[bit / 64].fetch_or(1 << (bit % 64), Relaxed);
    }

    /// Estimates the number of users from the bits that are set (linear counting).
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small positive number"
    )]
    fn count(&self) -> u64 {
        let set: u32 = self
            .0
            .iter()
            .map(|word| word.load(Relaxed).count_ones())
            .sum();
        let bits = (HURT_WORDS * 64) as f64;
        let clear = (bits - f64::from(set)).max(1.0);
        (bits * (bits / clear).ln()).round() as u64
    }

    fn clear(&self) {
        self.0.iter().for_each(|word| word.store(0, Relaxed));
    }
}

impl Default for Cells {
    fn default() -> Self {
        Self {
            total: AtomicU64::new(0),
            bad: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            answered_bad: AtomicU64::new(0),
            latencies: Box::new([const { AtomicU64::new(0) }; BUCKETS]),
        }
    }
}

impl Default for HurtUsers {
    fn default() -> Self {
        Self(Box::new([const { AtomicU64::new(0) }; HURT_WORDS]))
    }
}

/// 1 Mi bits: 128 KiB, and of 100,000 users 5 % are left out.
const COMPARED_WORDS: usize = 1 << 14;
/// 64 Ki bits: exact to a few per cent up to 100,000 users.
const HURT_WORDS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_summed_and_requests_of_an_earlier_share_are_not_compared() {
        let shared = Shared::new(2);
        let took = Duration::from_millis(3);
        shared.count(0, Arm::Candidate, 0, Outcome::Good(took));
        shared.count(1, Arm::Candidate, 0, Outcome::Bad);
        shared.count(1, Arm::Baseline, 0, Outcome::GivenUp(took));
        shared.publish(Share::new(0.5));
        shared.count(0, Arm::Candidate, 0, Outcome::Bad);
        let samples = shared.samples();
        assert_eq!(samples.candidate.counts, Counts { total: 2, bad: 1 });
        assert_eq!(samples.baseline.counts, Counts::default());
        assert_eq!(samples.baseline.latencies.0[bucket_of(took)], 1);
    }

    #[test]
    fn the_first_request_of_a_user_in_a_step_counts() {
        let shared = Shared::new(1);
        assert!(shared.is_first(0, 7) && !shared.is_first(0, 7));
        let users = (0..1000).filter(|user| shared.is_first(0, user << 8));
        assert!(users.count() >= 990);
        shared.publish(Share::new(0.5));
        assert!(!shared.is_first(0, 7), "of the step before");
        assert!(shared.is_first(1, 7));
    }

    #[test]
    fn users_that_were_hurt_count_once() {
        let shared = Shared::new(1);
        for round in 0..3 {
            for user in 0..500_u32 {
                shared.answered(0, Arm::Candidate, user * 77_777, round > 0);
            }
        }
        let served = shared.served();
        assert_eq!(
            served.counts[1],
            Counts {
                total: 1500,
                bad: 1000
            }
        );
        assert!((490..=510).contains(&served.hurt[1]), "{served:?}");
        shared.forget_hurt();
        assert_eq!(shared.served().hurt, [0, 0]);
    }
}
