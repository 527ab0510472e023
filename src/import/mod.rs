//! Import: configurations of other proxies, written anew as `proxy.toml`.
//!
//! A command of its own, never part of a running proxy; it reads files and writes text. Each line of
//! the other proxy stands as a comment above the keys that it became. A line that has no equal
//! becomes a comment that says what to do instead. Nothing is guessed: a setting whose meaning
//! differs is told.

mod body;
mod caddy;
mod chosen;
mod document;
mod files;
mod framing;
mod gate;
mod haproxy;
mod look;
mod made;
mod nginx;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod traefik;
mod written;

use std::{
    io,
    path::{Path, PathBuf},
};

/// Proxies whose configurations are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// nginx.
    Nginx,
    /// Caddy, by a Caddyfile.
    Caddy,
    /// HAProxy.
    Haproxy,
    /// Traefik, by files.
    Traefik,
}

/// A configuration in our form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Imported {
    /// The text of `proxy.toml`.
    pub(crate) text: String,
    /// Number of lines that could not be translated.
    pub(crate) untranslated: usize,
}

/// Reasons why nothing can be imported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    /// A file cannot be read.
    #[error("{}: {}", .0.display(), reason(.1))]
    Unreadable(PathBuf, #[source] io::Error),
    /// A file is not in the syntax of the other proxy.
    #[error("{file}:{line}: {message}")]
    Malformed {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The fault, and how to mend it.
        message: String,
    },
    /// The files are too many or too large.
    #[error("{0}")]
    TooMuch(String),
}

/// Reads a configuration and writes it anew.
///
/// # Errors
/// The reason why the files cannot be read.
pub(crate) fn import(dialect: Dialect, path: &Path) -> Result<Imported, ImportError> {
    match dialect {
        Dialect::Nginx => nginx::import(path),
        Dialect::Caddy => caddy::import(path),
        Dialect::Haproxy => haproxy::import(path),
        Dialect::Traefik => traefik::import(path),
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "the file does not exist".to_owned(),
        _ => format!("the file cannot be read: {error}"),
    }
}
