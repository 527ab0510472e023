//! The part of each proxy's sums that a record contains.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Figures;
use crate::rollout::gate::Samples;

/// Sums of each proxy that are merged, under the present share. A proxy that starts again counts
/// under another epoch: its sums begin at 0, and those of before stay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Merged(BTreeMap<String, Figures>);

impl Merged {
    /// Takes the sums of an epoch up; returns what is new in them. None if there are too many
    /// epochs under one share: those that are known are never forgotten, or they would count twice.
    pub fn take(&mut self, epoch: &str, sums: &Figures) -> Option<Figures> {
        if !self.0.contains_key(epoch) {
            if self.0.len() >= EPOCHS_MAX {
                return None;
            }
            if *sums == Figures::default() {
                return Some(Figures::default());
            }
            self.0.insert(epoch.to_owned(), Figures::default());
        }
        Some(self.0.get_mut(epoch)?.join(sums))
    }

    /// The sums of an epoch that are merged.
    pub fn of(&self, epoch: &str) -> Option<&Figures> {
        self.0.get(epoch)
    }

    /// All requests that are merged.
    pub fn requests(&self) -> Samples {
        let mut all = Samples::default();
        for figures in self.0.values() {
            all.add(&figures.requests);
        }
        all
    }

    /// Begins with another share.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// Processes that may report under one share.
const EPOCHS_MAX: usize = 512;
