//! Progress of a rollout: held by the registry, moved by control, shown by the admin API.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Rollout,
    cohort::Share,
    fleet::Joined,
    gate::Samples,
    machine::{CandidateHealth, Change, Machine, Order, State},
    progress::{Kept, Progress, Tick},
    statistics::Counts,
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
pub(super) struct Live {
    pub(super) progress: Progress,
    /// The sums at the last tick.
    pub(super) last: Samples,
    /// Answers to copies that were compared by then.
    compared: Counts,
    ticked: Option<Instant>,
    /// Moves that nobody was told of yet.
    moves: Vec<Moved>,
    /// The part in a fleet, where there is one.
    pub(super) joined: Option<Joined>,
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
    /// Reason why this proxy alone has given all users to the baseline.
    pub withdrawn: Option<String>,
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
        self.lock().progress.machine.state
    }

    /// The state as people see it.
    pub fn shown(&self) -> State {
        self.lock().progress.machine.shown()
    }

    /// Lets time pass, where no fleet decides.
    pub fn tick(&self, rollout: &Rollout, now: Instant, health: CandidateHealth) {
        let live = &mut *self.lock();
        if live.joined.take().is_some() {
            // What was counted until now was the fleet's.
            live.last = self.shared.samples();
            self.publish(live, rollout);
        }
        self.follow(live, rollout);
        let elapsed = live.ticked.replace(now);
        let elapsed = elapsed.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        let sums = self.shared.samples();
        let requests = sums.since(&live.last);
        live.last = sums;
        let compared = compared(rollout);
        let of_tick = compared.since(live.compared);
        live.compared = compared;
        let tick = Tick {
            now,
            elapsed,
            health,
            requests: &requests,
            compared: of_tick,
        };
        if let Some(change) = live.progress.advance(rollout, &tick) {
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
        if let Some(change) = live.progress.obey(rollout, order, health)? {
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
        let comparison = &live.progress.comparison;
        let withdrawn = live.joined.as_ref().and_then(Joined::withdrawn);
        RolloutView {
            machine: live.progress.machine.clone(),
            share: match withdrawn.is_some() || live.progress.is_edited(rollout) {
                // In effect, whatever the progress says.
                true => self.shared.share().ratio(),
                false => live.progress.share(rollout),
            },
            step: comparison.step.clone(),
            all: comparison.all.clone(),
            evidence: [
                comparison.errors.log(),
                comparison.slow.log(),
                comparison.differs.log(),
            ],
            shadow: comparison.shadow,
            served: self.shared.served(),
            withdrawn: withdrawn.map(ToOwned::to_owned),
        }
    }

    /// Returns its progress, to be kept.
    pub fn kept(&self, rollout: &Rollout) -> Kept {
        self.lock().progress.kept(rollout)
    }

    /// Takes up progress that was kept; does nothing if it is that of another rollout.
    pub fn take_up(&self, rollout: &Rollout, kept: &Kept) {
        let live = &mut *self.lock();
        if live.progress.take_up(rollout, kept) {
            live.compared = compared(rollout);
            live.last = self.shared.samples();
            self.publish(live, rollout);
        }
    }

    /// Follows an edit of the configuration.
    fn follow(&self, live: &mut Live, rollout: &Rollout) {
        if !live.progress.is_edited(rollout) {
            return;
        }
        match live.progress.follow(rollout) {
            None | Some(State::Pending) => {}
            Some(ended) => live.told(Moved {
                from: ended,
                to: State::Pending,
                step: 1,
                share: 0.0,
                reason: "the versions were edited: another rollout begins".to_owned(),
            }),
        }
        self.publish(live, rollout);
    }

    fn apply(&self, live: &mut Live, rollout: &Rollout, change: &Change) {
        if change.starts {
            self.shared.forget_hurt();
        }
        if change.new_share {
            self.publish(live, rollout);
        }
        let moved = live.moved(rollout, change.from);
        live.told(moved);
    }

    fn publish(&self, live: &mut Live, rollout: &Rollout) {
        let share = Share::new(live.progress.share(rollout));
        if share != self.shared.share() {
            self.shared.publish(share);
            // What was counted until now belongs to the share before.
            live.last = self.shared.samples();
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Live> {
        // Its parts are valid after a panic as well.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    /// Remembers a move until it is told. Control takes them ten times a second.
    pub(super) fn told(&mut self, moved: Moved) {
        if self.moves.len() < MOVES_MAX {
            self.moves.push(moved);
        }
    }

    /// The move from a state to the present one.
    pub(super) fn moved(&self, rollout: &Rollout, from: State) -> Moved {
        let machine = &self.progress.machine;
        Moved {
            from,
            to: machine.state,
            step: machine.reached(),
            share: self.progress.share(rollout),
            reason: machine.reason.clone(),
        }
    }
}

/// Answers to copies that were compared so far.
pub(super) fn compared(rollout: &Rollout) -> Counts {
    let mut all = Counts::default();
    for shadow in &rollout.shadows {
        all.add(shadow.compared());
    }
    all
}

/// Moves that are remembered until they are told.
const MOVES_MAX: usize = 64;
