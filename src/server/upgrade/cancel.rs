//! The end of a handover that the process gives up, since it is told to stop.

use std::{
    os::unix::net::UnixStream,
    sync::{Arc, Mutex, PoisonError},
};

/// Ends a handover from another thread.
#[derive(Clone, Debug, Default)]
pub(super) struct Cancel(Arc<Mutex<Cancelled>>);

#[derive(Debug, Default)]
struct Cancelled {
    is_cancelled: bool,
    link: Option<UnixStream>,
}

impl Cancel {
    pub(super) fn now(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_cancelled = true;
        if let Some(link) = state.link.take() {
            // Whoever waits for a message finds the end.
            let _ = link.shutdown(std::net::Shutdown::Both);
        }
    }

    pub(super) fn watch(&self, link: UnixStream) -> Result<(), String> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_cancelled {
            return Err(STOPPING.to_owned());
        }
        state.link = Some(link);
        Ok(())
    }

    pub(super) fn is_cancelled(&self) -> bool {
        let state = self.0.lock();
        state.unwrap_or_else(PoisonError::into_inner).is_cancelled
    }
}

/// The reason of a handover that was given up.
pub(super) const STOPPING: &str = "the proxy is stopping";
