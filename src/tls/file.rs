//! Reads files of certificates and keys, with a size limit, and detects their changes.

use std::{os::unix::fs::MetadataExt as _, path::Path};

use super::TlsFault;
use crate::file;

pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsFault> {
    read_at_most(path, FILE_BYTES_MAX)
}

pub(super) fn read_at_most(path: &Path, bytes_max: u64) -> Result<Vec<u8>, TlsFault> {
    file::read(path, bytes_max).map_err(|source| TlsFault::Unreadable {
        path: path.to_owned(),
        source,
    })
}

/// Time, size and inode of each of some files, to notice that they have changed.
///
/// Links are followed, so that a mounted secret that changes by a link is noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamps(Vec<Option<Stamp>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: (i64, i64),
    length: u64,
    inode: (u64, u64),
}

impl Stamps {
    /// Looks at the files; blocks on the disk.
    pub fn of<P: AsRef<Path>>(files: &[P]) -> Self {
        let stamp = |file: &P| {
            let found = std::fs::metadata(file).ok()?;
            Some(Stamp {
                modified: (found.mtime(), found.mtime_nsec()),
                length: found.len(),
                inode: (found.dev(), found.ino()),
            })
        };
        Self(files.iter().map(stamp).collect())
    }

    /// Joins the stamps of several parts.
    pub(super) fn join<'a>(parts: impl Iterator<Item = &'a Self>) -> Self {
        Self(parts.flat_map(|part| part.0.iter().copied()).collect())
    }
}

/// Maximum size of a file: bundles of all public authorities take a quarter of this.
const FILE_BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_too_long_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.pem");
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(FILE_BYTES_MAX + 1).unwrap();
        assert!(matches!(read(&path), Err(TlsFault::Unreadable { .. })));
    }

    #[test]
    fn stamps_tell_a_replaced_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pem");
        let missing = Stamps::of(&[&path]);
        std::fs::write(&path, "1").unwrap();
        let first = Stamps::of(&[&path]);
        assert_ne!(missing, first);
        assert_eq!(first, Stamps::of(&[&path]));
        let other = folder.path().join("b.pem");
        std::fs::write(&other, "2").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_ne!(first, Stamps::of(&[&path]));
    }
}
