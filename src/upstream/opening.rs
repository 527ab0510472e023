//! A connection to an endpoint that is being opened for all who wait for one.
//!
//! HTTP/2 connections are shared, so if many requests start at once on a cold endpoint, one of them
//! is enough; if TLS decides between HTTP/2 and HTTP/1.1, all wait for its choice. Opening is a
//! task of its own: a client that leaves does not affect the others.

use std::{cell::RefCell, rc::Rc};

use tokio::sync::Notify;

use super::transport::Http2Connection;
use crate::failure::Failure;

/// A connection being opened; its outcome is the same for all who wait.
#[derive(Debug, Default)]
pub struct Opening {
    outcome: RefCell<Option<Result<Opened, Failure>>>,
    ended: Notify,
}

/// A connection that is now open.
#[derive(Clone, Debug)]
pub enum Opened {
    /// An HTTP/2 connection, for as many as it has room for.
    Http2(Rc<Http2Connection>),
    /// An HTTP/1.1 connection: it is among the idle ones, for the first taker.
    Http1,
}

impl Opening {
    /// Waits for the outcome.
    ///
    /// # Errors
    /// The reason why there is no connection. Cancel safe.
    pub async fn outcome(&self) -> Result<Opened, Failure> {
        loop {
            // Registered before the look, so that the end in between is not missed.
            let ended = self.ended.notified();
            if let Some(outcome) = &*self.outcome.borrow() {
                return outcome.clone();
            }
            ended.await;
        }
    }

    /// Returns true if there is nothing more to wait for.
    pub fn has_ended(&self) -> bool {
        self.outcome.borrow().is_some()
    }

    /// Sets the outcome and wakes all. Only the first outcome counts.
    pub fn end(&self, outcome: Result<Opened, Failure>) {
        self.outcome.borrow_mut().get_or_insert(outcome);
        self.ended.notify_waiters();
    }
}

/// Ends an opening when its task ends, for any reason.
#[derive(Debug)]
pub struct EndsOpening(pub Rc<Opening>);

impl Drop for EndsOpening {
    fn drop(&mut self) {
        self.0.end(Err(Failure::Internal));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_opening_that_is_dropped_leaves_nobody_waiting() {
        let opening = Rc::new(Opening::default());
        let ends = EndsOpening(Rc::clone(&opening));
        let waiting = opening.outcome();
        drop(ends);
        assert_eq!(waiting.await.unwrap_err(), Failure::Internal);
    }

    #[tokio::test]
    async fn the_first_outcome_is_the_one_told() {
        let opening = Rc::new(Opening::default());
        opening.end(Err(Failure::ConnectRefused));
        drop(EndsOpening(Rc::clone(&opening)));
        for _ in 0..2 {
            assert_eq!(
                opening.outcome().await.unwrap_err(),
                Failure::ConnectRefused
            );
        }
    }
}
