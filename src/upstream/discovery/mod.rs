//! Discovery: sources of a pool's endpoints, besides those that the configuration lists.
//!
//! Runs on the control thread, never in the walk of a request. A source hands over the whole list each
//! time it changes; what differs from the last one is worked out by identity, pool with address, so that
//! endpoints that stay keep their health, counts and connections. [`Discovered`] keeps the last good
//! list and what became of the source since, in the registry.

use std::{
    fmt,
    future::Future,
    io,
    path::{Path, PathBuf},
    pin::Pin,
};

use super::endpoint::Endpoint;

mod arrange;
mod discovered;
mod file;
mod fixed;
mod list;
mod position;

pub use arrange::{Arranged, EndpointChanges, arrange};
pub use discovered::{Discovered, Heard, SourceStatus};
pub use file::{FILE_BYTES_MAX, File, read};
pub use fixed::Fixed;
pub use list::{ENDPOINTS_MAX, Format, ListFault, parse};

/// A boxed future, so that [`Discovery`] is object-safe.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A source of the endpoints of one pool.
pub trait Discovery: Send {
    /// Waits for the next list: the first at once, then each time it changes. After an error the last good
    /// list stays in force, and the caller asks again; the source decides when it is worth another try.
    /// Must be cancel-safe: no change may be lost.
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Endpoint>, DiscoveryError>>;
}

/// Reasons why a source has no list.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// The source cannot be reached or does not answer.
    #[error("cannot read {0}: {reason}", reason = said(.1))]
    Unreachable(String, #[source] io::Error),
    /// The source answered with what is no list of endpoints.
    #[error("{0}:{1}")]
    Malformed(String, #[source] ListFault),
    /// The list has no endpoint: more likely a mistake than meant.
    #[error("{0} lists no endpoint")]
    Empty(String),
}

/// Source of a pool's endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceSpec {
    /// A file that lists them.
    File(PathBuf),
}

impl SourceSpec {
    /// The kind of source, as it is called in the configuration.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
        }
    }

    /// The running source.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(&self) -> Box<dyn Discovery> {
        match self {
            Self::File(path) => Box::new(File::new(path)),
        }
    }

    /// Reads the source now, if a look at the disk is enough for that; blocks on it.
    ///
    /// # Errors
    /// Why there is no list.
    pub fn read(&self) -> Result<Vec<Endpoint>, DiscoveryError> {
        match self {
            Self::File(path) => read(path).1,
        }
    }
}

impl fmt::Display for SourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// The reason in words that do not depend on the system.
fn said(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

fn name_of(path: &Path) -> String {
    path.display().to_string()
}
