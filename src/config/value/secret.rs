//! Values that must not be printed.

use std::fmt;
use std::path::PathBuf;

use crate::file;

/// A secret, or where to get it. It never prints as anything but `***`.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// Written in the file itself.
    Literal(String),
    /// In a variable of the environment.
    Env(String),
    /// In a file; white space at its end does not count.
    File(PathBuf),
}

impl Secret {
    /// Fetches the secret; blocks on the disk for a file.
    ///
    /// # Errors
    ///
    /// Says that the variable or file is missing, unreadable or empty.
    pub fn reveal(&self) -> Result<String, SecretError> {
        let value = match self {
            Self::Literal(value) => value.clone(),
            Self::Env(name) => std::env::var(name).map_err(|source| SecretError::Env {
                name: name.clone(),
                source,
            })?,
            Self::File(path) => {
                let text = file::read_to_string(path, FILE_BYTES_MAX);
                let text = text.map_err(|source| SecretError::File {
                    path: path.clone(),
                    source,
                })?;
                text.trim_end().to_owned()
            }
        };
        if value.is_empty() {
            return Err(SecretError::Empty);
        }
        Ok(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set, or not Unicode.
    #[error("the environment variable {name} cannot be used")]
    Env {
        /// Its name.
        name: String,
        /// Why.
        source: std::env::VarError,
    },
    /// The file cannot be read.
    #[error("the file {} cannot be read", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is nothing in it.
    #[error("the secret is empty")]
    Empty,
}

/// What a secret prints as.
pub const MASK: &str = "***";

/// Longest file that is taken for a secret.
const FILE_BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::Literal("hunter2".into());
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        assert_eq!(secret.reveal().unwrap(), "hunter2");
    }

    #[test]
    fn a_file_loses_its_last_newline_and_emptiness_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "abc\n").unwrap();
        assert_eq!(Secret::File(path.clone()).reveal().unwrap(), "abc");
        std::fs::write(&path, "\n").unwrap();
        assert!(matches!(
            Secret::File(path).reveal(),
            Err(SecretError::Empty)
        ));
        let missing = Secret::File(folder.path().join("none"));
        assert!(matches!(missing.reveal(), Err(SecretError::File { .. })));
    }
}
