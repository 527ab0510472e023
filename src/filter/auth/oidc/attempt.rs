//! Attempt to log in: from the redirect to the provider until its answer.
//!
//! Each attempt has a cookie of its own, so that several tabs can log in at once. The cookie binds
//! state and nonce to the browser.

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA256, digest},
};
use serde::{Deserialize, Serialize};

use crate::config::value::base64url;

/// An attempt, as its cookie holds it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Attempt {
    #[serde(rename = "s")]
    pub(super) state: String,
    #[serde(rename = "n")]
    pub(super) nonce: String,
    /// Secret of PKCE.
    #[serde(rename = "v")]
    pub(super) verifier: String,
    /// URL of the callback, as the provider was told.
    #[serde(rename = "c")]
    pub(super) callback: String,
    /// URL that the client wanted.
    #[serde(rename = "w")]
    pub(super) wanted: String,
    /// Time of its begin, in seconds of Unix time.
    #[serde(rename = "b")]
    pub(super) began: u64,
}

impl Attempt {
    /// Begins an attempt.
    pub(super) fn new(callback: String, wanted: String, now: u64) -> Self {
        let random = || base64url::encode(&rand::random::<[u8; 32]>());
        Self {
            state: random(),
            nonce: random(),
            verifier: random(),
            callback,
            wanted,
            began: now,
        }
    }

    /// Reads what was sealed; none if it is too old.
    pub(super) fn read(text: &[u8], now: u64) -> Option<Self> {
        let attempt: Self = serde_json::from_slice(text).ok()?;
        let age = now.saturating_sub(attempt.began);
        (age < ATTEMPT_SECS).then_some(attempt)
    }

    pub(super) fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Name of the attempt in its cookie: the first characters of its state.
    pub(super) fn id(&self) -> &str {
        id_of(&self.state).unwrap_or_default()
    }

    /// Compares a state in constant time.
    pub(super) fn has_state(&self, state: &str) -> bool {
        verify_slices_are_equal(self.state.as_bytes(), state.as_bytes()).is_ok()
    }

    /// Challenge of PKCE, by which the provider knows the secret later (RFC 7636 section 4.2).
    pub(super) fn challenge(&self) -> String {
        base64url::encode(digest(&SHA256, self.verifier.as_bytes()).as_ref())
    }
}

/// The name of the attempt with this state; none if it is no state.
pub(super) fn id_of(state: &str) -> Option<&str> {
    let is_ours = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let fits = state.len() == STATE_LEN && state.bytes().all(is_ours);
    if fits { state.get(..ID_LEN) } else { None }
}

/// Time that a client has for the login.
pub(super) const ATTEMPT_SECS: u64 = 600;
/// Attempts of one browser at once; the oldest makes room for a new one.
pub(super) const ATTEMPTS_MAX: usize = 6;
const STATE_LEN: usize = 43;
const ID_LEN: usize = 10;
