//! The watch on the configuration file, as a task of its own.
//!
//! Watch and control never wait for each other: each leaves the other the newest word.

use std::{path::PathBuf, sync::Arc};

use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};

use super::task;
use crate::config::{ContentHash, Watcher};

/// The running watch.
#[derive(Debug)]
pub(super) struct FileWatch {
    pub(super) task: JoinHandle<()>,
    changed: Arc<Notify>,
    seen: watch::Sender<ContentHash>,
}

impl FileWatch {
    /// Watches the file, whose content as last loaded was `seen`.
    pub(super) fn start(path: PathBuf, seen: ContentHash) -> Self {
        let (tell, mut told) = watch::channel(seen);
        let changed = Arc::new(Notify::new());
        let changes = Arc::clone(&changed);
        let task = task::spawn_local("file watch", async move {
            let mut watcher = Watcher::new(path, seen);
            loop {
                tokio::select! {
                    news = told.changed() => match news {
                        Ok(()) => watcher.set_seen(*told.borrow_and_update()),
                        Err(_) => break,
                    },
                    () = watcher.changed() => changes.notify_one(),
                }
            }
        });
        Self {
            task,
            changed,
            seen: tell,
        }
    }

    /// Waits until the file has changed. Cancel safe.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Says what was read for another reason; nothing is sent if that is no news.
    pub(super) fn set_seen(&self, hash: ContentHash) {
        self.seen
            .send_if_modified(|seen| std::mem::replace(seen, hash) != hash);
    }
}
