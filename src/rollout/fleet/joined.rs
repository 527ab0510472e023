//! The part of one proxy in a fleet: it counts, applies the share that is decided, and protects its
//! users while nobody can be asked.

use super::{Figures, Record, lead::progress_of};
use crate::rollout::{
    Rollout, RolloutState,
    cohort::Share,
    gate::{Samples, Verdict},
    machine::{OnFailure, State},
    progress::Progress,
    state::{Live, Moved, compared},
    statistics::Counts,
};

/// A proxy's part in a fleet.
#[derive(Debug, Default)]
pub struct Joined {
    /// The share that is applied; 0: the one that was known before the fleet was.
    generation: u64,
    runs: u64,
    /// The sums of this process when it began to count under that share.
    from: Samples,
    compared_from: Counts,
    /// Figures from before that.
    before: Figures,
    /// Own figures that the progress contains.
    weighed: Figures,
    /// Reason why it has given all users to the baseline on its own.
    withdrawn: Option<String>,
}

impl Joined {
    /// Reason why the proxy has given all users to the baseline on its own.
    pub(crate) fn withdrawn(&self) -> Option<&str> {
        self.withdrawn.as_deref()
    }

    fn figures(&self, state: &RolloutState, rollout: &Rollout) -> Figures {
        let mut figures = self.before.clone();
        if self.withdrawn.is_none() {
            figures.add(&Figures {
                requests: state.shared.samples().since(&self.from),
                compared: compared(rollout).since(self.compared_from),
            });
        }
        figures
    }

    /// Begins to count anew, on top of what is counted.
    fn count_from_now(&mut self, state: &RolloutState, rollout: &Rollout) {
        self.from = state.shared.samples();
        self.compared_from = compared(rollout);
        self.withdrawn = None;
    }
}

impl RolloutState {
    /// Applies the record of the fleet; `leads` has the progress where this proxy wrote it. `epoch`
    /// is that of this process.
    pub fn adopt(&self, rollout: &Rollout, record: &Record, epoch: &str, leads: Option<&Progress>) {
        let live = &mut *self.lock();
        let is_first = live.joined.is_none();
        let is_withdrawn = live
            .joined
            .as_ref()
            .is_some_and(|it| it.withdrawn.is_some());
        let (state, share) = match is_withdrawn {
            true => (State::RolledBack, 0.0),
            false => (live.progress.machine.state, live.progress.share(rollout)),
        };
        live.progress = leads.map_or_else(|| progress_of(rollout, record), Clone::clone);
        let joined = live.joined.get_or_insert_default();
        if joined.generation != record.generation {
            *joined = Joined {
                generation: record.generation,
                runs: joined.runs,
                ..Joined::default()
            };
            // Also where it is the same share: what began before counts for nobody.
            self.shared
                .publish(Share::new(live.progress.share(rollout)));
            joined.count_from_now(self, rollout);
        }
        if std::mem::replace(&mut joined.runs, record.runs) != record.runs && !is_first {
            self.shared.forget_hurt();
        }
        let is_closed = record.merged.is_closed(epoch) && joined.withdrawn.is_none();
        joined.weighed = match record.merged.of(epoch) {
            Some(known) => known.clone(),
            // They count no more: only what comes from now on is weighed alone.
            None if is_closed => joined.figures(self, rollout),
            None => Figures::default(),
        };
        if joined.withdrawn.is_some() && joined.weighed.contains(&joined.before) {
            // The fleet knows what this proxy saw, and goes on.
            self.shared
                .publish(Share::new(live.progress.share(rollout)));
            joined.count_from_now(self, rollout);
        }
        let is_withdrawn = joined.withdrawn.is_some();
        let now = live.moved(rollout, state);
        let is_same = now.from == now.to && (now.share - share).abs() < f64::EPSILON;
        // Whoever comes late moves nothing.
        let is_news = !is_first || leads.is_some();
        if is_news && !is_withdrawn && !is_same {
            live.told(now);
        }
    }

    /// Begins to count under another epoch, as in another fleet.
    pub fn rejoin(&self) {
        self.lock().joined = None;
    }

    /// The share that is applied; 0 if the fleet is not known yet.
    pub fn applied(&self) -> u64 {
        self.lock().joined.as_ref().map_or(0, |it| it.generation)
    }

    /// The share that is applied, and the figures under it; none if the fleet is not known yet.
    pub fn reported(&self, rollout: &Rollout) -> Option<(u64, Figures)> {
        let live = self.lock();
        let joined = live.joined.as_ref()?;
        Some((joined.generation, joined.figures(self, rollout)))
    }

    /// Weighs what this proxy alone sees, while the fleet cannot be asked: nothing goes on, but a
    /// candidate that turns out worse gets no more users of this proxy.
    pub fn guard(&self, rollout: &Rollout) {
        let live = &mut *self.lock();
        if live.progress.is_edited(rollout) {
            // Nobody can say what holds.
            return;
        }
        let Live {
            progress, joined, ..
        } = live;
        if joined.is_none() {
            // A restart while the store is away: the share is the one on disk.
            let mut new = Joined::default();
            new.count_from_now(self, rollout);
            *joined = Some(new);
        }
        let Some(joined) = joined else { return };
        if joined.withdrawn.is_some()
            || !progress.machine.compares()
            || rollout.plan.on_failure == OnFailure::Freeze
        {
            return;
        }
        let figures = joined.figures(self, rollout);
        let new = joined.weighed.join(&figures);
        progress.weigh(rollout, &new.requests, new.compared);
        let Verdict::Worse(fault) = progress.comparison.verdict(&rollout.gate) else {
            return;
        };
        joined.before = figures;
        let reason = format!("this proxy alone, without the fleet: {fault}");
        joined.withdrawn = Some(reason.clone());
        self.shared.publish(Share::NONE);
        let state = progress.machine.state;
        let moved = Moved {
            to: State::RolledBack,
            share: 0.0,
            reason,
            ..live.moved(rollout, state)
        };
        live.told(moved);
    }
}
