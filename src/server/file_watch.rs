//! Watch on the configuration file, as a service.
//!
//! Control never waits for the watch: it leaves the newest instructions for it.

use std::path::PathBuf;

use tokio::sync::{mpsc, watch};

use super::{
    control::Request,
    service::{Ended, Services, Stop},
};
use crate::file::{ContentHash, Watcher};

/// The running watch.
#[derive(Debug)]
pub(super) struct FileWatch {
    told: watch::Sender<Told>,
}

/// Instructions of control to the watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// The content loaded last.
    pub(super) seen: ContentHash,
    /// True if edits are applied (`proxy.watch`).
    pub(super) follows: bool,
}

impl FileWatch {
    /// Watches the file, and asks for a reload when it has changed.
    pub(super) fn start(
        services: &mut Services,
        path: PathBuf,
        first: Told,
        requests: mpsc::Sender<Request>,
    ) -> Self {
        let (tell, told) = watch::channel(first);
        services.start("file watch", move |stop| {
            run(path.clone(), told.clone(), requests.clone(), stop)
        });
        Self { told: tell }
    }

    /// Sends new instructions: the content loaded last, and whether to follow edits. Does nothing
    /// if they are unchanged.
    pub(super) fn tell(&self, news: Told) {
        self.told
            .send_if_modified(|told| std::mem::replace(told, news) != news);
    }
}

async fn run(
    path: PathBuf,
    mut told: watch::Receiver<Told>,
    requests: mpsc::Sender<Request>,
    stop: Stop,
) -> Ended {
    let Told { seen, mut follows } = *told.borrow_and_update();
    let mut watcher = Watcher::new(path, seen);
    loop {
        tokio::select! {
            () = stop.told() => return Ok(()),
            news = told.changed() => {
                news?;
                let told = *told.borrow_and_update();
                watcher.set_seen(told.seen);
                follows = told.follows;
            }
            () = watcher.changed(), if follows => {
                tokio::select! {
                    () = stop.told() => return Ok(()),
                    asked = requests.send(Request::FileChanged) => asked.map_err(|_| "control is gone")?,
                }
            }
        }
    }
}
