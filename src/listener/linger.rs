//! Lingering close: a socket closed with unread bytes resets the connection, and the client may
//! lose the answer (RFC 9112 section 9.6).

use std::{
    io,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::Instant;

use crate::{socket::Buffered, timer::Timeout};

/// A connection that sends nothing more and is still read for a while.
pub(super) struct Linger {
    bounds: Bounds,
    shut: bool,
}

/// Limits of reading bytes that are discarded.
pub(super) struct Bounds {
    /// End of the total time.
    end: Instant,
    /// End of the time that the client may be silent.
    deadline: Instant,
    silence: Duration,
    left: usize,
}

impl Bounds {
    /// Limits for a client that has no reason to send more.
    pub(super) fn short() -> Self {
        let end = Instant::now() + PATIENCE;
        Self {
            end,
            deadline: end,
            silence: PATIENCE,
            left: BYTES_MAX,
        }
    }

    /// Limits for a client in the middle of a request, which may read the answer only after it: as
    /// long as it makes progress.
    pub(super) fn of_upload() -> Self {
        let now = Instant::now();
        Self {
            end: now + UPLOAD,
            deadline: now + SILENCE,
            silence: SILENCE,
            left: usize::MAX,
        }
    }

    /// Counts received bytes; returns true if more are allowed.
    pub(super) fn count(&mut self, bytes: usize) -> bool {
        let now = Instant::now();
        self.left = self.left.saturating_sub(bytes);
        self.deadline = self.end.min(now + self.silence);
        self.left > 0 && now < self.end
    }

    /// Is ready when the time limit is over.
    pub(super) fn poll_late(&self, timeout: &mut Timeout, cx: &mut Context<'_>) -> Poll<()> {
        timeout.poll_at(cx, self.deadline)
    }
}

impl Linger {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            shut: false,
        }
    }

    /// Is ready when the client has ended its direction too, or a limit is reached.
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
        loop {
            match io.poll_fill_some(cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(count)) => {
                    io.received().clear();
                    if !self.bounds.count(count) {
                        return Poll::Ready(());
                    }
                }
                Poll::Pending => return self.bounds.poll_late(timeout, cx),
            }
        }
    }
}

/// Sends the rest, then ends our direction.
fn poll_end(io: &mut Buffered, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    io.end_follows();
    ready!(io.poll_flush(cx))?;
    io.poll_shutdown(cx)
}

const PATIENCE: Duration = Duration::from_secs(2);
const BYTES_MAX: usize = 1024 * 1024;
/// Maximum time of reading the rest of a request whose answer is complete.
const UPLOAD: Duration = Duration::from_secs(30);
/// Maximum silence of the client meanwhile.
const SILENCE: Duration = Duration::from_secs(5);
