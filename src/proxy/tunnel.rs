//! Two connections joined after a switch of protocols (RFC 9110 section 7.8).
//!
//! Bytes go both ways until both sides have ended, one was silent for too long, or
//! the connection is told to close at the end of a drain.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    io,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::Instant;

use super::Outgoing;
use crate::{
    downstream::Exchanging,
    failure::Failure,
    semantics::websocket::{Frames, GOING_AWAY, going_away_masked},
    socket::Buffered,
    timer::{Stall, Timeout},
    upstream::transport::Tunnel,
    worker::Connection,
};

/// Protocol in the tunnel, as far as the proxy can end it properly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carries {
    /// WebSocket: both sides are told when the tunnel is cut.
    WebSocket,
    /// Another protocol.
    Anything,
}

/// Joins the client's connection with the endpoint's until both have ended.
///
/// `taken` is a number that grows with the bytes that the client takes, as [`Buffered::progress`].
///
/// # Errors
/// The reason why the tunnel was cut.
pub(crate) async fn tunnel(
    connection: &Connection,
    client: &Rc<RefCell<Exchanging>>,
    mut upstream: Tunnel,
    idle: Duration,
    carries: Carries,
    taken: impl Fn(&Buffered) -> u64,
    outgoing: &mut Outgoing,
) -> Result<(), Failure> {
    let _counted = connection.count_tunnel();
    let mut last_call = pin!(connection.last_call());
    let mut timeout = Timeout::new();
    let mut stall = Stall::new();
    let mut there = Direction::of(carries);
    let mut back = Direction::of(carries);
    let ended = poll_fn(|cx| {
        let mut client = client.borrow_mut();
        let before = there.bytes + back.bytes;
        let forth = there.poll(&mut client.io, &mut upstream.io, cx);
        let reverse = back.poll(&mut upstream.io, &mut client.io, cx);
        match (forth, reverse) {
            (Poll::Ready(Err(Broken::From(_))), _) | (_, Poll::Ready(Err(Broken::To))) => {
                return Poll::Ready(Err(Failure::ClientGone));
            }
            // Before the failed write: the endpoint may have said why.
            (_, Poll::Ready(Err(Broken::From(error)))) => {
                return Poll::Ready(Err(upstream.failure_of(&error)));
            }
            (Poll::Ready(Err(Broken::To)), _) => {
                return Poll::Ready(Err(Failure::ResponseIncomplete));
            }
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(Ok(())),
            _ => {}
        }
        if there.bytes + back.bytes > before {
            stall.moved();
        }
        if last_call.as_mut().poll(cx).is_ready() || connection.is_cut() {
            return Poll::Ready(Err(Failure::Shutdown));
        }
        // What was sent may still be on its way to a slow reader.
        let look = || Some(taken(&client.io).wrapping_add(upstream.io.progress()));
        let late = stall.poll(cx, idle, look);
        late.map(|()| Err(Failure::ReadTimeout))
    })
    .await;
    if ended == Err(Failure::Shutdown) {
        let [.., a, b, c, d] = connection.worker.draw().to_be_bytes();
        there.say_goodbye(&mut upstream.io, &going_away_masked([a, b, c, d]));
        back.say_goodbye(&mut client.borrow_mut().io, &GOING_AWAY);
        let end = Instant::now() + GOODBYE;
        poll_fn(|cx| {
            let io = &mut client.borrow_mut().io;
            let told = [
                there.poll_told(&mut upstream.io, cx),
                back.poll_told(io, cx),
            ];
            if told.iter().all(Poll::is_ready) {
                return Poll::Ready(());
            }
            timeout.poll_at(cx, end)
        })
        .await;
    }
    outgoing.count_tunnel(there.bytes, back.bytes);
    ended
}

/// Broken side of one direction.
#[derive(Debug)]
enum Broken {
    /// The side that is read, with the error.
    From(io::Error),
    /// The side that is written to.
    To,
}

/// One direction of the tunnel.
#[derive(Debug)]
struct Direction {
    bytes: u64,
    ended: bool,
    shut: bool,
    /// Follows the frames of a WebSocket.
    frames: Option<Frames>,
    /// It was cut with a close frame, which is on its way.
    parting: bool,
}

impl Direction {
    fn of(carries: Carries) -> Self {
        Self {
            bytes: 0,
            ended: false,
            shut: false,
            frames: (carries == Carries::WebSocket).then(Frames::default),
            parting: false,
        }
    }

    /// Appends a close frame if one is allowed here.
    fn say_goodbye(&mut self, to: &mut Buffered, frame: &[u8]) {
        let between = self.frames.as_ref().is_some_and(Frames::is_between);
        if between && !self.ended && to.can_append() {
            to.outgoing().extend_from_slice(frame);
            self.parting = true;
        }
    }

    /// Is ready when the other side was sent the frame and has ended its own direction too: unread
    /// bytes of it would turn our end into a reset, which could overtake the frame.
    fn poll_told(&mut self, to: &mut Buffered, cx: &mut Context<'_>) -> Poll<()> {
        if !self.parting {
            return Poll::Ready(());
        }
        if ready!(to.poll_flush(cx)).is_err() {
            return Poll::Ready(());
        }
        if !self.shut {
            if ready!(to.poll_shutdown(cx)).is_err() {
                return Poll::Ready(());
            }
            self.shut = true;
        }
        loop {
            to.received().clear();
            match ready!(to.poll_fill(cx)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
    }

    /// Moves as many bytes as possible; ready when this direction has ended.
    fn poll(
        &mut self,
        from: &mut Buffered,
        to: &mut Buffered,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>> {
        loop {
            while from.has_received() && to.can_append() {
                let piece = from.received().split().freeze();
                self.bytes += piece.len() as u64;
                if let Some(frames) = &mut self.frames {
                    frames.feed(&piece);
                }
                to.append(piece, b"");
            }
            match to.poll_flush(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Broken::To)),
                Poll::Pending => return Poll::Pending,
            }
            if self.ended {
                if self.shut {
                    return Poll::Ready(Ok(()));
                }
                match to.poll_shutdown(cx) {
                    Poll::Ready(_) => self.shut = true,
                    Poll::Pending => return Poll::Pending,
                }
                continue;
            }
            match from.poll_fill(cx) {
                Poll::Ready(Ok(0)) => self.ended = true,
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Broken::From(error))),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// Time that both sides have to read that the tunnel is cut.
const GOODBYE: Duration = Duration::from_millis(300);
/// Protocol name of a connection that is one tunnel and nothing else.
pub(crate) const TUNNEL: &str = "tunnel";
