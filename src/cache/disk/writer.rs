//! The thread that writes: it looks through the folder, writes answers and purges, and removes what
//! has left.

use std::{fs::File, io, sync::Arc, time::Duration};

use super::{
    Shared, Standing,
    bans::{Ban, Bans},
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
    unsaved: Vec<Ban>,
    /// All files are known.
    opened: bool,
    failing: bool,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            lock: None,
            unsaved: Vec::new(),
            opened: false,
            failing: false,
        }
    }

    /// Works until there is no more to do.
    pub(super) fn run(mut self) {
        self.open();
        loop {
            let job = self.shared.outbox.next(LOOK_EVERY);
            // Before a file of the same name is written.
            self.remove_gone();
            match job {
                Job::Purges(bans) => self.keep(bans),
                Job::Write(write) => self.write(&write),
                Job::Look => self.look(),
                Job::End => break,
            }
            self.remove_gone();
        }
        self.shared.outbox.end();
    }

    /// Opens the folder. Another process may have the right to write: then this one only reads.
    fn open(&mut self) {
        let opened = self.try_open();
        if let Err(error) = &opened {
            self.fail("open the folder", error);
        }
        let standing = match (&opened, &self.lock) {
            (Ok(()), Some(_)) => Standing::Ready,
            (Ok(()), None) => Standing::Reading,
            (Err(_), _) => Standing::Failing,
        };
        self.shared.stand(standing);
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
            let lines = shared.bans().lines();
            shared.folder.keep_purges(&lines)?;
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
            Standing::Ready => {}
            Standing::Reading => {
                let lock = self.shared.folder.lock();
                if let Some(lock) = lock.ok().flatten() {
                    self.lock = Some(lock);
                    self.open();
                }
            }
            Standing::Failing if self.opened => {
                if self.shared.folder.probe().is_ok() {
                    self.shared.stand(Standing::Ready);
                    self.works();
                }
            }
            Standing::Failing | Standing::Opening => self.open(),
        }
        if !self.unsaved.is_empty() {
            self.keep(Vec::new());
        }
    }

    fn write(&mut self, write: &Write) {
        let shared = &self.shared;
        if shared.standing() != Standing::Ready {
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
        let parts = std::iter::once(&head[..]).chain(pieces.iter().map(|it| &it[..]));
        if let Err(error) = shared.folder.write(name, parts) {
            return self.fail("write an answer", &error);
        }
        let bytes = head.len() as u64 + write.entry.content.length();
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

    /// Has purges on disk.
    fn keep(&mut self, bans: Vec<Ban>) {
        self.unsaved.extend(bans);
        let lines: String = self.unsaved.iter().map(Ban::line).collect();
        match self.shared.folder.note_purge(&lines) {
            Ok(()) => self.unsaved.clear(),
            Err(error) => self.fail("note a purge", &error),
        }
    }

    /// Removes the files that have left the index.
    fn remove_gone(&mut self) {
        let mut names = self.shared.index.take_gone();
        while let Some(name) = names.pop() {
            if let Err(error) = self.shared.folder.remove(name) {
                self.fail("remove a file", &error);
                // After a restart they would be answers again.
                names.push(name);
                return self.shared.index.put_back(names);
            }
        }
    }

    fn fail(&mut self, what: &str, error: &io::Error) {
        self.shared.figures.failed.add();
        self.shared.stand(Standing::Failing);
        if !std::mem::replace(&mut self.failing, true) {
            let folder = self.shared.folder.path().display();
            let route = &*self.shared.route;
            tracing::warn!(route, %folder, %error, "cache: cannot {what} on disk; answers are kept in memory alone until it works again");
        }
    }

    fn works(&mut self) {
        if std::mem::take(&mut self.failing) {
            let folder = self.shared.folder.path().display();
            tracing::info!(route = &*self.shared.route, %folder, "cache: the disk works again");
        }
    }
}

/// Time after which the thread looks whether the disk, or the right to write, is there again.
const LOOK_EVERY: Duration = Duration::from_secs(1);
