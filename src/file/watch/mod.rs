//! Notices changes of a file: the configuration, a list of endpoints.
//!
//! The *folder* is watched, not the file: if another file is renamed over a watched file, its watch
//! is lost, and a mounted ConfigMap changes by a link beside it. Because some file systems report
//! nothing, the content is also read every two seconds. Events only tell when to look; a change is
//! content that, once stable, differs from the last seen. A file that is open and being written is
//! not read before it is closed, up to a timeout. One that never comes to rest is read in the end,
//! as it is. One that cannot be read, is missing or empty is assumed to be in the middle of a
//! replacement, and is a change if it stays so. The watcher owns the fingerprint and its knowledge of
//! the writer, and nothing else.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::ContentHash;

/// Watches one file.
#[derive(Debug)]
pub(crate) struct Watcher {
    path: PathBuf,
    seen: ContentHash,
    events: mpsc::Receiver<()>,
    // Dropping it would end the watch.
    source: Option<RecommendedWatcher>,
    writer: Arc<Writer>,
    /// Time since when the file has been unusable.
    unusable_since: Option<Instant>,
    /// Time since when it has been changing without a rest.
    restless_since: Option<Instant>,
    /// The look under way.
    looking: Option<JoinHandle<Option<Look>>>,
    /// True if the log was told that the file in sight is not the one that is edited.
    told_replaced: bool,
    quiet: Duration,
    poll: Duration,
}

/// Writer of the file, as the events show it.
#[derive(Debug, Default)]
struct Writer {
    /// It has been written to and not closed yet.
    is_at_work: AtomicBool,
}

/// Result of a look at the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    hash: ContentHash,
    /// True if it has no name any more, as under a mount whose source was replaced.
    is_nameless: bool,
}

impl Watcher {
    /// Starts to watch `path`, whose last loaded content was `seen`.
    ///
    /// If the system cannot report changes, the file is polled.
    pub(crate) fn new(path: impl Into<PathBuf>, seen: ContentHash) -> Self {
        let path = path.into();
        // One waiting event says all: look again. More are dropped.
        let (sender, events) = mpsc::channel(1);
        let writer = Arc::<Writer>::default();
        let source = watch_folder(&path, sender, Arc::clone(&writer)).ok();
        Self {
            path,
            seen,
            events,
            source,
            writer,
            unusable_since: None,
            restless_since: None,
            looking: None,
            told_replaced: false,
            quiet: QUIET,
            poll: POLL,
        }
    }

    /// Tells whether changes are found by polling only.
    #[cfg(test)]
    pub(crate) fn is_polling(&self) -> bool {
        self.source.is_none()
    }

    /// Replaces the fingerprint, after the file was loaded for another reason.
    pub(crate) fn set_seen(&mut self, seen: ContentHash) {
        self.seen = seen;
        self.restless_since = None;
    }

    /// Notes that the file was found to be unusable by other code, so that it is not reported
    /// again.
    pub(crate) fn set_unusable(&mut self) {
        self.seen = UNUSABLE;
    }

    /// Waits until the content of the file differs from the last seen, and is stable; or until the
    /// file has been unusable for [`UNUSABLE_MAX`], once.
    ///
    /// Cancel safe: nothing counts as seen before it returns.
    pub(crate) async fn changed(&mut self) {
        let mut next_poll = Instant::now();
        loop {
            tokio::select! {
                event = self.events.recv(), if self.source.is_some() => match event {
                    Some(()) => {
                        self.restless_since.get_or_insert_with(Instant::now);
                        self.wait_for_quiet().await;
                    }
                    None => self.source = None,
                },
                () = sleep_until(next_poll) => {}
            }
            self.wait_for_writer().await;
            next_poll = Instant::now() + self.poll;
            if let Some(content) = self.stable_content().await {
                self.seen = content;
                return;
            }
        }
    }

    /// Waits until the writer of the file has closed it, up to a timeout.
    async fn wait_for_writer(&mut self) {
        let end = Instant::now() + WRITER_WAIT_MAX;
        while self.writer.is_at_work.load(Ordering::Relaxed) && Instant::now() < end {
            if let Ok(None) = timeout_at(end, self.events.recv()).await {
                break;
            }
        }
        // One that does not come to an end is not waited for with every look.
        self.writer.is_at_work.store(false, Ordering::Relaxed);
    }

    /// Waits until no event arrived for a while; a file that never becomes quiet is read in the
    /// end.
    async fn wait_for_quiet(&mut self) {
        let since = self.restless_since.unwrap_or_else(Instant::now);
        let end = since + QUIET_WAIT_MAX;
        while Instant::now() < end {
            match timeout(self.quiet, self.events.recv()).await {
                Ok(Some(())) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Reads the content: changed, and the same a moment later, unless that never happens. The second
    /// read detects a slow writer where there are no events.
    async fn stable_content(&mut self) -> Option<ContentHash> {
        let Some(first) = self.look().await else {
            let since = *self.unusable_since.get_or_insert_with(Instant::now);
            let lasts = since.elapsed() >= UNUSABLE_MAX;
            if lasts {
                self.restless_since = None;
            }
            return (lasts && self.seen != UNUSABLE).then_some(UNUSABLE);
        };
        self.unusable_since = None;
        self.tell_replaced(first.is_nameless);
        if first.hash == self.seen {
            self.restless_since = None;
            return None;
        }
        let since = *self.restless_since.get_or_insert_with(Instant::now);
        tokio::time::sleep(self.quiet).await;
        let second = self.look().await?;
        // Somebody may write it again and again: each version is as good as the next one.
        let is_due = first == second || since.elapsed() >= QUIET_WAIT_MAX;
        if is_due {
            self.restless_since = None;
        }
        is_due.then_some(second.hash)
    }

    /// Reads the file; none if it cannot be read or is empty.
    async fn look(&mut self) -> Option<Look> {
        // The disk may be slow; the thread that waits here has other work. A look that hangs
        // keeps its place, so that hanging looks do not add up.
        if let Some(looking) = &mut self.looking {
            // Begun before now: what it saw may be past.
            let _ = timeout(LOOK_MAX, looking).await.ok()?;
        }
        let path = self.path.clone();
        let look = tokio::task::spawn_blocking(move || Look::at(&path));
        let looking = self.looking.insert(look);
        let looked = timeout(LOOK_MAX, looking).await.ok()?;
        self.looking = None;
        looked.ok()?
    }

    /// Logs once that edits cannot be seen: a file that is mounted by itself stays the old one when
    /// another takes its name outside.
    fn tell_replaced(&mut self, is_replaced: bool) {
        if is_replaced && !self.told_replaced {
            tracing::warn!(
                file = %self.path.display(),
                "the file was replaced where it is mounted from, and the mount still shows the \
                 old one: edits cannot be seen; mount its folder instead, or restart"
            );
        }
        self.told_replaced = is_replaced;
    }
}

impl Look {
    fn at(path: &Path) -> Option<Self> {
        let bytes = super::read(path, super::WATCHED_BYTES_MAX).ok()?;
        let names = std::fs::metadata(path).map_or(1, |found| found.nlink());
        (!bytes.is_empty()).then(|| Self {
            hash: ContentHash::of(&bytes),
            is_nameless: names == 0,
        })
    }
}

impl Writer {
    /// Notes an event of the folder in which the file is called `name`.
    fn note(&self, event: &notify::Event, name: Option<&OsStr>) {
        if !event.paths.iter().any(|path| path.file_name() == name) {
            return;
        }
        let is_at_work = match event.kind {
            EventKind::Modify(ModifyKind::Data(_)) => true,
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(_))
            | EventKind::Remove(_) => false,
            _ => return,
        };
        self.is_at_work.store(is_at_work, Ordering::Relaxed);
    }
}

fn watch_folder(
    path: &Path,
    sender: mpsc::Sender<()>,
    writer: Arc<Writer>,
) -> notify::Result<RecommendedWatcher> {
    let name = path.file_name().map(OsStr::to_owned);
    let mut source = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if let Ok(event) = &event {
            writer.note(event, name.as_deref());
        }
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

/// Returns true if an event in the folder can be a change of the file called `name`: it is about
/// that file, or a file was created, removed or renamed, as links are.
///
/// Events of reads are ignored, as our own would cause another read for ever, and so are those of
/// other files, such as a log in the same folder, which would never become quiet.
fn concerns(event: &notify::Event, name: Option<&OsStr>) -> bool {
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_)) => {
            event.paths.iter().any(|path| path.file_name() == name)
        }
        EventKind::Access(_) => false,
        _ => true,
    }
}

/// Hash that stands for an unusable file.
const UNUSABLE: ContentHash = ContentHash::NONE;

/// Time that a file may be unusable before that counts as a change.
const UNUSABLE_MAX: Duration = Duration::from_secs(3);

/// Maximum wait for a writer that has the file open.
const WRITER_WAIT_MAX: Duration = Duration::from_secs(10);

/// Time without events before the file is looked at.
const QUIET: Duration = Duration::from_millis(200);

/// Maximum wait for a file that comes to rest.
const QUIET_WAIT_MAX: Duration = Duration::from_secs(5);

/// Maximum wait for a look before the file counts as unreadable.
const LOOK_MAX: Duration = Duration::from_secs(10);

/// Time between looks without an event.
const POLL: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
