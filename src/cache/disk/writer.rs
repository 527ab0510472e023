//! The thread that writes: it looks through the folder, writes answers and purges, and removes what
//! has left.

use std::{
    fs::File,
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Shared, Standing,
    bans::Bans,
    index::BLOCK_BYTES,
    name::{FileName, KeyHash, variant},
    outbox::Job,
    record,
};
use crate::cache::{Entry, Key, Store, changes::Mark};

/// An answer to be written.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) store: Arc<Store>,
    pub(super) key: Key,
    pub(super) hash: KeyHash,
    pub(super) entry: Entry,
    /// Time at which it was asked for.
    pub(super) asked: u64,
    pub(super) mark: Mark,
}

impl Write {
    /// Bytes that it holds.
    pub(super) fn bytes(&self) -> u64 {
        self.entry.weight() as u64
    }
}

/// The thread's own.
pub(super) struct Writer {
    shared: Arc<Shared>,
    /// The right to write; ends with the process.
    lock: Option<File>,
    /// Purges that are not on disk.
    unsaved: Bans,
    /// All files are known.
    opened: bool,
    /// Time of the next try; none while it works.
    again: Option<Instant>,
    /// Bytes that the last write needed, if there was no room for them.
    needed: u64,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            lock: None,
            unsaved: Bans::default(),
            opened: false,
            again: None,
            needed: 0,
        }
    }

    /// Works until there is no more to do.
    pub(super) fn run(mut self) {
        self.open();
        loop {
            let job = self.shared.outbox.next(LOOK_EVERY);
            let due = self.is_due();
            if due {
                // Before a file of the same name is written.
                self.remove_gone();
            }
            match job {
                Job::Purges(bans) => self.keep(bans),
                Job::Write(write) => self.write(&write),
                Job::Look if due => self.look(),
                Job::Look => {}
                Job::End => break,
            }
            if self.shared.standing() != Standing::Failing {
                self.remove_gone();
            }
        }
        self.remove_gone();
        if !self.unsaved.is_empty() {
            self.keep(Bans::default());
        }
        self.shared.outbox.end();
    }

    /// Returns false while the disk fails, but for one try in each while.
    fn is_due(&mut self) -> bool {
        if self.shared.standing() != Standing::Failing {
            self.again = None;
            return true;
        }
        let now = Instant::now();
        let due = *self.again.get_or_insert(now + LOOK_EVERY) <= now;
        if due {
            self.again = None;
        }
        due
    }

    /// Opens the folder. Another process may have the right to write: then this one only reads.
    fn open(&mut self) {
        let opened = self.try_open();
        if let Err(error) = &opened {
            return self.shared.fail("open the folder", error);
        }
        match self.lock {
            Some(_) => self.shared.works(),
            None => self.shared.stand(Standing::Reading),
        }
    }

    fn try_open(&mut self) -> io::Result<()> {
        let shared = &self.shared;
        shared.folder.make()?;
        if self.lock.is_none() {
            self.lock = shared.folder.lock()?;
        }
        let owns = self.lock.is_some();
        // Before the first answer is found.
        let text = shared.folder.purges()?;
        shared.bans().merge(Bans::read(&text));
        if owns {
            self.compact();
        }
        shared.index.forget();
        shared
            .folder
            .scan(owns, |name, bytes| shared.found(name, bytes))?;
        if owns {
            // From here on this process knows of every file.
            shared.end_recording();
            self.opened = true;
        } else {
            // What does not fit is the other process's to remove.
            drop(shared.index.take_gone());
        }
        Ok(())
    }

    /// Looks whether the right to write has become free, and whether the disk works again.
    fn look(&mut self) {
        match self.shared.standing() {
            Standing::Ready | Standing::Slow => {}
            Standing::Full => self.look_for_room(),
            Standing::Reading => {
                let lock = self.shared.folder.lock();
                if let Some(lock) = lock.ok().flatten() {
                    self.lock = Some(lock);
                    self.open();
                }
            }
            Standing::Failing if self.opened => {
                let shared = &self.shared;
                let has_room = shared.folder.free().is_ok_and(|free| free >= self.needed);
                if shared.index.gone() == 0 && has_room && shared.folder.probe().is_ok() {
                    self.needed = 0;
                    shared.works();
                }
            }
            Standing::Failing | Standing::Opening => self.open(),
        }
        if !self.unsaved.is_empty() {
            self.keep(Bans::default());
        }
    }

    fn write(&mut self, write: &Write) {
        let shared = &self.shared;
        if !matches!(shared.standing(), Standing::Ready | Standing::Full) {
            shared.figures.dropped.add();
            return;
        }
        let Write { store, key, .. } = write;
        if store.changes.mark(key) != write.mark {
            return;
        }
        let meta = &write.entry.meta;
        let name = FileName {
            key: write.hash,
            variant: variant(&meta.cohort, &meta.varies),
        };
        let head = record::head(key, write.asked, &write.entry);
        let pieces = write.entry.content.pieces();
        let parts = || std::iter::once(&head[..]).chain(pieces.iter().map(|it| &it[..]));
        let bytes = head.len() as u64 + write.entry.content.length();
        let mut written = shared.folder.write(name, parts());
        if written.as_ref().is_err_and(is_full) && self.make_room(bytes) {
            written = self.shared.folder.write(name, parts());
        }
        let shared = &self.shared;
        if let Err(error) = written {
            self.needed = if is_full(&error) { bytes * 2 } else { 0 };
            return shared.fail("write an answer", &error);
        }
        let held = store.changes.hold(key);
        match held.mark() == write.mark {
            true => {
                // A reader may have given up the file that was there before.
                shared.index.keep(name);
                shared.index.add(name, bytes);
            }
            false => shared.index.discard(name),
        }
        drop(held);
        shared.figures.written.add();
    }

    /// Has purges on disk. If they cannot be noted, all answers on disk are removed instead.
    fn keep(&mut self, bans: Bans) {
        self.unsaved.extend(bans);
        let lines = self.unsaved.lines();
        let mut noted = self.shared.folder.note_purges(&lines);
        if noted.as_ref().is_err_and(is_full) && self.make_room(lines.len() as u64) {
            noted = self.shared.folder.note_purges(&lines);
        }
        match noted {
            Ok(length) => {
                self.unsaved = Bans::default();
                if length > NOTES_MAX && self.lock.is_some() {
                    self.compact();
                }
            }
            Err(error) => {
                self.shared.fail("note a purge", &error);
                // Those that are not known yet stay, and the purges with them.
                if self.opened {
                    self.shared.index.clear();
                    self.remove_gone();
                    if self.shared.index.gone() == 0 {
                        self.unsaved = Bans::default();
                    }
                }
            }
        }
    }

    /// Has each purge in the file once. If that fails, the longer file says the same.
    fn compact(&self) {
        let shared = &self.shared;
        let compacted = shared.folder.compact_purges(|text| {
            // Another process may have noted some.
            let mut bans = Bans::read(text);
            bans.extend(shared.bans().clone());
            bans.lines()
        });
        if compacted.is_err() {
            shared.figures.failed.add();
        }
    }

    /// Removes the files that have left the index.
    fn remove_gone(&mut self) {
        let mut names = self.shared.index.take_gone();
        while let Some(name) = names.pop() {
            if let Err(error) = self.shared.folder.remove(name) {
                self.shared.fail("remove a file", &error);
                // After a restart they would be answers again.
                names.push(name);
                return self.shared.index.put_back(names);
            }
        }
    }

    /// The disk is full: makes do with less of it. Returns false if nothing can leave.
    fn make_room(&mut self, bytes: u64) -> bool {
        let shared = &self.shared;
        let used = shared.index.size().1;
        if used == 0 {
            return false;
        }
        let needed = bytes.max(BLOCK_BYTES) * 2;
        let room = used.saturating_sub(needed.max(used / 16)).max(needed);
        if shared.room.swap(room, Ordering::Relaxed) == u64::MAX {
            shared.stand(Standing::Full);
            let (route, folder) = (&*shared.route, shared.folder.path().display());
            tracing::warn!(route, %folder, "cache: the disk is full; answers leave it to make room for others");
        }
        shared.resize();
        self.remove_gone();
        true
    }

    /// Takes more of a disk that was full, if there is more.
    fn look_for_room(&self) {
        let shared = &self.shared;
        let Ok(free) = shared.folder.free() else {
            return;
        };
        let used = shared.index.size().1;
        let rest = shared
            .bytes_max
            .load(Ordering::Relaxed)
            .saturating_sub(used);
        if free >= rest {
            shared.room.store(u64::MAX, Ordering::Relaxed);
            shared.stand(Standing::Ready);
            let (route, folder) = (&*shared.route, shared.folder.path().display());
            tracing::info!(route, %folder, "cache: there is room on the disk again");
        } else if free > used / 8 {
            shared.room.store(used + free / 2, Ordering::Relaxed);
        }
        shared.resize();
    }
}

/// Returns true for an error that says that there is no room.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Time after which the thread looks whether the disk, or the right to write, is there again.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Bytes of notes of purges above which the file is written anew; what is told apart takes a third.
const NOTES_MAX: u64 = 8 << 20;

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::cache::{Disk, Purge, disk::bans::Ban};

    fn writer(folder: &Path) -> Writer {
        let disk = Disk::new(&"all".into(), folder, 1 << 20, 1 << 16);
        Writer::new(Arc::clone(&disk.shared))
    }

    /// Purges of long URLs.
    fn bans(from: u64, count: u64) -> Bans {
        let mut bans = Bans::default();
        for at in from..from + count {
            let url = format!("http://a/{at}/{}", "x".repeat(1000));
            bans.add(Ban {
                at,
                what: Purge::Url(url.into_bytes()),
            });
        }
        bans
    }

    #[test]
    fn the_file_of_purges_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = writer(folder.path());
        writer.open();
        let mut largest = 0;
        for round in 0..60 {
            let bans = bans(round * 200, 200);
            writer.shared.bans().extend(bans.clone());
            writer.keep(bans);
            let length = fs::metadata(folder.path().join("purges")).unwrap().len();
            largest = largest.max(length);
        }
        // 24 MB were noted.
        assert!(largest > NOTES_MAX / 2, "{largest}");
        assert!(largest < NOTES_MAX + (1 << 20), "{largest}");
        let text = fs::read_to_string(folder.path().join("purges")).unwrap();
        let read = Bans::read(&text);
        assert!(read.meets(11_999, b"http://b/", |_| false) || read.len() > 1);
        let last = format!("http://a/11999/{}", "x".repeat(1000));
        assert!(read.meets(11_999, last.as_bytes(), |_| false));
        assert!(!read.meets(12_000, last.as_bytes(), |_| false));
    }

    #[test]
    fn purges_that_cannot_be_noted_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("file");
        fs::write(&place, "no folder").unwrap();
        let mut writer = writer(&place);
        writer.open();
        for round in 0..20 {
            writer.keep(bans(round * 500, 500));
            assert!(writer.unsaved.len() <= 4096);
        }
        assert!(!writer.unsaved.is_empty());
        fs::remove_file(&place).unwrap();
        writer.open();
        writer.keep(Bans::default());
        assert!(writer.unsaved.is_empty());
    }
}
