//! Reading on after the last word: a socket that is closed with bytes unread resets the
//! connection, and the client may lose the answer to that (RFC 9112 section 9.6).

use std::{
    io,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::Instant;

use crate::{socket::Buffered, timer::Timeout};

/// A connection that says nothing more and still listens for a while.
pub(super) struct Linger {
    deadline: Instant,
    discarded: usize,
    shut: bool,
}

impl Linger {
    pub(super) fn new() -> Self {
        Self {
            deadline: Instant::now() + PATIENCE,
            discarded: 0,
            shut: false,
        }
    }

    /// Is ready when the client has ended its direction too, or has had its time.
    pub(super) fn poll(
        &mut self,
        io: &mut Buffered,
        timeout: &mut Timeout,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        if !self.shut {
            match poll_end(io, cx) {
                Poll::Ready(Ok(())) => self.shut = true,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                // A client that writes may only read once it has been read.
                Poll::Pending => {}
            }
        }
        while self.discarded < BYTES_MAX {
            match io.poll_fill_some(cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(count)) => {
                    self.discarded += count;
                    io.received().clear();
                }
                Poll::Pending => return timeout.poll_at(cx, self.deadline),
            }
        }
        Poll::Ready(())
    }
}

/// Sends what is left, then ends our direction.
fn poll_end(io: &mut Buffered, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    io.end_follows();
    ready!(io.poll_flush(cx))?;
    io.poll_shutdown(cx)
}

const PATIENCE: Duration = Duration::from_secs(2);
const BYTES_MAX: usize = 1024 * 1024;
