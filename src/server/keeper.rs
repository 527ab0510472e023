//! Writer of the last good configuration, without waiting for the disk.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};

use super::{errand, last_good};
use crate::state::Snapshot;

/// Writes one configuration after the other, each as a disk task of its own.
#[derive(Debug)]
pub(super) struct Keeper {
    /// The file of the configuration.
    path: PathBuf,
    under_way: Option<oneshot::Receiver<()>>,
    /// The newest one that could not be written yet.
    next: Option<(Arc<Snapshot>, Arc<str>)>,
}

impl Keeper {
    /// Makes the keeper for the file at `path`.
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            under_way: None,
            next: None,
        }
    }

    /// Keeps the text of a good configuration on disk, if configured.
    pub(super) fn keep(&mut self, snapshot: &Arc<Snapshot>, text: &Arc<str>) {
        self.next = Some((Arc::clone(snapshot), Arc::clone(text)));
        self.tick();
    }

    /// Begins to write the waiting one, once the one before is written.
    pub(super) fn tick(&mut self) {
        if let Some(under_way) = &mut self.under_way {
            if matches!(
                under_way.try_recv(),
                Err(oneshot::error::TryRecvError::Empty)
            ) {
                return;
            }
            self.under_way = None;
        }
        let Some((snapshot, text)) = self.next.take() else {
            return;
        };
        let path = self.path.clone();
        match errand::send("last good", move || keep(&snapshot, &path, &text)) {
            Ok(under_way) => self.under_way = Some(under_way),
            Err(error) => tracing::warn!(%error, "cannot keep the last good configuration"),
        }
    }

    /// Waits for the current write, up to a timeout.
    pub(super) async fn settle(&mut self) {
        if let Some(under_way) = self.under_way.take() {
            let _ = timeout(PATIENCE, under_way).await;
        }
    }
}

fn keep(snapshot: &Snapshot, path: &Path, text: &str) {
    let Some(dir) = &snapshot.config.proxy.state_dir else {
        return last_good::forget(path);
    };
    if let Err(error) = last_good::keep(dir, path, text) {
        tracing::warn!(dir = %dir.display(), %error, "cannot keep the last good configuration");
    }
}

/// Maximum wait of a shutdown for the disk.
const PATIENCE: Duration = Duration::from_secs(1);
