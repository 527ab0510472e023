//! Files that are read with the configuration, and again when they change.

use std::{fmt, path::PathBuf, sync::Arc};

use super::Mismatch;

/// Format of a kind of file: its parsed content.
pub trait FileFormat: Default + PartialEq + Sized {
    /// Name of the kind.
    const KIND: &'static str;
    /// A path, as it is written.
    const EXAMPLE: &'static str;
    /// True if whoever can read the file gets in with it.
    const IS_SECRET: bool = true;
    /// Bytes of a file; a hundred thousand users by default.
    const BYTES_MAX: u64 = 16 << 20;
    /// True if parsing takes so long that an unchanged file is not parsed again while its content is
    /// in use.
    const IS_LARGE: bool = false;

    /// Parses the text.
    ///
    /// # Errors
    /// The number of a line, and what is wrong with it; 0 for the whole. A message must show
    /// nothing that is secret.
    fn parse(text: &str) -> Result<Self, (usize, Mismatch)>;

    /// Parses the content, which is text but for a few kinds.
    ///
    /// # Errors
    /// Those of [`Self::parse`], or that it is not UTF-8.
    fn parse_bytes(bytes: &[u8]) -> Result<Self, (usize, Mismatch)> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let message = format!("the byte at {} is not UTF-8", error.valid_up_to());
            (0, Mismatch::new(message, "save the file as UTF-8"))
        })?;
        Self::parse(text)
    }
}

/// A file with its content. Two are equal if both are.
#[derive(Clone, PartialEq, Eq)]
pub struct ReadFile<T> {
    /// Its path.
    pub path: PathBuf,
    /// Its content; the default where files are not read.
    pub content: Arc<T>,
}

/// The path alone: the content may be secret.
impl<T> fmt::Debug for ReadFile<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReadFile({})", self.path.display())
    }
}
