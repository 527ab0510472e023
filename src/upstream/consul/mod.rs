//! A small client of a Consul agent: keys with compare-and-swap, sessions, and services.
//!
//! One request at a time, over one connection that is kept. Nothing waits without a limit: every
//! request has a timeout, also one that waits at the agent for a change.

mod keys;
mod service;

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::Value;

use crate::fetch::{Answer, Ask, Client, FetchError, Target};

pub use keys::{ConsulPair, ConsulPut, ConsulRead, ConsulSession, ConsulStep};
pub(super) use keys::{following, index_of};
pub use service::{ConsulCheck, ConsulService, ConsulStanding};

/// Reasons why Consul gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ConsulError {
    /// No whole answer.
    #[error("{0}")]
    Fetch(#[from] FetchError),
    /// Another status than 200, with the reason that comes with it.
    #[error("answers {}", refusal(.0, .1))]
    Refused(StatusCode, String),
    /// The answer is not what this request is answered with.
    #[error("the answer is malformed")]
    Garbled,
}

/// An agent.
#[derive(Debug)]
pub struct ConsulAgent {
    client: Client,
}

impl ConsulAgent {
    /// Returns a client of this agent; connects with the first request.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self {
            client: Client::new(target),
        }
    }

    /// Makes a request whose answer has the status 200.
    ///
    /// # Errors
    /// The reason, also another status.
    pub async fn call(&mut self, ask: Ask) -> Result<Answer, ConsulError> {
        let answer = self.client.ask(ask).await?;
        if answer.status == StatusCode::OK {
            return Ok(answer);
        }
        let why = reason(&answer);
        Err(ConsulError::Refused(answer.status, why))
    }

    /// Returns a request without a body for a path of the API.
    fn to(&self, method: Method, path: &str) -> Ask {
        let mut ask = Ask::new(method, self.client.target().url.join(path));
        ask.timeout = PATIENCE;
        ask
    }

    async fn put(&mut self, path: &str, body: &Value) -> Result<Answer, ConsulError> {
        let mut ask = self.to(Method::PUT, path);
        ask.body = body.to_string().into();
        self.call(ask).await
    }
}

impl ConsulError {
    /// Returns true if the token may not do this.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused(StatusCode::FORBIDDEN, _))
    }
}

/// Returns the reason that comes with a status, shortened.
#[must_use]
pub fn reason(answer: &Answer) -> String {
    let body = String::from_utf8_lossy(&answer.body);
    let line = body.trim().lines().next().unwrap_or_default();
    line.chars().take(REASON_CHARS_MAX).collect()
}

/// Returns a status with the reason that comes with it.
#[must_use]
pub fn refusal(status: &StatusCode, reason: &str) -> String {
    match reason {
        "" => status.to_string(),
        reason => format!("{status}: {reason}"),
    }
}

/// Time for a request that does not wait at the agent.
const PATIENCE: Duration = Duration::from_secs(5);
const REASON_CHARS_MAX: usize = 200;
