//! Answers that have broken off by the time that their head is read.
//!
//! Nothing of such an answer has gone to the client yet, so that the request may be tried again.
//! Once the head is passed on, a cut can only be passed on, too.

use std::{
    io,
    task::{Context, Poll},
};

use crate::{
    http1::{BodyDecoder, Decoded, Framing, HeadLimits, ResponseHead},
    socket::Buffered,
};

/// End of a connection in the middle of an answer.
pub(super) enum Cut {
    Ended,
    Failed(io::Error),
}

/// Returns the cut if the endpoint has ended the connection before the end of this body, as far as
/// that is known by now: it reads what has arrived, and waits for nothing.
pub(super) fn seen(
    io: &mut Buffered,
    head: &ResponseHead,
    limits: &HeadLimits,
    cx: &mut Context<'_>,
) -> Option<Cut> {
    loop {
        // What is read ahead of a large body would only be moved about.
        if seems_whole(io, &head.framing) || io.received().len() >= LOOKED_AT_MAX {
            return None;
        }
        let cut = match io.poll_fill(cx) {
            Poll::Pending => return None,
            Poll::Ready(Ok(0)) => Cut::Ended,
            Poll::Ready(Ok(_)) => continue,
            Poll::Ready(Err(error)) => Cut::Failed(error),
        };
        return breaks_off(io, head, limits).then_some(cut);
    }
}

/// Returns true if there is no need to look: what ends with the connection cannot be cut by its end.
fn seems_whole(io: &mut Buffered, framing: &Framing) -> bool {
    match framing {
        Framing::None | Framing::UntilClose => true,
        Framing::Length(length) => io.received().len() as u64 >= *length,
        Framing::Chunked => io.received().ends_with(b"0\r\n\r\n"),
    }
}

/// Returns true if more bytes of the body would have to come. A malformed one is told when it is
/// read.
fn breaks_off(io: &mut Buffered, head: &ResponseHead, limits: &HeadLimits) -> bool {
    let mut left = io.received().clone();
    let mut decoder = BodyDecoder::new(head.framing, limits);
    loop {
        match decoder.decode(&mut left) {
            Ok(Decoded::Data(_) | Decoded::Trailers(_)) => {}
            Ok(Decoded::NeedMore) => return true,
            Ok(Decoded::Done) | Err(_) => return false,
        }
    }
}

/// Number of bytes of a body behind which a cut is not looked for.
const LOOKED_AT_MAX: usize = 16 * 1024;
