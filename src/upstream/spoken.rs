//! HTTP/1 version of an endpoint, as far as known.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// HTTP version heard from an endpoint by all workers and checks.
///
/// Answers to requests take precedence over those to checks, which another program at the endpoint
/// may give: after the first one, checks change nothing. Before any answer the endpoint is assumed
/// to speak the configured HTTP/1.1.
#[derive(Debug, Default)]
pub struct Spoken(AtomicU8);

impl Spoken {
    /// Returns true if it speaks HTTP/1.0, which has no chunked coding.
    pub fn is_http10(&self) -> bool {
        matches!(self.0.load(Relaxed), CHECKED_OLD | ANSWERED_OLD)
    }

    /// Notes the version of an answer to a request: HTTP/1.0, or later.
    pub fn answered(&self, old: bool) {
        self.0
            .store(if old { ANSWERED_OLD } else { ANSWERED }, Relaxed);
    }

    /// Notes the version of an answer to a check.
    pub fn checked(&self, old: bool) {
        let heard = if old { CHECKED_OLD } else { CHECKED };
        // Fails if an answer to a request has come.
        let _ = self.0.fetch_update(Relaxed, Relaxed, |known| {
            (!matches!(known, ANSWERED_OLD | ANSWERED)).then_some(heard)
        });
    }
}

const CHECKED: u8 = 1;
const CHECKED_OLD: u8 = 2;
const ANSWERED: u8 = 3;
const ANSWERED_OLD: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_tell_the_version_until_an_answer_does() {
        let spoken = Spoken::default();
        assert!(!spoken.is_http10(), "unless it says so");
        spoken.checked(true);
        assert!(spoken.is_http10());
        spoken.checked(false);
        assert!(!spoken.is_http10());
        spoken.answered(true);
        spoken.checked(false);
        assert!(spoken.is_http10());
        spoken.answered(false);
        spoken.checked(true);
        assert!(!spoken.is_http10());
    }
}
