//! Session of a client that has logged in, as the cookie holds it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::jwt::payload_of;

/// A session. Times are seconds of Unix time.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) written: Written,
    /// Claims of the ID token.
    pub(super) claims: Map<String, Value>,
}

/// Content of the cookie.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Written {
    /// The ID token.
    #[serde(rename = "t")]
    pub(super) id_token: String,
    /// The refresh token.
    #[serde(rename = "r", skip_serializing_if = "Option::is_none")]
    pub(super) refresh_token: Option<String>,
    /// Time of the login.
    #[serde(rename = "b")]
    pub(super) began: u64,
    /// Time at which the tokens came.
    #[serde(rename = "g")]
    pub(super) got: u64,
    /// Time until which they count.
    #[serde(rename = "u")]
    pub(super) until: u64,
    /// Name of the login; none in a session of an older version.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub(super) login: Option<String>,
    /// Session at the provider, as the first ID token has it: a renewed one may leave it out.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub(super) sid: Option<String>,
}

impl Session {
    /// Makes a session of verified claims.
    pub(super) fn new(written: Written, claims: Map<String, Value>) -> Self {
        Self { written, claims }
    }

    /// Reads what was sealed. The seal vouches for the token: its signature is not verified again.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let written: Written = serde_json::from_slice(text).ok()?;
        let claims = payload_of(written.id_token.as_bytes())?;
        Some(Self { written, claims })
    }

    pub(super) fn write(&self) -> Vec<u8> {
        serde_json::to_vec(&self.written).unwrap_or_default()
    }

    /// The user, as the provider names him.
    pub(super) fn subject(&self) -> Option<&str> {
        self.claims.get("sub").and_then(Value::as_str)
    }

    /// Returns true if the tokens do not count any longer.
    pub(super) fn is_over(&self, now: u64) -> bool {
        now >= self.written.until
    }

    /// Returns true if new tokens are to be fetched: less than a fifth of the time of these is
    /// left, and less than a minute.
    pub(super) fn is_due(&self, now: u64) -> bool {
        let Written { got, until, .. } = self.written;
        let before = (until.saturating_sub(got) / 5).min(DUE_BEFORE_SECS);
        self.written.refresh_token.is_some() && now >= until - before
    }

    /// Seconds for which a browser keeps the cookie.
    pub(super) fn kept_for(&self, now: u64, lifetime: u64) -> u64 {
        let end = match self.written.refresh_token {
            Some(_) => self.written.began + lifetime,
            None => self.written.until,
        };
        end.saturating_sub(now).max(1)
    }
}

const DUE_BEFORE_SECS: u64 = 60;
