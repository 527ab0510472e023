//! A watch: the changes of keys as they happen, from a server that may fall silent.

use std::time::Duration;

use tokio::time::timeout;

use super::{
    EtcdError,
    message::{self, Change, WatchAnswer},
};
use crate::fetch::grpc::{GrpcError, Stream};

/// The changes of keys with a prefix.
#[derive(Debug)]
pub struct Watch {
    stream: Stream,
    /// True if the server was asked to say something, and has not.
    is_asked: bool,
}

/// One message of a watch.
#[derive(Debug, PartialEq, Eq)]
pub enum WatchStep {
    /// Changes, in their order; more of them follow at once if `is_part`.
    Changed {
        /// The changes.
        changes: Vec<Change>,
        /// True if more of the same revision follow.
        is_part: bool,
    },
    /// The changes since the last one were removed from the history: list again.
    Compacted,
}

impl Watch {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            is_asked: false,
        }
    }

    /// Waits for changes. A server that says nothing is asked for a report from time to time, so
    /// that a lost connection is noticed. Cancel safe.
    ///
    /// # Errors
    /// The watch is at its end.
    pub async fn next(&mut self) -> Result<WatchStep, EtcdError> {
        loop {
            let patience = if self.is_asked { ANSWER_MAX } else { QUIET };
            let Ok(message) = timeout(patience, self.stream.next()).await else {
                if self.is_asked {
                    return Err(GrpcError::Late("a report of the watch").into());
                }
                self.stream.send(&message::progress(), false)?;
                self.is_asked = true;
                continue;
            };
            let ended = || EtcdError::WatchEnded("by the server".to_owned());
            let answer = WatchAnswer::read(&message?.ok_or_else(ended)?)?;
            self.is_asked = false;
            if answer.compacted_to > 0 {
                return Ok(WatchStep::Compacted);
            }
            if answer.canceled {
                return Err(EtcdError::WatchEnded(answer.reason));
            }
            if !answer.changes.is_empty() {
                return Ok(WatchStep::Changed {
                    changes: answer.changes,
                    is_part: answer.is_part,
                });
            }
        }
    }
}

/// Silence after which the server is asked for a report.
const QUIET: Duration = Duration::from_secs(3);
/// Time in which it must say something then.
const ANSWER_MAX: Duration = Duration::from_secs(3);
