//! Two connections joined after a switch of protocols (RFC 9110 section 7.8).
//!
//! Bytes go both ways until both sides have ended, one was silent for too long, or
//! the connection is told to close at the end of a drain.

use std::{
    cell::RefCell,
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Instant;

use super::Outgoing;
use crate::{
    exchange::Failure,
    http::websocket::{Frames, GOING_AWAY},
    listener::{Connection, Exchanging},
    socket::Buffered,
    timer::Timeout,
    upstream::transport::Tunnel,
};

/// Joins the client's connection with the endpoint's until both have ended; with `frames` it
/// is a WebSocket, whose client is told when the tunnel is cut.
///
/// # Errors
/// Why the tunnel was cut.
pub(crate) async fn tunnel(
    connection: &Connection,
    client: &Rc<RefCell<Exchanging>>,
    mut upstream: Tunnel,
    idle: Duration,
    frames: Option<Frames>,
    outgoing: &mut Outgoing,
) -> Result<(), Failure> {
    let mut timeout = Timeout::new();
    let mut moved_at = Instant::now();
    let mut there = Direction::default();
    let mut back = Direction {
        frames,
        ..Direction::default()
    };
    let ended = poll_fn(|cx| {
        let mut client = client.borrow_mut();
        let before = there.bytes + back.bytes;
        let forth = there.poll(&mut client.io, &mut upstream.io, cx);
        let reverse = back.poll(&mut upstream.io, &mut client.io, cx);
        if let Poll::Ready(Err(())) = forth {
            return Poll::Ready(Err(Failure::ClientGone));
        }
        match (forth, reverse) {
            (_, Poll::Ready(Err(()))) => return Poll::Ready(Err(Failure::ResponseIncomplete)),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(Ok(())),
            _ => {}
        }
        let now = Instant::now();
        if there.bytes + back.bytes > before {
            moved_at = now;
        }
        // The streams of an HTTP/2 connection end with it, and its own task is the one to wake.
        if connection.protocol.get() == TUNNEL {
            connection.watch(cx);
        }
        if connection.is_cut() {
            back.say_goodbye(&mut client.io, cx);
            return Poll::Ready(Err(Failure::Shutdown));
        }
        let late = timeout.poll_at(cx, moved_at + idle);
        late.map(|()| Err(Failure::ReadTimeout))
    })
    .await;
    outgoing.count_tunnel(there.bytes, back.bytes);
    ended
}

/// One way through the tunnel.
#[derive(Debug, Default)]
struct Direction {
    bytes: u64,
    ended: bool,
    shut: bool,
    /// Follows the frames of a WebSocket.
    frames: Option<Frames>,
}

impl Direction {
    /// Writes a close frame if one may stand here. It is tried once: a client that does not
    /// read holds nothing up.
    fn say_goodbye(&mut self, to: &mut Buffered, cx: &mut Context<'_>) {
        let between = self.frames.as_ref().is_some_and(Frames::is_between);
        if between && !self.ended && to.can_append() {
            to.outgoing().extend_from_slice(&GOING_AWAY);
            if matches!(to.poll_flush(cx), Poll::Ready(Ok(()))) {
                let _ = to.poll_shutdown(cx);
            }
        }
    }

    /// Moves what can be moved; ready when this way has ended.
    fn poll(
        &mut self,
        from: &mut Buffered,
        to: &mut Buffered,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), ()>> {
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
                Poll::Ready(Err(_)) => return Poll::Ready(Err(())),
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
                Poll::Ready(Err(_)) => return Poll::Ready(Err(())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// What is spoken on a connection that is one tunnel and nothing else.
pub(crate) const TUNNEL: &str = "tunnel";
