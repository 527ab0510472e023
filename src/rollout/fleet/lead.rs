//! The work of the leader: the next record from the last one and the reports. Pure.

use std::time::Duration;

use tokio::time::Instant;

use super::{Merged, Record, Report, definition, health_of, record::VERSION};
use crate::rollout::{
    Rollout,
    cohort::Share,
    machine::{CandidateHealth, Change, Order},
    progress::{Kept, Progress, Tick},
};

/// A record, and what its leader knows beside it.
#[derive(Clone, Debug)]
pub struct Lead {
    /// The record.
    pub record: Record,
    progress: Progress,
    ticked: Option<Instant>,
    /// Reports that found no room in the record at the last tick.
    left_out: usize,
}

impl Lead {
    /// Begins the record of a fleet that has none, with the progress of this proxy. `generation` is one
    /// that no other record began with: what was counted under a record that got lost counts no more.
    pub fn begin(rollout: &Rollout, own: &Kept, by: &str, generation: u64) -> Self {
        let mut progress = Progress::default();
        if !progress.take_up(rollout, own) {
            progress.follow(rollout);
        }
        let record = Record {
            version: VERSION,
            definition: definition(rollout),
            generation,
            runs: 1,
            tick: 1,
            by: by.to_owned(),
            health: CandidateHealth::Unsure,
            kept: progress.kept(rollout),
            merged: Merged::default(),
        };
        Self {
            record,
            progress,
            ticked: None,
            left_out: 0,
        }
    }

    /// Takes up a record, also one of another definition: with the next tick it goes on as after an edit
    /// of the file.
    pub fn take_up(rollout: &Rollout, record: Record) -> Self {
        let progress = progress_of(rollout, &record);
        Self {
            record,
            progress,
            ticked: None,
            left_out: 0,
        }
    }

    /// Adds what the reports have new, and lets time pass. Returns true if the record is another
    /// one.
    pub fn tick(&mut self, rollout: &Rollout, now: Instant, reports: &[Report], by: &str) -> bool {
        let elapsed = self.ticked.replace(now);
        let elapsed = elapsed.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        let own = definition(rollout);
        let alike = || reports.iter().filter(|it| it.definition == own);
        let before = self.record.clone();
        self.progress.follow(rollout);
        self.note(rollout, None, &own);
        let generation = self.record.generation;
        let counted = alike().filter(|it| it.generation == generation);
        let present = reports.iter().map(|it| &*it.epoch).collect();
        let (new, left_out) = self.record.merged.take(counted, &present);
        self.left_out = left_out;
        self.record.health = health_of(alike());
        let tick = Tick {
            now,
            elapsed,
            health: self.record.health,
            requests: &new.requests,
            compared: new.compared,
        };
        let change = self.progress.advance(rollout, &tick);
        self.note(rollout, change, &own);
        self.is_new(&before, by)
    }

    /// Obeys a person.
    ///
    /// # Errors
    /// The reason why that cannot be done now.
    pub fn obey(&mut self, rollout: &Rollout, order: Order, by: &str) -> Result<(), &'static str> {
        let before = self.record.clone();
        let change = self.progress.obey(rollout, order, self.record.health)?;
        self.note(rollout, change, &definition(rollout));
        self.is_new(&before, by);
        Ok(())
    }

    /// Number of reports that found no room in the record at the last tick.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// The progress that the record is of.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Writes the progress into the record. `own` is the definition of the rollout.
    fn note(&mut self, rollout: &Rollout, change: Option<Change>, own: &str) {
        let record = &mut self.record;
        let kept = self.progress.kept(rollout);
        if Share::new(kept.share()) != Share::new(record.kept.share()) {
            record.generation += 1;
            record.merged.clear();
        }
        if change.is_some_and(|change| change.starts) {
            record.runs += 1;
        }
        record.kept = kept;
        own.clone_into(&mut record.definition);
    }

    fn is_new(&mut self, before: &Record, by: &str) -> bool {
        let is_new = self.record != *before;
        if is_new {
            self.record.tick += 1;
            by.clone_into(&mut self.record.by);
        }
        is_new
    }
}

/// Returns the progress that a record is of, with the latencies that are merged in it.
pub(super) fn progress_of(rollout: &Rollout, record: &Record) -> Progress {
    let mut progress = Progress::default();
    if progress.take_up(rollout, &record.kept) {
        progress.recall(&record.merged.requests());
    }
    progress.follow(rollout);
    progress
}
