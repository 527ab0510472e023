//! What is read from files that belong together, and is renewed apart from the rest.

use std::path::Path;

use super::{Stamps, TlsFault};

/// Something read from files, and what those looked like then.
#[derive(Clone, Debug)]
pub(super) struct Part<T> {
    pub(super) value: T,
    pub(super) stamps: Stamps,
}

/// The outcome of reading changed files again, part by part.
#[derive(Debug, Default)]
pub struct Renewal {
    /// How many parts were renewed.
    pub renewed: usize,
    /// Why others were not: each goes on with what it had.
    pub faults: Vec<TlsFault>,
}

impl<T: Clone> Part<T> {
    /// Reads the files; blocks on the disk.
    pub(super) fn read(
        files: &[&Path],
        read: impl FnOnce() -> Result<T, TlsFault>,
    ) -> Result<Self, TlsFault> {
        // Before the files are read: a change in between is then found by the next look.
        let stamps = Stamps::of(files);
        let value = read()?;
        Ok(Self { value, stamps })
    }

    /// Reads the files again if they changed; a fault leaves this part as it was.
    pub(super) fn renewed(
        &self,
        files: &[&Path],
        read: impl FnOnce() -> Result<T, TlsFault>,
        renewal: &mut Renewal,
    ) -> Self {
        if Stamps::of(files) == self.stamps {
            return self.clone();
        }
        match Self::read(files, read) {
            Ok(part) => {
                renewal.renewed += 1;
                part
            }
            Err(fault) => {
                renewal.faults.push(fault);
                self.clone()
            }
        }
    }
}
