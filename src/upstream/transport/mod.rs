//! Transport of a request over an upstream connection.
//!
//! The HTTP/1.1 transport is the proxy's own: it runs in the task of the exchange, knows exactly
//! what was written if something fails (so that nothing is sent twice), and returns its connection
//! as soon as the response has ended. Over HTTP/2 it does the same on a stream of a shared
//! connection.

mod downstream;
mod http1;
mod http2;
mod kept;
mod response_body;
mod tunnel;
mod upload;

pub use downstream::Downstream;
pub use http1::{Http1Body, Http1Connection, Reuse};
pub use http2::{Closing, Http2Body, Http2Connection, Http2Opening};
pub use response_body::ResponseBody;
pub use tunnel::Tunnel;
pub use upload::Upload;

use std::{
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{Method, StatusCode, uri::PathAndQuery};
use tokio::time::Instant;

use crate::{
    failure::Failure,
    semantics::{Headers, target::RawTarget},
    timer::{Stall, Timeout},
};

/// Purpose of a connection to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A request and its answer.
    Exchange,
    /// A WebSocket: over HTTP/2 only if the endpoint has announced that it takes them (RFC 8441).
    WebSocket,
}

/// An outbound request, in parts that a second attempt can use again.
#[derive(Debug)]
pub struct Outbound<'a> {
    /// The method.
    pub method: &'a Method,
    /// Path and query.
    pub target: &'a PathAndQuery,
    /// Path and query as the client sent them, if `target` has some bytes encoded.
    pub raw_target: Option<&'a RawTarget>,
    /// Purpose of the connection if the endpoint agrees.
    pub purpose: Purpose,
    /// The header fields with Host, without hop-by-hop ones except those of an upgrade.
    pub headers: &'a Headers,
    /// Maximum number of bytes of the answer read ahead of its reader.
    pub read_ahead: usize,
}

impl Outbound<'_> {
    /// Path and query in the form of a request line.
    fn target_bytes(&self) -> &[u8] {
        let raw = self.raw_target.and_then(|raw| raw.bytes_of(self.target));
        raw.unwrap_or_else(|| self.target.as_str().as_bytes())
    }
}

/// Time limits of an attempt.
///
/// The time for the response head runs while nothing delays the request: as long as the request
/// body makes progress, only `idle` counts, and the attempt has its full time again when the body
/// has been sent.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Deadline of the response head.
    pub deadline: Instant,
    /// Maximum wait after the end of the request body.
    pub attempt: Duration,
    /// Maximum time without progress of the request body.
    pub idle: Duration,
}

/// A response whose head has arrived.
#[derive(Debug)]
pub struct Inbound {
    /// Final status, or 101.
    pub status: StatusCode,
    /// The header fields as received.
    pub headers: Headers,
    /// The body, still to be read.
    pub body: ResponseBody,
    /// The request body, for another attempt; none while it is still being sent.
    pub upload: Option<Upload>,
}

/// Failure of one attempt to bring a response head.
#[derive(Debug)]
pub struct SendFailure {
    /// The reason.
    pub failure: Failure,
    /// True if a byte of the request may have reached the endpoint.
    pub written: bool,
    /// True if a byte of a response had arrived.
    pub received: bool,
    /// The request body, for another attempt.
    pub upload: Upload,
}

/// Progress of an outgoing request.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// True if the unsent rest of it is with the kernel.
    pub sent: bool,
    /// A number that grows until then.
    pub moved: u64,
    /// The client has not sent the next piece of its body.
    pub awaited: bool,
}

impl Progress {
    /// Nothing is left to be sent.
    const ENDED: Self = Self {
        sent: true,
        moved: 0,
        awaited: false,
    };
}

/// Checks an attempt against its [`Patience`].
#[derive(Debug)]
struct Clock {
    patience: Patience,
    timeout: Timeout,
    /// Progress of a request body that is being sent.
    moving: Option<u64>,
    stall: Stall,
    /// Set while the kernel may have bytes of that body.
    draining: Option<Draining>,
}

/// A body whose last byte is with the kernel, and not yet with the endpoint.
#[derive(Clone, Copy, Debug)]
struct Draining {
    next_look: Instant,
    /// Bytes left at the last look; 0 before.
    left: u32,
    /// Number of looks that found the same.
    same: u32,
}

impl Clock {
    fn start(patience: Patience, upload: &Upload) -> Self {
        Self {
            patience,
            timeout: Timeout::new(),
            moving: (!upload.is_ended()).then_some(0),
            stall: Stall::new(),
            draining: None,
        }
    }

    /// Is ready when the attempt has taken too long; the failure tells whose fault that is.
    ///
    /// `unsent` returns the number of bytes of the request that the kernel has and the endpoint has
    /// not acknowledged. It is called when a timer has run out.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        progress: Progress,
        unsent: impl Fn() -> u32,
    ) -> Poll<Failure> {
        let late = if progress.awaited {
            Failure::SlowBody
        } else {
            Failure::WriteTimeout
        };
        if let Some(before) = &mut self.moving {
            if progress.moved != *before {
                *before = progress.moved;
                self.stall.moved();
            }
            if !progress.sent {
                let look = || Some(u64::from(unsent()));
                let stood = self.stall.poll(cx, self.patience.idle, look);
                return stood.map(|()| late);
            }
            self.moving = None;
            let now = Instant::now();
            self.allow_attempt(now);
            self.draining = Some(Draining {
                next_look: now + self.patience.step(),
                left: 0,
                same: 0,
            });
        }
        if self.draining.is_some() {
            match ready!(self.poll_drained(cx, unsent)) {
                Ok(()) => {}
                Err(failure) => return Poll::Ready(failure),
            }
        }
        ready!(self.timeout.poll_at(cx, self.patience.deadline));
        Poll::Ready(if progress.sent {
            Failure::ResponseTimeout
        } else {
            late
        })
    }

    /// Gives the endpoint the full time for its answer from now on.
    fn allow_attempt(&mut self, now: Instant) {
        let deadline = now + self.patience.attempt;
        self.patience.deadline = self.patience.deadline.max(deadline);
    }

    /// Is ready when the endpoint has all of the request, or with a failure when it has stopped
    /// reading it.
    fn poll_drained(
        &mut self,
        cx: &mut Context<'_>,
        unsent: impl Fn() -> u32,
    ) -> Poll<Result<(), Failure>> {
        let step = self.patience.step();
        while let Some(draining) = &mut self.draining {
            ready!(self.timeout.poll_at(cx, draining.next_look));
            let now = Instant::now();
            let left = unsent();
            if left == 0 {
                let took_time = draining.left > 0;
                self.draining = None;
                if took_time {
                    self.allow_attempt(now);
                }
                break;
            }
            if left == draining.left {
                draining.same += 1;
            } else {
                (draining.left, draining.same) = (left, 0);
            }
            if step * draining.same >= self.patience.idle {
                return Poll::Ready(Err(Failure::WriteTimeout));
            }
            draining.next_look = now + step;
        }
        Poll::Ready(Ok(()))
    }
}

impl Patience {
    /// Interval between two looks at the kernel's send queue.
    fn step(&self) -> Duration {
        (self.attempt.min(self.idle) / 4).max(Duration::from_millis(10))
    }
}
