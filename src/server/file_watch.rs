//! The watch on the configuration file, as a task of its own.
//!
//! Watch and control never wait for each other: each leaves the other the newest word.

use std::{path::PathBuf, sync::Arc};

use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};

use crate::{
    config::{ContentHash, Watcher},
    task,
};

/// The running watch.
#[derive(Debug)]
pub(super) struct FileWatch {
    pub(super) task: JoinHandle<()>,
    changed: Arc<Notify>,
    told: watch::Sender<Told>,
}

/// What control tells the watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// The content that was last loaded.
    pub(super) seen: ContentHash,
    /// Whether edits are to be followed (`proxy.watch`).
    pub(super) follows: bool,
}

impl FileWatch {
    /// Watches the file.
    pub(super) fn start(path: PathBuf, first: Told) -> Self {
        let (tell, mut told) = watch::channel(first);
        let changed = Arc::new(Notify::new());
        let changes = Arc::clone(&changed);
        let task = task::spawn_local("file watch", async move {
            let Told { seen, mut follows } = first;
            let mut watcher = Watcher::new(path, seen);
            loop {
                tokio::select! {
                    news = told.changed() => match news {
                        Ok(()) => {
                            let told = *told.borrow_and_update();
                            watcher.set_seen(told.seen);
                            follows = told.follows;
                        }
                        Err(_) => break,
                    },
                    () = watcher.changed(), if follows => changes.notify_one(),
                }
            }
        });
        Self {
            task,
            changed,
            told: tell,
        }
    }

    /// Waits until the file has changed. Cancel safe.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Says what was read for another reason, and whether to follow; nothing is sent if that
    /// is no news.
    pub(super) fn tell(&self, news: Told) {
        self.told
            .send_if_modified(|told| std::mem::replace(told, news) != news);
    }
}
