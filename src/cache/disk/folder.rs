//! The folder of a route's files: every access to the disk.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use rustix::{fs::statvfs, io::Errno};

use super::name::FileName;

/// The folder of a route.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Number of files that were begun.
    begun: AtomicU64,
}

impl Folder {
    /// A folder at this path, which need not exist.
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            begun: AtomicU64::new(0),
        }
    }

    /// Makes the folder, for this user alone.
    pub(super) fn make(&self) -> io::Result<()> {
        make(&self.path)
    }

    /// Takes the right to write, which one process has at a time, and which ends with it; none
    /// while another process has it.
    pub(super) fn lock(&self) -> io::Result<Option<File>> {
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(FILE_MODE);
        let file = options.open(self.path.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Reads a file; one that is longer than `bytes_max` is an error.
    pub(super) fn read(&self, name: FileName, bytes_max: u64) -> io::Result<Bytes> {
        let file = File::open(self.file(name))?;
        let length = file.metadata()?.len();
        if length > bytes_max {
            return Err(Errno::FBIG.into());
        }
        // One byte more, so that the end is seen without growing.
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1);
        file.take(bytes_max).read_to_end(&mut bytes)?;
        Ok(bytes.into())
    }

    /// Writes a file beside its place, and moves it there when it is whole.
    pub(super) fn write<'a>(
        &self,
        name: FileName,
        parts: impl Iterator<Item = &'a [u8]>,
    ) -> io::Result<()> {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let begun = format!("{UNFINISHED}{}-{number}", std::process::id());
        let begun = self.path.join(begun);
        let written = self.write_parts(&begun, parts);
        let moved = written.and_then(|()| {
            let place = self.file(name);
            match fs::rename(&begun, &place) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    make(place.parent().unwrap_or(&self.path))?;
                    fs::rename(&begun, &place)
                }
                moved => moved,
            }
        });
        if moved.is_err() {
            let _ = fs::remove_file(&begun);
        }
        moved
    }

    fn write_parts<'a>(
        &self,
        path: &Path,
        parts: impl Iterator<Item = &'a [u8]>,
    ) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.create_new(true).write(true).mode(FILE_MODE);
        let open = || options.open(path);
        let mut file = self.made(open)?;
        for part in parts {
            file.write_all(part)?;
        }
        Ok(())
    }

    /// Opens a file, in a folder that is made anew if somebody has emptied the disk.
    fn made(&self, open: impl Fn() -> io::Result<File>) -> io::Result<File> {
        match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make()?;
                open()
            }
            opened => opened,
        }
    }

    /// Tells whether anything can be written.
    pub(super) fn probe(&self) -> io::Result<()> {
        let probe = self.path.join(format!("{UNFINISHED}probe"));
        let _ = fs::remove_file(&probe);
        self.write_parts(&probe, std::iter::once(&[0; 4096][..]))?;
        fs::remove_file(&probe)
    }

    /// Bytes that the disk has left; none if it can take no more files.
    pub(super) fn free(&self) -> io::Result<u64> {
        let disk = statvfs(&self.path)?;
        // Some have no bound on files, and say 0.
        let files = disk.f_files == 0 || disk.f_favail >= FILES_MIN;
        Ok(if files {
            disk.f_bavail.saturating_mul(disk.f_frsize)
        } else {
            0
        })
    }

    /// Removes a file.
    pub(super) fn remove(&self, name: FileName) -> io::Result<()> {
        match fs::remove_file(self.file(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            // No answer, and none after a restart.
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => Ok(()),
            removed => removed,
        }
    }

    /// Tells of each file with its length, the oldest of a folder first. What is left of writes
    /// that a process did not finish is removed, if `clean`.
    pub(super) fn scan(&self, clean: bool, mut found: impl FnMut(FileName, u64)) -> io::Result<()> {
        for folder in fs::read_dir(&self.path)? {
            let folder = folder?;
            let name = folder.file_name();
            let Some(name) = name.to_str() else { continue };
            if clean && name.starts_with(UNFINISHED) && is_old(&folder) {
                let _ = fs::remove_file(folder.path());
            }
            // Another's files are let alone.
            if name.len() != 2 || !folder.file_type()?.is_dir() {
                continue;
            }
            let mut files: Vec<_> = fs::read_dir(folder.path())?
                .filter_map(|file| {
                    let file = file.ok()?;
                    let name = FileName::parse(file.file_name().to_str()?)?;
                    let data = file.metadata().ok().filter(fs::Metadata::is_file)?;
                    Some((data.modified().ok()?, name, data.len()))
                })
                .collect();
            files.sort_unstable_by_key(|(modified, ..)| *modified);
            for (_, name, length) in files {
                found(name, length);
            }
        }
        Ok(())
    }

    /// Reads the notes of purges.
    pub(super) fn purges(&self) -> io::Result<String> {
        match fs::read(self.path.join(PURGES)) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(error),
        }
    }

    /// Adds notes of purges, and has them on disk when it returns; returns the length of all.
    pub(super) fn note_purges(&self, lines: &str) -> io::Result<u64> {
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(FILE_MODE);
        let path = self.path.join(PURGES);
        let mut file = loop {
            let file = self.made(|| options.open(&path))?;
            file.lock_shared()?;
            // Another process may have replaced it before the lock.
            if is_same(&file, &path)? {
                break file;
            }
        };
        // In front of it ends a line that was cut short.
        file.write_all(format!("\n{lines}").as_bytes())?;
        file.sync_data()?;
        Ok(file.metadata()?.len())
    }

    /// Replaces the notes of purges by what `change` makes of them. None is added meanwhile.
    pub(super) fn compact_purges(&self, change: impl FnOnce(&str) -> String) -> io::Result<()> {
        let path = self.path.join(PURGES);
        let file = match File::open(&path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if let Some(file) = &file {
            file.lock()?;
        }
        let lines = change(&self.purges()?);
        let begun = self.path.join(format!("{UNFINISHED}purges"));
        let mut options = OpenOptions::new();
        options
            .create(true)
            .write(true)
            .truncate(true)
            .mode(FILE_MODE);
        let mut file = options.open(&begun)?;
        file.write_all(lines.as_bytes())?;
        file.sync_data()?;
        fs::rename(begun, path)
    }

    /// The path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn file(&self, name: FileName) -> PathBuf {
        let (folder, name) = name.text();
        self.path.join(folder).join(name)
    }
}

fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(path)
}

/// Returns true if this is the file at that path.
fn is_same(file: &File, path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(found) => {
            let open = file.metadata()?;
            Ok((open.dev(), open.ino()) == (found.dev(), found.ino()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns true for a file that nobody writes any more.
fn is_old(file: &fs::DirEntry) -> bool {
    let modified = file.metadata().and_then(|data| data.modified());
    let age = modified.map(|at| SystemTime::now().duration_since(at).unwrap_or_default());
    age.is_ok_and(|age| age > UNFINISHED_MAX)
}

/// Beginning of the names of files that are being written.
const UNFINISHED: &str = ".writing-";
/// Longest time that a write may take.
const UNFINISHED_MAX: Duration = Duration::from_secs(60);
/// Files that a disk must have room for.
const FILES_MIN: u64 = 64;
/// Name of the notes of purges.
const PURGES: &str = "purges";
/// Answers may be for the eyes of few.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
