//! One connection to a Redis server.

use std::time::Duration;

use redis::{AsyncConnectionConfig, Cmd, RedisError, Value, aio::MultiplexedConnection};
use tokio::{task::AbortHandle, time::Instant};

use super::RedisSettings;
use crate::{dial::open_stream, task, tls::Alpn};

/// A connection on which calls are pipelined.
pub(super) struct Link {
    calls: MultiplexedConnection,
    driver: AbortHandle,
}

impl Link {
    /// Connects and logs in.
    ///
    /// # Errors
    /// The cause, for the log.
    pub(super) async fn open(settings: &RedisSettings) -> Result<Self, String> {
        let opening = tokio::time::timeout(OPEN_MAX, Self::open_unbounded(settings));
        let late = |_| {
            format!(
                "not connected within {}",
                humantime::format_duration(OPEN_MAX)
            )
        };
        opening.await.unwrap_or_else(|error| Err(late(error)))
    }

    async fn open_unbounded(settings: &RedisSettings) -> Result<Self, String> {
        let address = &settings.url.address;
        let stream = open_stream(address, Instant::now() + OPEN_MAX).await?;
        let config = AsyncConnectionConfig::new()
            // Each call has a timeout, which ends the connection.
            .set_response_timeout(None)
            .set_pipeline_buffer_size(CALLS_MAX);
        let info = settings.info();
        let (calls, driver) = match &settings.tls {
            None => {
                let made = MultiplexedConnection::new_with_config(&info, stream, config).await;
                let (calls, driver) = made.map_err(|error| cause(&error))?;
                (calls, task::spawn_local("redis", driver))
            }
            Some(tls) => {
                let session = tls.connect(stream, &address.host(), Alpn::Silent).await;
                let session = session.map_err(|error| format!("TLS: {error}"))?;
                let made = MultiplexedConnection::new_with_config(&info, session, config).await;
                let (calls, driver) = made.map_err(|error| cause(&error))?;
                (calls, task::spawn_local("redis", driver))
            }
        };
        Ok(Self {
            calls,
            driver: driver.abort_handle(),
        })
    }

    /// Makes a call.
    pub(super) async fn send(&self, call: &Cmd) -> Result<Value, RedisError> {
        let answer = self.calls.clone().send_packed_command(call).await;
        answer.and_then(Value::extract_error)
    }

    /// Ends it, with the calls under way.
    pub(super) fn end(&self) {
        self.driver.abort();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.end();
    }
}

/// The cause of a failure, short enough for a log line.
pub(super) fn cause(error: &RedisError) -> String {
    let mut text = error.to_string();
    if let Some((end, _)) = text.char_indices().nth(CAUSE_CHARS_MAX) {
        text.truncate(end);
    }
    text
}

/// Maximum time for look-up, connection, TLS handshake and login.
const OPEN_MAX: Duration = Duration::from_secs(1);
/// Calls that wait to be written; more wait for room, each within its own timeout.
const CALLS_MAX: usize = 1024;
const CAUSE_CHARS_MAX: usize = 200;
