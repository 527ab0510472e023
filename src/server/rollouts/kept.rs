//! Progress of rollouts on disk: a process that was killed goes on where it was.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::super::{errand::InTurn, last_good, outages::Outages};
use crate::{file, rollout::Kept, state::Snapshot};

/// Progress of all rollouts, by name.
pub(in crate::server) type AllKept = BTreeMap<String, Kept>;

#[derive(Serialize, Deserialize)]
struct Content {
    version: u32,
    rollouts: AllKept,
}

/// Writer of the progress, one write after the other.
#[derive(Default)]
pub(super) struct Keeper {
    outages: Arc<Outages>,
    writes: InTurn,
    written: Option<Instant>,
    /// Something has moved since the last write.
    moved: bool,
    /// Number of rollouts of the last write.
    rollouts: usize,
}

impl Keeper {
    pub(super) fn new(outages: &Arc<Outages>) -> Self {
        Self {
            outages: Arc::clone(outages),
            ..Self::default()
        }
    }

    /// Writes the progress if something moved, and once a second while a rollout is under way.
    pub(super) fn keep(
        &mut self,
        snapshot: &Arc<Snapshot>,
        path: &Path,
        now: Instant,
        moved: bool,
    ) {
        // One that was removed is forgotten on disk, too.
        self.moved |= moved || snapshot.rollouts.len() < self.rollouts;
        let Some(dir) = &snapshot.config.proxy.state_dir else {
            return;
        };
        let none = snapshot.rollouts.is_empty() && self.rollouts == 0;
        if none || self.writes.is_busy() {
            return;
        }
        let due = self
            .written
            .is_none_or(|at| now.saturating_duration_since(at) >= EVERY);
        if !self.moved && !due {
            return;
        }
        let content = Content {
            version: VERSION,
            rollouts: kept(snapshot),
        };
        let Ok(text) = serde_json::to_string(&content) else {
            return;
        };
        self.moved = false;
        self.rollouts = snapshot.rollouts.len();
        self.written = Some(now);
        let (dir, place) = (dir.clone(), place(dir, path));
        let outages = Arc::clone(&self.outages);
        let sent = self.writes.send("rollouts", move || {
            let written = last_good::write(&dir, &place, &text);
            outages.note(UNKEPT, &written);
            if let Err(error) = written {
                tracing::warn!(dir = %dir.display(), %error, "cannot keep the progress of rollouts");
            }
        });
        if let Err(error) = sent {
            tracing::warn!(%error, "cannot keep the progress of rollouts");
            self.outages.note::<()>(UNKEPT, &Err(error));
        }
    }
}

/// Collects the progress of all rollouts.
pub(in crate::server) fn kept(snapshot: &Snapshot) -> AllKept {
    let rollouts = snapshot.rollouts.iter();
    rollouts
        .map(|it| (it.name.to_string(), it.state.kept(it)))
        .collect()
}

/// Takes up progress.
pub(in crate::server) fn take_up(snapshot: &Snapshot, kept: &AllKept) {
    for (name, kept) in kept {
        if let Some(rollout) = snapshot.rollout(name) {
            rollout.state.take_up(rollout, kept);
        }
    }
}

/// Takes up the progress that is on disk, if any; `path` is the file of the configuration. Blocks on
/// the disk.
pub(in crate::server) fn restore(snapshot: &Snapshot, path: &Path) {
    let Some(dir) = &snapshot.config.proxy.state_dir else {
        return;
    };
    if snapshot.rollouts.is_empty() {
        return;
    }
    let Ok(text) = file::read_to_string(&place(dir, path), file::WATCHED_BYTES_MAX) else {
        return;
    };
    match serde_json::from_str::<Content>(&text) {
        Ok(content) if content.version == VERSION => take_up(snapshot, &content.rollouts),
        Ok(content) => tracing::warn!(
            version = content.version,
            "the progress of rollouts on disk is of another version: they begin anew"
        ),
        Err(error) => {
            tracing::warn!(%error, "the progress of rollouts on disk is malformed: they begin anew");
        }
    }
}

fn place(dir: &Path, path: &Path) -> std::path::PathBuf {
    last_good::place_of(dir, path, "rollouts", "json")
}

/// Version of the file.
const VERSION: u32 = 1;
/// Between two writes while nothing moves.
const EVERY: Duration = Duration::from_secs(1);
/// The outage of the disk.
const UNKEPT: &str = "the progress of rollouts is not kept";
