//! State and figures of a disk tier, and what is told of them.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{Disk, Shared};

/// State of a disk tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Standing {
    /// The files are being looked through.
    Opening,
    /// It reads and writes.
    Ready,
    /// Another process writes.
    Reading,
    /// The last access failed.
    Failing,
    /// There is no room for as much as it may take: answers leave to make room for others.
    Full,
    /// It does not answer in time; only shown.
    Slow,
}

impl Standing {
    /// Its name in the API and in events.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Ready => "ready",
            Self::Reading => "reading",
            Self::Failing => "failing",
            Self::Full => "full",
            Self::Slow => "slow",
        }
    }

    /// Returns true if answers are kept in memory alone.
    pub(crate) fn is_down(self) -> bool {
        matches!(self, Self::Failing | Self::Slow)
    }
}

/// Figures of a disk tier.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DiskView {
    pub(crate) standing: Standing,
    /// Keys with files, and the bytes of these.
    pub(crate) keys: u64,
    pub(crate) bytes: u64,
    pub(crate) bytes_max: u64,
    /// Writes, purges and removals that have not ended.
    pub(crate) waiting: u64,
    /// Answers read, answers written, and answers not written since too many waited.
    pub(crate) read: u64,
    pub(crate) written: u64,
    pub(crate) dropped: u64,
    /// Accesses that failed, and files that were not what was written.
    pub(crate) failed: u64,
    pub(crate) damaged: u64,
}

/// Counts of its threads.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) read: Count,
    pub(super) written: Count,
    pub(super) dropped: Count,
    pub(super) failed: Count,
    pub(super) damaged: Count,
}

#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Disk {
    /// The figures.
    pub(crate) fn view(&self) -> DiskView {
        let shared = &self.shared;
        let (keys, bytes) = shared.index.size();
        let figures = &shared.figures;
        let slow = shared.stuck.load(Ordering::Acquire) || shared.outbox.is_full();
        DiskView {
            standing: if slow {
                Standing::Slow
            } else {
                shared.standing()
            },
            keys,
            bytes,
            bytes_max: shared.limit(),
            waiting: (shared.outbox.waiting() + shared.index.gone()) as u64,
            read: figures.read.get(),
            written: figures.written.get(),
            dropped: figures.dropped.get(),
            failed: figures.failed.get(),
            damaged: figures.damaged.get(),
        }
    }
}

impl Shared {
    pub(super) fn standing(&self) -> Standing {
        match self.standing.load(Ordering::Acquire) {
            1 => Standing::Ready,
            2 => Standing::Reading,
            3 => Standing::Failing,
            4 => Standing::Full,
            _ => Standing::Opening,
        }
    }

    pub(super) fn stand(&self, standing: Standing) {
        self.standing.store(standing as u8, Ordering::Release);
    }

    /// An access has failed: nothing is written until the disk was tried again.
    pub(super) fn fail(&self, what: &str, error: &io::Error) {
        self.figures.failed.add();
        self.stand(Standing::Failing);
        if !self.told.swap(true, Ordering::AcqRel) {
            let (route, folder) = (&*self.route, self.folder.path().display());
            tracing::warn!(route, %folder, %error, "cache: cannot {what} on disk; answers are kept in memory alone until it works again");
        }
    }

    /// It can be written to.
    pub(super) fn works(&self) {
        self.stand(match self.room.load(Ordering::Relaxed) {
            u64::MAX => Standing::Ready,
            _ => Standing::Full,
        });
        if self.told.swap(false, Ordering::AcqRel) {
            let (route, folder) = (&*self.route, self.folder.path().display());
            tracing::info!(route, %folder, "cache: the disk works again");
        }
    }
}
