//! Helpers for the tests of several pickers.

use tokio::time::Instant;

use super::draw::Draws;
use super::{Candidate, EndpointIndex, Load, PickInput, Picker, mix};

/// One candidate per weight, in order, with distinct keys.
pub(super) fn candidates(weights: &[u32]) -> Vec<Candidate> {
    (0..)
        .zip(weights)
        .map(|(index, &weight)| candidate(index, weight))
        .collect()
}

pub(super) fn candidate(index: u32, weight: u32) -> Candidate {
    Candidate {
        index: EndpointIndex(index),
        weight,
        key: mix(u64::from(index) + 1000),
    }
}

pub(super) fn loads(count: usize) -> Vec<Load> {
    (0..count).map(|_| Load::default()).collect()
}

/// Drives a picker: own draws, own loads.
pub(super) struct Bench<P> {
    pub(super) picker: P,
    pub(super) loads: Vec<Load>,
    pub(super) now: Instant,
    pub(super) draws: Draws,
}

impl<P: Picker> Bench<P> {
    pub(super) fn new(mut picker: P, weights: &[u32]) -> Self {
        picker.update(&candidates(weights));
        Self {
            picker,
            loads: loads(weights.len()),
            now: Instant::now(),
            draws: Draws::new(7),
        }
    }

    pub(super) fn pick(&mut self) -> Option<u32> {
        self.pick_with(None, &[])
    }

    pub(super) fn pick_key(&mut self, key: u64) -> Option<u32> {
        self.pick_with(Some(key), &[])
    }

    pub(super) fn pick_untried(&mut self, tried: &[u32]) -> Option<u32> {
        self.pick_with(None, tried)
    }

    pub(super) fn pick_with(&mut self, key: Option<u64>, tried: &[u32]) -> Option<u32> {
        let tried: Vec<EndpointIndex> = tried.iter().copied().map(EndpointIndex).collect();
        let draw = self.draws.next();
        let input = PickInput {
            now: self.now,
            draw,
            key,
            tried: &tried,
            loads: &self.loads,
        };
        self.picker.pick(&input).map(|index| index.0)
    }

    pub(super) fn start(&mut self, endpoint: u32) {
        self.loads[endpoint as usize].started();
        self.picker
            .load_changed(EndpointIndex(endpoint), &self.loads);
    }

    pub(super) fn counts(&mut self, picks: usize) -> Vec<usize> {
        let mut counts = vec![0; self.loads.len()];
        for _ in 0..picks {
            counts[self.pick().unwrap() as usize] += 1;
        }
        counts
    }
}
