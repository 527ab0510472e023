//! Notices that the configuration file changed.
//!
//! The *folder* is watched, not the file: a file that is replaced by renaming another
//! over it takes its watch along, and a mounted ConfigMap changes by a link beside it.
//! Because some file systems report nothing, the content is also looked at every two
//! seconds. Events only say when to look; what counts is that the content, once quiet,
//! differs from what was last seen. The watcher owns that fingerprint and nothing else.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::ModifyKind;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::load::{ContentHash, FILE_BYTES_MAX};
use crate::file;

/// Watches one file.
#[derive(Debug)]
pub struct Watcher {
    path: PathBuf,
    seen: ContentHash,
    events: mpsc::Receiver<()>,
    // Dropping it would end the watch.
    source: Option<RecommendedWatcher>,
    quiet: Duration,
    poll: Duration,
}

impl Watcher {
    /// Starts to watch `path`, whose content as last loaded was `seen`.
    ///
    /// A system that cannot report changes is no failure: the file is then only polled,
    /// which [`is_polling`](Self::is_polling) tells.
    pub fn new(path: impl Into<PathBuf>, seen: ContentHash) -> Self {
        let path = path.into();
        // One waiting event says all: look again. More are dropped.
        let (sender, events) = mpsc::channel(1);
        let source = watch_folder(&path, sender).ok();
        Self {
            path,
            seen,
            events,
            source,
            quiet: QUIET,
            poll: POLL,
        }
    }

    /// Tells whether changes are found by polling alone.
    pub fn is_polling(&self) -> bool {
        self.source.is_none()
    }

    /// Replaces the fingerprint, after the file was loaded for another reason.
    pub fn set_seen(&mut self, seen: ContentHash) {
        self.seen = seen;
    }

    /// Waits until the content of the file is another than was last seen, and quiet.
    ///
    /// A file that is missing or empty is taken to be in the middle of being replaced.
    /// Cancel safe: nothing is taken as seen before it returns.
    pub async fn changed(&mut self) {
        let mut next_poll = Instant::now();
        loop {
            tokio::select! {
                event = self.events.recv(), if self.source.is_some() => match event {
                    Some(()) => self.wait_for_quiet().await,
                    None => self.source = None,
                },
                () = sleep_until(next_poll) => {}
            }
            next_poll = Instant::now() + self.poll;
            if let Some(content) = self.stable_content().await {
                self.seen = content;
                return;
            }
        }
    }

    /// Waits until no event came for a while; a file that is never quiet is looked at
    /// all the same in the end.
    async fn wait_for_quiet(&mut self) {
        let end = Instant::now() + QUIET_WAIT_MAX;
        while Instant::now() < end {
            match timeout(self.quiet, self.events.recv()).await {
                Ok(Some(())) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Looks at the content: new, and the same a moment later. The second look catches
    /// a slow writer where there are no events.
    async fn stable_content(&self) -> Option<ContentHash> {
        let first = self.content().await.filter(|found| *found != self.seen)?;
        tokio::time::sleep(self.quiet).await;
        let second = self.content().await?;
        (first == second).then_some(second)
    }

    async fn content(&self) -> Option<ContentHash> {
        let path = self.path.clone();
        // The disk may be slow; the thread that waits here has other work.
        let bytes = tokio::task::spawn_blocking(move || file::read(&path, FILE_BYTES_MAX));
        let bytes = bytes.await.ok()?.ok()?;
        (!bytes.is_empty()).then(|| ContentHash::of(&bytes))
    }
}

fn watch_folder(path: &Path, sender: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    let name = path.file_name().map(OsStr::to_owned);
    let mut source = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // An error may be a lost event.
        if event.map_or(true, |event| concerns(&event, name.as_deref())) {
            // When it is full, an event is waiting already.
            let _ = sender.try_send(());
        }
    })?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    source.watch(folder, RecursiveMode::NonRecursive)?;
    Ok(source)
}

/// Whether an event in the folder can be a change of the file called `name`: it is about that
/// file, or something came, went or got another name, as links do.
///
/// Reading the file is an event too, and would have us look for ever. So is every line of a
/// log that lies beside it, and the folder would never be quiet.
fn concerns(event: &notify::Event, name: Option<&OsStr>) -> bool {
    match event.kind {
        EventKind::Access(_) => false,
        EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_)) => {
            event.paths.iter().any(|path| path.file_name() == name)
        }
        _ => true,
    }
}

/// How long nothing must have happened before the file is looked at.
const QUIET: Duration = Duration::from_millis(200);

/// How long to wait for that at most.
const QUIET_WAIT_MAX: Duration = Duration::from_secs(5);

/// Time between looks without an event.
const POLL: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn watcher(path: &Path) -> Watcher {
        let seen = fs::read(path).unwrap_or_default();
        let mut watcher = Watcher::new(path, ContentHash::of(&seen));
        // Tests of events must not be rescued by the poll.
        watcher.poll = Duration::from_secs(3600);
        watcher
    }

    /// Runs `edit` after the watcher's first look, and gives what it then sees.
    async fn sees(watcher: &mut Watcher, edit: impl FnOnce()) -> bool {
        assert!(timeout(watcher.quiet, watcher.changed()).await.is_err());
        edit();
        timeout(Duration::from_secs(8), watcher.changed())
            .await
            .is_ok()
    }

    #[tokio::test]
    async fn a_write_in_place_is_seen_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proxy.toml");
        fs::write(&path, "a").unwrap();
        let mut watcher = watcher(&path);
        assert!(!watcher.is_polling());
        assert!(sees(&mut watcher, || fs::write(&path, "b").unwrap()).await);
        let again = timeout(Duration::from_millis(700), watcher.changed()).await;
        assert!(again.is_err(), "reading it or its echo is not a change");
    }

    #[tokio::test]
    async fn a_file_replaced_by_renaming_is_seen_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proxy.toml");
        fs::write(&path, "0").unwrap();
        let mut watcher = watcher(&path);
        for content in ["1", "2", "3"] {
            let replace = || {
                let other = folder.path().join(".proxy.toml.swp");
                fs::write(&other, content).unwrap();
                fs::rename(&other, &path).unwrap();
            };
            assert!(sees(&mut watcher, replace).await, "{content}");
        }
    }

    #[tokio::test]
    async fn a_config_map_swap_is_seen_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let publish = |version: &str| {
            fs::create_dir(root.join(version)).unwrap();
            fs::write(root.join(version).join("proxy.toml"), version).unwrap();
            symlink(version, root.join("..data_tmp")).unwrap();
            fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
        };
        publish("..v1");
        let path = root.join("proxy.toml");
        symlink("..data/proxy.toml", &path).unwrap();
        let mut watcher = watcher(&path);
        for version in ["..v2", "..v3"] {
            assert!(sees(&mut watcher, || publish(version)).await, "{version}");
        }
    }

    #[tokio::test]
    async fn a_file_missing_for_a_moment_is_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proxy.toml");
        fs::write(&path, "a").unwrap();
        let mut watcher = watcher(&path);
        let vanish = || fs::remove_file(&path).unwrap();
        assert!(timeout(watcher.quiet, watcher.changed()).await.is_err());
        vanish();
        let gone = timeout(Duration::from_millis(700), watcher.changed()).await;
        assert!(gone.is_err(), "a missing file is not loaded");
        assert!(sees(&mut watcher, || fs::write(&path, "b").unwrap()).await);
    }

    #[tokio::test]
    async fn a_slow_writer_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proxy.toml");
        fs::write(&path, "old").unwrap();
        let mut watcher = watcher(&path);
        // Far longer than the writer's pauses, also on a busy machine.
        watcher.quiet = Duration::from_secs(1);
        let writer = async {
            for end in 1..=8 {
                fs::write(&path, &"12345678"[..end]).unwrap();
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
        };
        let (found, ()) = tokio::join!(timeout(Duration::from_secs(8), watcher.changed()), writer);
        assert!(found.is_ok());
        assert_eq!(watcher.seen, ContentHash::of(b"12345678"));
    }

    #[tokio::test]
    async fn a_log_that_grows_beside_it_delays_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proxy.toml");
        fs::write(&path, "a").unwrap();
        let mut watcher = watcher(&path);
        assert!(timeout(watcher.quiet, watcher.changed()).await.is_err());
        let log = async {
            let mut lines = String::new();
            loop {
                lines.push_str("a line\n");
                fs::write(folder.path().join("access.log"), &lines).unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        fs::write(&path, "b").unwrap();
        tokio::select! {
            found = timeout(QUIET_WAIT_MAX * 4 / 5, watcher.changed()) => assert!(found.is_ok()),
            () = log => {}
        }
    }

    #[tokio::test]
    async fn without_events_the_poll_finds_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proxy.toml");
        fs::write(&path, "a").unwrap();
        let mut watcher = watcher(&path);
        watcher.source = None;
        watcher.poll = Duration::from_millis(50);
        assert!(sees(&mut watcher, || fs::write(&path, "b").unwrap()).await);
    }
}
