//! TLS settings that several clients of one origin share.

use std::sync::{Arc, Mutex, PoisonError};

use crate::tls::ClientTls;

/// TLS settings of one origin: read once, with the tickets of earlier sessions.
#[derive(Clone, Debug, Default)]
pub struct SharedTls(Arc<Mutex<Option<Arc<ClientTls>>>>);

impl SharedTls {
    /// Those that were read; none before the first connection and after a failed handshake.
    pub(super) fn known(&self) -> Option<Arc<ClientTls>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Keeps settings, or forgets them: their files may have changed.
    pub(super) fn keep(&self, tls: Option<Arc<ClientTls>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = tls;
    }
}
