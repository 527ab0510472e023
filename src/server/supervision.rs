//! Supervision of workers that end or stall, and of services that fail.
//!
//! Runs with each tick of control; each finding is logged once, and reported by `/ready` for as
//! long as it lasts.

use std::sync::atomic::Ordering;

use super::{
    board::{Board, Trouble},
    service::Services,
};
use crate::worker::SharedState;

/// Observations of the workers, and the messages logged about them.
#[derive(Debug)]
pub(super) struct Supervision {
    workers: Vec<Pulse>,
    told: Vec<Trouble>,
}

/// Heartbeat of a worker.
#[derive(Clone, Debug, Default)]
struct Pulse {
    beats: u64,
    /// Number of looks since the last beat.
    silent: u32,
}

impl Supervision {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            workers: vec![Pulse::default(); workers],
            told: Vec::new(),
        }
    }

    /// Checks the workers and these services.
    pub(super) fn look(&mut self, shared: &SharedState, services: &Services, board: &Board) {
        let mut troubles = Vec::new();
        for (index, (place, pulse)) in shared.workers.iter().zip(&mut self.workers).enumerate() {
            let beats = place.beats.load(Ordering::Relaxed);
            let what = if place.ended.load(Ordering::Acquire) {
                "has ended; restart the process"
            } else if pulse.is_silent(beats) {
                "does not answer"
            } else {
                continue;
            };
            troubles.push(Trouble {
                what: format!("worker {index} {what}"),
                hurts_traffic: true,
            });
        }
        troubles.extend(services.troubles());
        if troubles == self.told {
            return;
        }
        for trouble in troubles.iter().filter(|it| !self.told.contains(it)) {
            tracing::error!("{}", trouble.what);
        }
        for trouble in self.told.iter().filter(|it| !troubles.contains(it)) {
            tracing::info!("no longer so: {}", trouble.what);
        }
        board.set_troubles(troubles.clone());
        self.told = troubles;
    }
}

impl Pulse {
    /// Returns true if there was no beat for too long. Looks are counted, not seconds: a process
    /// that was stopped and goes on has missed both alike.
    fn is_silent(&mut self, beats: u64) -> bool {
        if beats != self.beats {
            *self = Self { beats, silent: 0 };
        }
        self.silent = self.silent.saturating_add(1);
        self.silent > SILENT_LOOKS_MAX
    }
}

/// Number of looks without a beat until a worker counts as stalled: ten seconds.
const SILENT_LOOKS_MAX: u32 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_without_a_beat_for_ten_seconds_is_silent_until_the_next_one() {
        let mut pulse = Pulse::default();
        for beats in 1..100 {
            assert!(!pulse.is_silent(beats));
        }
        let silent = (0..60).filter(|_| pulse.is_silent(99)).count();
        assert_eq!(silent, 11);
        assert!(!pulse.is_silent(100));
    }
}
