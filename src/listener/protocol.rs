//! Which protocol a connection speaks: a look at its first bytes, with a deadline.
//!
//! A client that knows HTTP/2 is spoken here begins with its preface (RFC 9113
//! section 3.4); everything else is HTTP/1.1.

use std::{future::poll_fn, task::Poll};

use tokio::time::Instant;

use crate::{http2::PREFACE, socket::Buffered, timer::Timeout};

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
    /// The client said nothing in time, or left.
    Silent,
}

/// Reads until the first bytes tell the protocol; they stay in the buffer.
pub(super) async fn detect(
    io: &mut Buffered,
    deadline: Instant,
    closing: impl Fn(&std::task::Context<'_>) -> bool,
) -> Protocol {
    let mut timeout = Timeout::new();
    poll_fn(|cx| {
        loop {
            let received = io.received();
            let known = received.len().min(PREFACE.len());
            if received[..known] != PREFACE[..known] {
                return Poll::Ready(Protocol::Http1);
            }
            if known == PREFACE.len() {
                return Poll::Ready(Protocol::Http2);
            }
            if closing(cx) {
                return Poll::Ready(Protocol::Silent);
            }
            match io.poll_fill(cx) {
                Poll::Ready(Ok(0)) if io.has_received() => return Poll::Ready(Protocol::Http1),
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Protocol::Silent),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending if timeout.poll_at(cx, deadline).is_ready() => {
                    // A part of the preface and no more: HTTP/1.1 answers that with 408.
                    let begun = io.has_received();
                    return Poll::Ready(if begun {
                        Protocol::Http1
                    } else {
                        Protocol::Silent
                    });
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await
}
