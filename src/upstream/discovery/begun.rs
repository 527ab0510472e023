//! Sources that were asked before their pool is used.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use super::{Discovery, DiscoveryError, Skipped, SourceSpec, Update};

/// A running source, until somebody goes on with it.
#[derive(Default)]
pub struct Begun(Mutex<Option<BegunSource>>);

/// A running source, and its first answer if it came in time.
pub type BegunSource = (Box<dyn Discovery>, Option<Result<Update, DiscoveryError>>);

impl Begun {
    /// Keeps a source.
    pub fn keep(&self, source: BegunSource) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(source);
    }

    /// Returns the reason why the source has no list; none if it was not asked, too.
    pub fn trouble(&self, source: &SourceSpec) -> Option<String> {
        let begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match begun.as_ref()? {
            (_, None) => Some(format!("{source} does not answer")),
            (_, Some(Err(error))) => Some(error.to_string()),
            (_, Some(Ok(_))) => None,
        }
    }

    /// Returns the first list, if the source was asked and has one: the number of its endpoints, and
    /// what is left out.
    pub fn first_list(&self) -> Option<(usize, Skipped)> {
        let begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &begun.as_ref()?.1 {
            Some(Ok(Update::List(list))) => Some((list.endpoints.len(), list.skipped.clone())),
            Some(_) | None => None,
        }
    }

    /// Gives the source to the one who goes on with it.
    pub fn take(&self) -> Option<BegunSource> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Begun").finish_non_exhaustive()
    }
}
