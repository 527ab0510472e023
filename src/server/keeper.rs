//! Writer of the last good configuration, without waiting for the disk.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{errand::InTurn, last_good, outages::Outages};
use crate::{
    config::{IncludedFile, SharedPart},
    state::Snapshot,
};

/// A configuration as it was written.
#[derive(Clone, Debug)]
pub(crate) struct Texts {
    /// The file.
    pub(crate) file: Arc<str>,
    /// The files that it includes.
    pub(crate) included: Arc<[IncludedFile]>,
    /// The part that is in a store, if there is one.
    pub(crate) shared: Option<SharedPart>,
}

/// Writes one configuration after the other, each as a disk task of its own.
#[derive(Debug)]
pub(super) struct Keeper {
    /// The file of the configuration.
    path: PathBuf,
    outages: Arc<Outages>,
    writes: InTurn,
    /// The newest one that could not be written yet.
    next: Option<(Arc<Snapshot>, Texts)>,
}

impl Keeper {
    /// Makes the keeper for the file at `path`.
    pub(super) fn new(path: &Path, outages: &Arc<Outages>) -> Self {
        Self {
            path: path.to_owned(),
            outages: Arc::clone(outages),
            writes: InTurn::new(),
            next: None,
        }
    }

    /// Keeps the text of a good configuration on disk, if configured.
    pub(super) fn keep(&mut self, snapshot: &Arc<Snapshot>, texts: &Texts) {
        self.next = Some((Arc::clone(snapshot), texts.clone()));
        self.tick();
    }

    /// Begins to write the waiting one, once the one before is written.
    pub(super) fn tick(&mut self) {
        if self.writes.is_busy() {
            return;
        }
        let Some((snapshot, texts)) = self.next.take() else {
            return;
        };
        let (path, outages) = (self.path.clone(), Arc::clone(&self.outages));
        let write = move || keep(&snapshot, &path, &texts, &outages);
        if let Err(error) = self.writes.send("last good", write) {
            tracing::warn!(%error, "cannot keep the last good configuration");
            self.outages.note::<()>(UNKEPT, &Err(error));
        }
    }

    /// Waits for the current write, up to a timeout.
    pub(super) async fn settle(&mut self) {
        self.writes.settle(PATIENCE).await;
    }
}

fn keep(snapshot: &Snapshot, path: &Path, texts: &Texts, outages: &Outages) {
    let Some(dir) = &snapshot.config.proxy.state_dir else {
        outages.over(UNKEPT);
        return last_good::forget(path);
    };
    let shared = texts.shared.as_ref().map(|it| &*it.text);
    let kept = last_good::keep(dir, path, &texts.file, &texts.included, shared);
    outages.note(UNKEPT, &kept);
    if let Err(error) = kept {
        tracing::warn!(dir = %dir.display(), %error, "cannot keep the last good configuration");
    }
}

/// Maximum wait of a shutdown for the disk.
const PATIENCE: Duration = Duration::from_secs(1);

/// The outage of the disk.
const UNKEPT: &str = "the last good configuration is not kept";
