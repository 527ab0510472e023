//! Protocol detection: reads a connection's first bytes, with a deadline.
//!
//! A client that uses HTTP/2 with prior knowledge begins with its preface (RFC 9113 section 3.4);
//! everything else is HTTP/1.1.

use std::task::{Context, Poll, ready};

use crate::{http2::PREFACE, socket::Buffered};

/// Protocol found in the first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
    /// The client sent nothing in time, or left.
    Silent,
}

/// Reads until the first bytes show the protocol; they stay in the buffer.
pub(super) fn poll_detect(io: &mut Buffered, cx: &mut Context<'_>) -> Poll<Protocol> {
    loop {
        let received = io.received();
        let known = received.len().min(PREFACE.len());
        if received[..known] != PREFACE[..known] {
            return Poll::Ready(Protocol::Http1);
        }
        if known == PREFACE.len() {
            return Poll::Ready(Protocol::Http2);
        }
        if !matches!(ready!(io.poll_fill(cx)), Ok(1..)) {
            return Poll::Ready(undecided(io));
        }
    }
}

/// Returns the protocol assumed for a client that sends no more.
pub(super) fn undecided(io: &Buffered) -> Protocol {
    // A part of the preface and no more: HTTP/1.1 answers that with 408.
    if io.has_received() {
        Protocol::Http1
    } else {
        Protocol::Silent
    }
}
