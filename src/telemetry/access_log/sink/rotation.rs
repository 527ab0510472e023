//! Rotation of a file by its size: `access.log` becomes `access.log.1`, that one `access.log.2`.
//!
//! Two processes may write to the file while one takes over from the other. Both append whole
//! batches, so lines stay whole; a lock on the file lets one of them rotate, and the other one
//! notices that the name belongs to another file.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Rule by which a file is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Size in bytes from which on the file is rotated.
    pub size: u64,
    /// Number of old files that are kept.
    pub keep: u32,
}

/// Moves the file and the old ones by one, if it has reached its size; returns true if it is to be
/// opened anew.
pub(super) fn rotate(path: &Path, file: &File, rotation: Rotation) -> io::Result<bool> {
    let own = file.metadata()?;
    // A pipe or a device has no size.
    if !own.is_file() || own.len() < rotation.size {
        return Ok(false);
    }
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        // Another process is at it.
        Err(Errno::WOULDBLOCK) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    let is_own = fs::metadata(path).is_ok_and(|it| it.dev() == own.dev() && it.ino() == own.ino());
    if is_own {
        for number in (1..rotation.keep).rev() {
            let (old, older) = (numbered(path, number), numbered(path, number + 1));
            match fs::rename(old, older) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        fs::rename(path, numbered(path, 1))?;
    }
    // The lock goes with the file, which the caller closes.
    Ok(true)
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    PathBuf::from(name)
}
