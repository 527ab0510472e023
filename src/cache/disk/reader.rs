//! Reading: what a worker asks for, and the threads that read.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use rustix::io::Errno;
use tokio::sync::oneshot;

use super::{
    Disk, KeyHash, Shared,
    name::{FileName, variant},
    record,
};
use crate::{
    cache::{Entry, Key, Store, changes::Mark},
    semantics::Headers,
};

/// A file to be read into memory.
#[derive(Debug)]
pub(super) struct Read {
    store: Arc<Store>,
    key: Key,
    name: FileName,
    mark: Mark,
    done: oneshot::Sender<()>,
}

/// A read under way; the answer is in memory when it has ended, if it is good.
#[derive(Debug)]
pub(crate) struct Reading {
    shared: Arc<Shared>,
    pub(crate) done: oneshot::Receiver<()>,
}

impl Disk {
    /// Starts to read an answer that may be the one to this request, and that is not among those
    /// in memory, `known`; none if there is none, or if the disk is too slow.
    pub(crate) fn read(
        &self,
        store: &Arc<Store>,
        key: &Key,
        known: &[Arc<Entry>],
        cohort: &str,
        request: &Headers,
    ) -> Option<Reading> {
        let shared = &self.shared;
        if shared.stuck.load(Ordering::Acquire) {
            return None;
        }
        // Before the file is looked for: a change from here on is one that came in between.
        let mark = store.changes.mark(key);
        let hash = KeyHash::of(key);
        let files = shared.index.get(&hash)?;
        let mut wanted = known
            .iter()
            .map(|entry| variant(cohort, &entry.meta.varies.again(request)));
        let found = wanted.find(|wanted| files.iter().any(|it| it.variant == *wanted));
        let found = found.or_else(|| {
            let in_memory = |variant_of_file: u64| {
                known
                    .iter()
                    .any(|it| variant(&it.meta.cohort, &it.meta.varies) == variant_of_file)
            };
            let mut others = files.iter().map(|it| it.variant);
            others.find(|it| !in_memory(*it))
        });
        let name = FileName {
            key: hash,
            variant: found?,
        };
        let (done, ended) = oneshot::channel();
        let read = Read {
            store: Arc::clone(store),
            key: key.clone(),
            name,
            mark,
            done,
        };
        shared.reads.push(read).ok()?;
        Some(Reading {
            shared: Arc::clone(shared),
            done: ended,
        })
    }
}

impl Reading {
    /// It took too long: until some read ends, no other begins.
    pub(crate) fn give_up(mut self) {
        self.shared.stuck.store(true, Ordering::Release);
        // If it has ended in between, nobody else would take that back.
        if self.done.try_recv() != Err(oneshot::error::TryRecvError::Empty) {
            self.shared.stuck.store(false, Ordering::Release);
        }
    }
}

/// Reads until there is no more to do.
pub(super) fn run(shared: &Shared) {
    while let Some(read) = shared.reads.next() {
        let Read {
            store,
            key,
            name,
            mark,
            done,
        } = read;
        let found = catch_unwind(AssertUnwindSafe(|| load(shared, &key, name)));
        if let Ok(Some(entry)) = found {
            shared.figures.read.add();
            store.adopt(&key, entry, mark);
        }
        let _ = done.send(());
        shared.stuck.store(false, Ordering::Release);
    }
}

/// Reads a file; none, and removed, if it is not the answer that it should be.
fn load(shared: &Shared, key: &Key, name: FileName) -> Option<Entry> {
    let file_max = shared.file_max.load(Ordering::Relaxed);
    let file = match shared.folder.read(name, file_max) {
        Ok(file) => file,
        Err(error) => {
            match Errno::from_io_error(&error) {
                Some(Errno::NOENT) => {}
                // A shortage of the process, which says nothing of the file.
                Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => {
                    shared.figures.failed.add();
                    return None;
                }
                Some(Errno::FBIG) => shared.figures.failed.add(),
                _ => shared.fail("read an answer", &error),
            }
            drop_file(shared, name);
            return None;
        }
    };
    let record = record::read(file).filter(|it| it.key == key.bytes());
    let Some(record) = record else {
        shared.figures.damaged.add();
        drop_file(shared, name);
        return None;
    };
    let meta = &record.entry.meta;
    let purged = shared
        .bans()
        .meets(record.asked, key.url(), |tag| meta.has_tag(tag));
    // The clock was wrong when it was written: its age is not known.
    let ahead = record.asked > shared.now().saturating_add(AHEAD_MAX_NANOS);
    if purged || ahead {
        drop_file(shared, name);
        return None;
    }
    Some(record.entry)
}

fn drop_file(shared: &Shared, name: FileName) {
    shared.index.remove_file(name);
    shared.outbox.wake();
}

/// Time that a request waits for a read.
pub(crate) const DISK_WAIT: Duration = Duration::from_millis(250);
/// Difference of two clocks that says nothing.
const AHEAD_MAX_NANOS: u64 = 2_000_000_000;
