//! The part of each proxy's sums that a record contains.
//!
//! A store takes values of a certain size only, so what is merged is bounded in bytes. Where it has
//! no more room, the sums of processes that report no longer are added together; their names stay,
//! so that one that comes back is not counted twice.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Figures, Report};
use crate::rollout::gate::Samples;

/// Sums of each proxy that are merged, under the present share. A proxy that starts again counts
/// under another epoch: its sums begin at 0, and those of before stay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Merged {
    /// Sums of each epoch.
    epochs: BTreeMap<String, Figures>,
    /// Sums of those that report no longer, together.
    #[serde(default)]
    past: Figures,
    /// Their names. What they report after all counts no more under this share.
    #[serde(default)]
    closed: BTreeSet<String>,
}

impl Merged {
    /// Takes the sums of these reports up; returns what is new in them, and the number of those that
    /// found no room. These are left for a later call: sums only grow, so that nothing is lost.
    /// `present` are the epochs that report at all.
    pub fn take<'a>(
        &mut self,
        reports: impl Iterator<Item = &'a Report>,
        present: &BTreeSet<&str>,
    ) -> (Figures, usize) {
        let (mut all, mut left_out) = (Figures::default(), 0);
        let mut bytes = self.bytes();
        for Report { epoch, figures, .. } in reports {
            let known = self.epochs.get(epoch);
            if self.closed.contains(epoch) || (known.is_none() && *figures == Figures::default()) {
                continue;
            }
            if known.is_none() && self.epochs.len() + self.closed.len() >= EPOCHS_MAX {
                left_out += 1;
                continue;
            }
            let mut sums = known.cloned().unwrap_or_default();
            let new = sums.join(figures);
            if known == Some(&sums) {
                continue;
            }
            let before = known.map_or(0, |known| entry_bytes(epoch, known));
            let grown = entry_bytes(epoch, &sums).saturating_sub(before);
            while bytes + grown > BYTES_MAX && self.close_one(present) {
                bytes = self.bytes();
            }
            if bytes + grown > BYTES_MAX {
                left_out += 1;
                continue;
            }
            bytes += grown;
            self.epochs.insert(epoch.clone(), sums);
            all.add(&new);
        }
        (all, left_out)
    }

    /// The sums of an epoch that are merged.
    pub fn of(&self, epoch: &str) -> Option<&Figures> {
        self.epochs.get(epoch)
    }

    /// Returns true if the sums of an epoch count no more.
    pub fn is_closed(&self, epoch: &str) -> bool {
        self.closed.contains(epoch)
    }

    /// All requests that are merged.
    pub fn requests(&self) -> Samples {
        let mut all = self.past.requests.clone();
        for figures in self.epochs.values() {
            all.add(&figures.requests);
        }
        all
    }

    /// Begins with another share.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Bytes in a record.
    pub(super) fn bytes(&self) -> usize {
        serde_json::to_vec(self).map_or(0, |text| text.len())
    }

    /// Closes an epoch that reports no longer; false if there is none.
    fn close_one(&mut self, present: &BTreeSet<&str>) -> bool {
        let mut known = self.epochs.keys();
        let gone = known.find(|epoch| !present.contains(&***epoch));
        let Some(epoch) = gone.cloned() else {
            return false;
        };
        if let Some(sums) = self.epochs.remove(&epoch) {
            self.past.add(&sums);
        }
        self.closed.insert(epoch);
        true
    }
}

/// Bytes of one more epoch in a record, with what stands around it.
fn entry_bytes(epoch: &str, figures: &Figures) -> usize {
    let text = serde_json::to_vec(figures).map_or(0, |text| text.len());
    epoch.len() + text + "\"\":,".len()
}

/// Bytes of what is merged. A transaction of Consul has 512 KiB, with the value in base64, and the rest of a
/// record is small.
pub(super) const BYTES_MAX: usize = 256 << 10;
/// Processes that may report under one share.
const EPOCHS_MAX: usize = 2048;
