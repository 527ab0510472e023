//! One file of the `state_dir` that has what commands have decided, for the time after a restart.
//!
//! It is written when that has changed, by one disk task at a time, and again after a while if the
//! disk refused it. What is empty has no file.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::{errand::InTurn, last_good, outages::Outages};
use crate::file;

/// Name of a record in the `state_dir`, and the sentences about it.
#[derive(Debug)]
pub(super) struct Subject {
    /// Beginning of the name of its file.
    pub(super) name: &'static str,
    /// The outage if it cannot be written.
    pub(super) unkept: &'static str,
    /// The error if it cannot be read.
    pub(super) unknown: &'static str,
}

/// Writer of one record.
#[derive(Debug)]
pub(super) struct Record {
    subject: &'static Subject,
    /// The file of the configuration.
    path: PathBuf,
    outages: Arc<Outages>,
    writes: InTurn,
    /// The copy on disk may be older.
    is_unwritten: bool,
    /// The last write failed.
    failed: Arc<AtomicBool>,
    /// Time of the next try after one that failed.
    again: Option<Instant>,
    /// Folder and text of the last write.
    written: Option<(PathBuf, Option<String>)>,
}

impl Record {
    pub(super) fn new(subject: &'static Subject, path: &Path, outages: &Arc<Outages>) -> Self {
        Self {
            subject,
            path: path.to_owned(),
            outages: Arc::clone(outages),
            writes: InTurn::new(),
            is_unwritten: false,
            failed: Arc::default(),
            again: None,
            written: None,
        }
    }

    /// Notes that something has changed.
    pub(super) fn changed(&mut self) {
        self.is_unwritten = true;
    }

    /// Begins to write the newest state, once the write before has ended. `text` is asked for it
    /// if it may have changed; none: nothing is to be kept.
    pub(super) fn tick(
        &mut self,
        state_dir: Option<&Path>,
        now: Instant,
        text: impl FnOnce() -> Option<String>,
    ) {
        if self.writes.is_busy() {
            return;
        }
        if self.failed.swap(false, Relaxed) {
            self.written = None;
            self.again = Some(now + AGAIN);
        }
        if !self.is_unwritten && self.again.is_none_or(|again| now < again) {
            return;
        }
        self.is_unwritten = false;
        self.again = None;
        let Some(dir) = state_dir else {
            self.written = None;
            self.outages.over(self.subject.unkept);
            return;
        };
        let text = text();
        let wanted = Some((dir.to_owned(), text.clone()));
        if wanted == self.written {
            return;
        }
        self.written = wanted;
        let (subject, dir, path) = (self.subject, dir.to_owned(), self.path.clone());
        let (outages, failed) = (Arc::clone(&self.outages), Arc::clone(&self.failed));
        let write = move || {
            let kept = keep(subject, &dir, &path, text.as_deref());
            failed.store(kept.is_err(), Relaxed);
            tell(subject, &outages, &kept);
        };
        if let Err(error) = self.writes.send(self.subject.name, write) {
            self.failed.store(true, Relaxed);
            tell(self.subject, &self.outages, &Err(error));
        }
    }

    /// Waits for the current write, up to a timeout.
    pub(super) async fn settle(&mut self) {
        self.writes.settle(PATIENCE).await;
    }
}

/// Reads a record that an earlier process has kept, if there is one; blocks on the disk.
pub(super) fn read<T: DeserializeOwned>(
    subject: &Subject,
    state_dir: Option<&Path>,
    path: &Path,
) -> Option<T> {
    let kept = place(subject, state_dir?, path);
    let unknown = |error: &dyn std::fmt::Display| {
        tracing::error!(file = %kept.display(), %error, "{}", subject.unknown);
    };
    let text = match file::read_to_string(&kept, RECORD_BYTES_MAX) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            unknown(&error);
            return None;
        }
    };
    let read = serde_json::from_str(&text);
    read.inspect_err(|error| unknown(error)).ok()
}

fn keep(subject: &Subject, state_dir: &Path, path: &Path, text: Option<&str>) -> io::Result<()> {
    let place = place(subject, state_dir, path);
    let Some(text) = text else {
        return match fs::remove_file(place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        };
    };
    last_good::write(state_dir, &place, text)
}

fn tell(subject: &Subject, outages: &Outages, kept: &io::Result<()>) {
    outages.note(subject.unkept, kept);
    if let Err(error) = kept {
        tracing::warn!(%error, "{}", subject.unkept);
    }
}

fn place(subject: &Subject, state_dir: &Path, path: &Path) -> PathBuf {
    last_good::place_of(state_dir, path, subject.name, "json")
}

/// Maximum size of a record: names of ten thousand routes take a tenth of it.
const RECORD_BYTES_MAX: u64 = 8 << 20;
/// Time from a write that failed to the next try.
const AGAIN: Duration = Duration::from_secs(5);
/// Maximum wait of a shutdown for the disk.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECT: Subject = Subject {
        name: "told",
        unkept: "what was told is not kept",
        unknown: "what was told is not known",
    };

    #[tokio::test]
    async fn what_the_disk_refused_is_written_later() {
        let folder = tempfile::tempdir().unwrap();
        let (state, path) = (folder.path().join("state"), folder.path().join("p.toml"));
        // A file where the folder should be.
        fs::write(&state, "").unwrap();
        let outages = Arc::new(Outages::default());
        let mut record = Record::new(&SUBJECT, &path, &outages);
        let text = || Some("[1]".to_owned());
        let now = Instant::now();
        record.tick(Some(&state), now, text);
        assert!(outages.lines().is_empty(), "nothing has changed yet");
        record.changed();
        record.tick(Some(&state), now, text);
        record.settle().await;
        assert_eq!(outages.lines().len(), 1);
        fs::remove_file(&state).unwrap();
        record.tick(Some(&state), now, text);
        record.tick(Some(&state), now + AGAIN / 2, text);
        record.settle().await;
        assert_eq!(read::<Vec<u8>>(&SUBJECT, Some(&state), &path), None);
        record.tick(Some(&state), now + AGAIN, text);
        record.settle().await;
        assert_eq!(read(&SUBJECT, Some(&state), &path), Some(vec![1]));
        assert!(outages.lines().is_empty());
        for _ in 0..2 {
            record.changed();
            record.tick(Some(&state), now, || None);
            record.settle().await;
            assert_eq!(read::<Vec<u8>>(&SUBJECT, Some(&state), &path), None);
        }
        assert!(outages.lines().is_empty());
    }
}
