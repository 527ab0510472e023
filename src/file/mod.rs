//! Reads and watches small files that others write: configuration, secret, certificate.
//!
//! Only a regular file is read, up to a size limit. Opening a named pipe would wait for its writer
//! for ever; it is refused at once. A symbolic link is followed.

mod hash;
mod lines;
pub(crate) mod pattern;
mod watch;

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::fs::OFlags;

pub use hash::ContentHash;
pub(crate) use lines::Lines;
pub(crate) use watch::Watcher;

/// Bytes of a file that is watched: a configuration, a list of endpoints. A longer one is of
/// no use.
pub(crate) const WATCHED_BYTES_MAX: u64 = 16 << 20;

/// Reads the whole file; blocks on the disk.
///
/// # Errors
/// The error of the system, that it is not a regular file, or that it is longer than `bytes_max`.
pub(crate) fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > bytes_max) {
        let most = match bytes_max >> 20 {
            0 => format!("{} KiB", bytes_max >> 10),
            mib => format!("{mib} MiB"),
        };
        let message = format!("it is longer than {most}");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

/// Reads the whole file as text; blocks on the disk.
///
/// # Errors
/// Those of [`read`], or that it is not UTF-8.
pub(crate) fn read_to_string(path: &Path, bytes_max: u64) -> io::Result<String> {
    let bytes = read(path, bytes_max)?;
    String::from_utf8(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}

fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    let kind = file.metadata()?.file_type();
    let what = if kind.is_file() {
        return Ok(file);
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a named pipe"
    } else {
        "a device"
    };
    let message = format!("it is {what}, not a regular file");
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_regular_file_of_bounded_length_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "text").unwrap();
        assert_eq!(read_to_string(&path, 4).unwrap(), "text");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(read(&link, 4).unwrap(), b"text");
        let long = read(&path, 3).unwrap_err();
        assert_eq!(long.kind(), io::ErrorKind::FileTooLarge);
        let pipe = folder.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).unwrap();
        for (path, word) in [
            (folder.path(), "a folder"),
            (&pipe, "a named pipe"),
            (Path::new("/dev/null"), "a device"),
        ] {
            let error = read(path, 9).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
