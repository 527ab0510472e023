//! Wait for the head of the next request.

use std::{
    future::poll_fn,
    task::{Poll, ready},
    time::Duration,
};

use tokio::time::Instant;

use super::super::tls::HANDSHAKE;
use crate::{
    failure::Failure,
    http1::{RequestHead, parse_request_head},
    timer,
};

use super::Server;

/// Result of the wait for a request head.
pub(super) enum Arrival {
    Head(RequestHead),
    /// The head violates a rule, or is late.
    Refused(Failure),
    /// The client speaks TLS to a port without it.
    NotPlain,
    /// The connection has ended, and no answer is expected.
    Over,
}

impl Server {
    /// Waits for the next head, within the listener's timeouts.
    pub(super) async fn arrival(&mut self) -> Arrival {
        // A waiting connection holds on to its listener, not to all of the configuration.
        let listener = {
            let snapshot = self.connection.worker.snapshot();
            self.connection.listener(&snapshot)
        };
        let timeouts = &listener.timeouts;
        let mut since = timer::recent();
        let first = self.first;
        let patience = if first { timeouts.head } else { timeouts.idle };
        let mut begun = false;
        let mut lean = false;
        let Self {
            connection,
            shared,
            scanned,
            timeout,
            ..
        } = self;
        let arrival = poll_fn(|cx| {
            let mut exchanging = shared.borrow_mut();
            loop {
                if exchanging.io.has_received() {
                    let received = exchanging.io.received();
                    match parse_request_head(received, scanned, &listener.head) {
                        Ok(Some(head)) => return Poll::Ready(Arrival::Head(head)),
                        Err(_) if exchanging.io.received().first() == Some(&HANDSHAKE) => {
                            return Poll::Ready(Arrival::NotPlain);
                        }
                        Err(rule) => return Poll::Ready(Arrival::Refused(rule.into())),
                        Ok(None) if !begun => {
                            begun = true;
                            connection.set_in_head(true);
                            since = Instant::now();
                        }
                        Ok(None) => {}
                    }
                }
                match exchanging.io.poll_fill(cx) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Arrival::Over),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Pending => break,
                }
            }
            let mut deadline = since + if begun { timeouts.head } else { patience };
            connection.watch(cx);
            if begun && connection.is_cut() {
                return Poll::Ready(Arrival::Refused(Failure::Shutdown));
            }
            if !begun && let Some(last) = connection.last_chance(since) {
                // A client in the middle of its work may be sending the next request
                // already; it is answered, and told to close.
                deadline = deadline.min(if first { last } else { since + CLOSING_IDLE });
            }
            if !begun && !lean && exchanging.io.keeps_memory() {
                // One that is only between two requests keeps what it has for large bodies.
                let lean_at = since + KEEPS_BUFFERS;
                if lean_at < deadline {
                    ready!(timeout.poll_at(cx, lean_at));
                    exchanging.io.release_memory();
                    lean = true;
                }
            }
            ready!(timeout.poll_at(cx, deadline));
            if begun {
                return Poll::Ready(Arrival::Refused(Failure::SlowHead));
            }
            if exchanging.io.stream().has_unread() {
                // The next request is there, and this task is about to hear of it.
                let _ = timeout.poll_at(cx, Instant::now() + CLOSING_IDLE);
                return Poll::Pending;
            }
            Poll::Ready(Arrival::Over)
        })
        .await;
        if begun {
            connection.set_in_head(false);
        }
        arrival
    }
}

/// Time that a connection must have been idle before a drain closes it without an answer.
const CLOSING_IDLE: Duration = Duration::from_secs(1);
/// Time that a connection must have been idle before its buffers are released.
const KEEPS_BUFFERS: Duration = Duration::from_secs(1);
