//! Progress of a rollout: held by the registry, moved by control, shown by the admin API.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{
    Rollout,
    cohort::Share,
    gate::{Comparison, Sample, Samples, Verdict},
    latency::Latencies,
    machine::{CandidateHealth, Change, Machine, Order, Plan, State},
    proof::Proof,
    statistics::{Counts, Evidence},
    tally::{Served, Shared},
};

/// Progress and figures of a rollout; outlives reloads by its name.
#[derive(Debug)]
pub struct RolloutState {
    /// The part that workers read and write.
    pub shared: Shared,
    live: Mutex<Live>,
}

#[derive(Debug, Default)]
struct Live {
    machine: Machine,
    comparison: Comparison,
    /// Identity of the rollout; another one starts anew.
    identity: String,
    /// The plan that the progress is in.
    plan: Option<Plan>,
    /// The sums at the last tick.
    last: Samples,
    /// Answers to copies that were compared by then.
    compared: Counts,
    ticked: Option<Instant>,
    /// Time since when the candidate has no endpoint.
    absent: Option<Instant>,
    /// Moves that nobody was told of yet.
    moves: Vec<Moved>,
}

/// A move of a rollout, to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Moved {
    /// State before.
    pub from: State,
    /// State now.
    pub to: State,
    /// Number of the step, from 1; one more than there are: the candidate has all users.
    pub step: usize,
    /// The candidate's share, 0 to 1.
    pub share: f64,
    /// Reason of it.
    pub reason: String,
}

/// Picture of a rollout.
#[derive(Clone, Debug)]
pub struct RolloutView {
    /// Its progress.
    pub machine: Machine,
    /// The candidate's share, 0 to 1.
    pub share: f64,
    /// Requests that are compared, of the present step.
    pub step: Samples,
    /// Requests that are compared, of the whole rollout.
    pub all: Samples,
    /// Evidence that the candidate is worse, as a natural logarithm: by failures, by latency, by
    /// answers to copies.
    pub evidence: [f64; 3],
    /// Answers to copies that were compared; the bad ones differ or are missing.
    pub shadow: Counts,
    /// Requests as clients saw them.
    pub served: Served,
}

/// Progress of a rollout on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    identity: String,
    machine: Machine,
    share: f64,
    errors: Evidence,
    slow: Evidence,
    #[serde(default)]
    proof: Proof,
    #[serde(default)]
    differs: Evidence,
    #[serde(default)]
    shadow: Counts,
    step: [Counts; 2],
    all: [Counts; 2],
}

impl RolloutState {
    /// Makes the state of a rollout that has not begun, for this many workers.
    pub fn new(workers: usize) -> Self {
        Self {
            shared: Shared::new(workers),
            live: Mutex::default(),
        }
    }

    /// The state as of the last tick.
    pub fn state(&self) -> State {
        self.lock().machine.state
    }

    /// Lets time pass.
    pub fn tick(&self, rollout: &Rollout, now: Instant, health: CandidateHealth) {
        let live = &mut *self.lock();
        self.follow(live, rollout);
        let health = live.patient(now, health);
        let elapsed = live.ticked.replace(now);
        let elapsed = elapsed.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        let sums = self.shared.samples();
        let tick = since(&sums, &live.last);
        live.last = sums;
        let compared = compared(rollout);
        let of_tick = compared.since(live.compared);
        live.compared = compared;
        if live.machine.compares() {
            live.comparison.add_compared(&rollout.gate, of_tick);
            let alone = live.machine.is_alone(&rollout.plan);
            live.comparison.add(&rollout.gate, &tick, alone);
        } else if live.machine.state == State::Frozen {
            // Both versions still serve, and a person decides by these figures.
            live.comparison.count(&tick);
        } else {
            live.comparison.learn(&tick.baseline);
        }
        let verdict = match live.machine.compares() {
            true => live.comparison.verdict(&rollout.gate),
            false => Verdict::Pass,
        };
        // A process that was stopped has watched nothing meanwhile.
        let elapsed = elapsed.min(ELAPSED_MAX);
        let change = live.machine.tick(&rollout.plan, elapsed, health, &verdict);
        if let Some(change) = change {
            self.apply(live, rollout, &change);
        }
    }

    /// Obeys a person.
    ///
    /// # Errors
    /// The reason why that cannot be done now.
    pub fn obey(
        &self,
        rollout: &Rollout,
        order: Order,
        health: CandidateHealth,
    ) -> Result<(), &'static str> {
        let live = &mut *self.lock();
        self.follow(live, rollout);
        if let Some(change) = live.machine.obey(&rollout.plan, order, health)? {
            self.apply(live, rollout, &change);
        }
        Ok(())
    }

    /// Takes the moves that nobody was told of yet.
    pub fn take_moves(&self) -> Vec<Moved> {
        std::mem::take(&mut self.lock().moves)
    }

    /// Returns its picture.
    pub fn view(&self, rollout: &Rollout) -> RolloutView {
        let live = self.lock();
        RolloutView {
            machine: live.machine.clone(),
            share: live.machine.share(&rollout.plan),
            step: live.comparison.step.clone(),
            all: live.comparison.all.clone(),
            evidence: [
                live.comparison.errors.log(),
                live.comparison.slow.log(),
                live.comparison.differs.log(),
            ],
            shadow: live.comparison.shadow,
            served: self.shared.served(),
        }
    }

    /// Returns its progress, to be kept.
    pub fn kept(&self, rollout: &Rollout) -> Kept {
        let live = self.lock();
        let comparison = &live.comparison;
        Kept {
            identity: identity(rollout),
            machine: live.machine.clone(),
            share: live.machine.share(&rollout.plan),
            errors: comparison.errors.clone(),
            slow: comparison.slow.clone(),
            proof: comparison.proof.clone(),
            differs: comparison.differs.clone(),
            shadow: comparison.shadow,
            step: counts(&comparison.step),
            all: counts(&comparison.all),
        }
    }

    /// Takes up progress that was kept; does nothing if it is that of another rollout.
    pub fn take_up(&self, rollout: &Rollout, kept: &Kept) {
        let live = &mut *self.lock();
        if kept.identity != identity(rollout) {
            return;
        }
        live.identity.clone_from(&kept.identity);
        live.machine = kept.machine.clone();
        live.machine.fit(&rollout.plan, kept.share);
        live.plan = Some(rollout.plan.clone());
        live.comparison.errors = kept.errors.clone();
        live.comparison.slow = kept.slow.clone();
        live.comparison.proof = kept.proof.clone();
        live.comparison.differs = kept.differs.clone();
        live.comparison.shadow = kept.shadow;
        live.compared = compared(rollout);
        live.comparison.step = samples(kept.step);
        live.comparison.all = samples(kept.all);
        live.last = self.shared.samples();
        self.publish(live, rollout);
    }

    /// Follows an edit of the configuration.
    fn follow(&self, live: &mut Live, rollout: &Rollout) {
        if live.plan.as_ref() == Some(&rollout.plan) && live.identity == identity(rollout) {
            return;
        }
        let now = identity(rollout);
        let before = live.plan.replace(rollout.plan.clone());
        if live.identity != now {
            // Another one: all users are with its baseline.
            let ended = std::mem::take(&mut live.machine);
            live.comparison = Comparison::default();
            live.identity = now;
            if ended.state != State::Pending && live.moves.len() < MOVES_MAX {
                live.moves.push(Moved {
                    from: ended.state,
                    to: State::Pending,
                    step: 1,
                    share: 0.0,
                    reason: "the versions were edited: another rollout begins".to_owned(),
                });
            }
        } else if let Some(before) = before {
            let share = live.machine.share(&before);
            live.machine.fit(&rollout.plan, share);
        }
        self.publish(live, rollout);
    }

    fn apply(&self, live: &mut Live, rollout: &Rollout, change: &Change) {
        if change.starts {
            live.comparison.begin();
            self.shared.forget_hurt();
        }
        if change.new_share {
            live.comparison.begin_step();
            self.publish(live, rollout);
        }
        // Control takes them ten times a second.
        if live.moves.len() < MOVES_MAX {
            live.moves.push(Moved {
                from: change.from,
                to: change.to,
                step: live.machine.step + 1,
                share: live.machine.share(&rollout.plan),
                reason: live.machine.reason.clone(),
            });
        }
    }

    fn publish(&self, live: &mut Live, rollout: &Rollout) {
        let share = Share::new(live.machine.share(&rollout.plan));
        if share != self.shared.share() {
            self.shared.publish(share);
            // What was counted until now belongs to the share before.
            live.last = self.shared.samples();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Live> {
        // Its parts are valid after a panic as well.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    /// A candidate whose endpoints are gone for a moment, as while a source is read for the first time,
    /// is not given up.
    fn patient(&mut self, now: Instant, health: CandidateHealth) -> CandidateHealth {
        if health != CandidateHealth::Absent {
            self.absent = None;
            return health;
        }
        let since = *self.absent.get_or_insert(now);
        if now.saturating_duration_since(since) < ABSENT_PATIENCE {
            CandidateHealth::Unsure
        } else {
            CandidateHealth::Absent
        }
    }
}

/// Returns the identity of a rollout: a change of it is another rollout.
fn identity(rollout: &Rollout) -> String {
    let [baseline, candidate] = &rollout.versions;
    format!("{baseline} -> {candidate}")
}

/// Answers to copies that were compared so far.
fn compared(rollout: &Rollout) -> Counts {
    let mut all = Counts::default();
    for shadow in &rollout.shadows {
        all.add(shadow.compared());
    }
    all
}

fn since(sums: &Samples, last: &Samples) -> Samples {
    let of = |sum: &Sample, last: &Sample| {
        let mut latencies = Latencies::default();
        let both = sum.latencies.0.iter().zip(&*last.latencies.0);
        for (more, (sum, last)) in latencies.0.iter_mut().zip(both) {
            *more = sum.saturating_sub(*last);
        }
        Sample {
            counts: sum.counts.since(last.counts),
            latencies,
        }
    };
    Samples {
        baseline: of(&sums.baseline, &last.baseline),
        candidate: of(&sums.candidate, &last.candidate),
    }
}

fn counts(samples: &Samples) -> [Counts; 2] {
    [samples.baseline.counts, samples.candidate.counts]
}

fn samples([baseline, candidate]: [Counts; 2]) -> Samples {
    let sample = |counts| Sample {
        counts,
        latencies: Latencies::default(),
    };
    Samples {
        baseline: sample(baseline),
        candidate: sample(candidate),
    }
}

/// Longest time that counts between two ticks.
const ELAPSED_MAX: Duration = Duration::from_secs(2);
/// Time for which a candidate may have no endpoint.
const ABSENT_PATIENCE: Duration = Duration::from_secs(5);
/// Moves that are remembered until they are told.
const MOVES_MAX: usize = 64;
