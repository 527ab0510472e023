//! Files that values of the configuration are kept in: a change of one causes a reload.
//!
//! They are looked at every second, like certificates, and a change counts once it has been the
//! same for two looks, or has not come to rest for some seconds. After a refused reload the files of the refused configuration are watched as
//! well, so that a missing file that appears ends the refusal.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};

use super::{
    control::Request,
    disk::{Disk, DiskError},
    service::{Ended, Services, Stop},
};
use crate::{state::heads::GateUse, tls::Stamps};

/// Files by path, with their stamps at the reading.
pub(super) type Looks = BTreeMap<PathBuf, Stamps>;

/// The files to watch.
#[derive(Clone, Debug, Default)]
pub(super) struct NamedFiles(Arc<Mutex<Looks>>);

impl NamedFiles {
    /// Watches the files of the configuration in use.
    pub(super) fn replace(&self, files: &Looks) {
        self.lock().clone_from(files);
    }

    /// Watches the files of a refused configuration as well.
    pub(super) fn add(&self, files: &Looks) {
        let files = files
            .iter()
            .map(|(path, looks)| (path.clone(), looks.clone()));
        self.lock().extend(files);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Looks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a reload whenever one of the files has changed.
    pub(super) fn watch(&self, services: &mut Services, requests: mpsc::Sender<Request>) {
        let files = self.clone();
        let disk = Rc::new(Disk::new("named files"));
        services.start("named files", move |stop| {
            let (files, requests) = (files.clone(), requests.clone());
            files.run(requests, Rc::clone(&disk), stop)
        });
    }

    async fn run(self, requests: mpsc::Sender<Request>, disk: Rc<Disk>, stop: Stop) -> Ended {
        let mut looks = stop.looks(LOOK);
        let mut seen = Looks::new();
        let mut restless: BTreeMap<PathBuf, Instant> = BTreeMap::new();
        while looks.next().await {
            let read = self.lock().clone();
            let changed = tokio::select! {
                () = stop.told() => return Ok(()),
                changed = changed(read, &disk) => changed?,
            };
            restless.retain(|path, _| changed.contains_key(path));
            for path in changed.keys() {
                restless.entry(path.clone()).or_insert_with(Instant::now);
            }
            // What has been the same for two looks, and not been told before. What somebody writes
            // again and again is read as it is.
            let settled = changed.iter().find(|(path, now)| {
                let since = restless.get(*path);
                seen.get(*path) == Some(now)
                    || since.is_some_and(|since| since.elapsed() >= RESTLESS_MAX)
            });
            if let Some((path, _)) = settled {
                tracing::info!(file = %path.display(), "a file that the configuration names has changed");
                let (answer, report) = oneshot::channel();
                let asking = async {
                    // Control may be gone, or give no answer: there is nothing to read then.
                    if requests
                        .send(Request::Reload(answer, GateUse::Applies))
                        .await
                        .is_ok()
                    {
                        let _ = report.await;
                    }
                };
                tokio::select! {
                    () = stop.told() => return Ok(()),
                    asked = timeout(RELOAD_PATIENCE, asking) => asked?,
                }
                // However it went, the same look is no news.
                self.judged(&changed);
                restless.clear();
            }
            seen = changed;
        }
        Ok(())
    }

    fn judged(&self, looks: &Looks) {
        let mut files = self.lock();
        for (path, look) in looks {
            if let Some(known) = files.get_mut(path) {
                known.clone_from(look);
            }
        }
    }
}

/// Returns the files that have changed since they were read.
async fn changed(read: Looks, disk: &Disk) -> Result<Looks, DiskError> {
    if read.is_empty() {
        return Ok(Looks::new());
    }
    let look = move || -> Looks {
        let now = read.into_iter().filter_map(|(path, then)| {
            let now = Stamps::of(&[&path]);
            (now != then).then_some((path, now))
        });
        now.collect()
    };
    disk.ask(look).await
}

const LOOK: Duration = Duration::from_secs(1);
/// Time after which a file is read that does not come to rest.
pub(super) const RESTLESS_MAX: Duration = Duration::from_secs(5);
/// Maximum wait for a reload: longer than one may take.
const RELOAD_PATIENCE: Duration = Duration::from_secs(120);
