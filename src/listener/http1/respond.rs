//! Writing of the response, and the state of the connection after it.

use std::{
    future::poll_fn,
    task::{Context, Poll},
    time::Duration,
};

use http::{Method, StatusCode, Version};
use tokio::time::Instant;

use super::super::{
    is_bodiless,
    linger::{Bounds, Linger},
};
use crate::{
    downstream::{Exchanging, Rest},
    exchange::Response,
    failure::Failure,
    http1::{BodyEncoder, Framing, KeepAlive, encode_response_head},
    proxy::{self, Carries, Outgoing},
    semantics::{Frame, Headers, Known, websocket},
    socket::Buffered,
    state::Listener,
    timer::{self, Stall},
};

use super::{Asked, Next, READ_AHEAD_MAX, Sent, Server};

impl Server {
    /// Writes a response and decides on the state of the connection. The response is passed by
    /// reference: with many connections, each future must have room for only one.
    pub(super) async fn respond(
        &mut self,
        response: &mut Response<Outgoing>,
        asked: &Asked,
        persist: bool,
        listener: &Listener,
    ) -> Next {
        let Response {
            status,
            headers,
            body: outgoing,
        } = response;
        let status = *status;
        let framing = framing_of(outgoing, status, headers, &asked.method).towards(asked.version);
        let wanted = Exchanging::is_body_wanted(&self.shared);
        let rest = {
            let mut exchanging = self.shared.borrow_mut();
            exchanging.answered = true;
            if !wanted {
                exchanging.discard_received();
            }
            exchanging.rest()
        };
        // The head tells how the connection goes on, so that this is decided now: behind a
        // body that may be long the next request is not looked for.
        let close = !persist
            || rest == Rest::Much
            || outgoing.must_close()
            || framing == Framing::UntilClose;
        let keep_alive = if close {
            KeepAlive::Close
        } else {
            KeepAlive::Keep
        };
        let start = {
            let mut exchanging = self.shared.borrow_mut();
            let start = exchanging.io.appended();
            let date = self.connection.worker.date();
            encode_response_head(
                exchanging.io.outgoing(),
                asked.version,
                status,
                headers,
                &framing,
                keep_alive,
                Some(&date),
            );
            start
        };
        // Its memory is for the next head; a body may take long.
        drop(std::mem::take(headers));
        let sent = self
            .send(outgoing, framing, keep_alive, listener.timeouts.body_idle)
            .await;
        let (received_all, bytes_in) = {
            let exchanging = self.shared.borrow();
            let all = exchanging.decoder.is_done() && !exchanging.broken;
            (all, exchanging.body_bytes)
        };
        outgoing.set_bytes_in(bytes_in);
        match sent {
            Sent::Cut => {
                self.shared.borrow().io.stream().reset();
                Next::End
            }
            Sent::Short(failure) if self.take_back(start) => Next::Failed(failure),
            Sent::Short(_) => Box::pin(self.deliver(&framing, listener)).await,
            // The client has said that nothing more comes, and nothing has: no answer of ours
            // can be lost to a reset.
            Sent::Whole if received_all && !asked.keep_alive && self.is_spent() => {
                self.shared.borrow_mut().io.end();
                Next::End
            }
            Sent::Whole if close => Next::Linger,
            Sent::Whole if received_all => Next::Another,
            Sent::Whole => Box::pin(self.skip_rest()).await,
        }
    }

    /// Writes the body after the head; each piece is flushed when the next one is awaited.
    async fn send(
        &mut self,
        outgoing: &mut Outgoing,
        framing: Framing,
        keep_alive: KeepAlive,
        patience: Duration,
    ) -> Sent {
        let mut encoder = BodyEncoder::new(framing);
        let mut ended = !framing.has_body();
        // In memory of its own: few clients are that slow, and each connection has this future.
        let mut stall: Option<Box<Stall>> = None;
        let Self {
            shared, connection, ..
        } = self;
        let written = poll_fn(|cx| {
            loop {
                let mut waits = false;
                // The body may read from the same connection: not while it is borrowed.
                while !ended && !waits && shared.borrow().io.can_append() {
                    match outgoing.poll_frame(cx) {
                        Poll::Ready(frame) => {
                            let io = &mut shared.borrow_mut().io;
                            ended = append(io, &mut encoder, frame.transpose()?)?;
                        }
                        Poll::Pending => waits = true,
                    }
                }
                if ended {
                    outgoing.release_places();
                }
                let wanted = Exchanging::is_body_wanted(shared);
                let mut exchanging = shared.borrow_mut();
                if ended && keep_alive == KeepAlive::Close {
                    exchanging.io.end_follows();
                }
                match exchanging.io.poll_flush(cx) {
                    Poll::Ready(Err(_)) => return Poll::Ready(Err(Failure::ClientGone)),
                    Poll::Ready(Ok(())) if ended => return Poll::Ready(Ok(())),
                    // The body is awaited; a client that resets meanwhile is gone.
                    Poll::Ready(Ok(())) if waits => {
                        stall = None;
                        discard_unwanted(wanted, &mut exchanging, cx);
                        return poll_reset(&mut exchanging, cx);
                    }
                    Poll::Ready(Ok(())) => {
                        if let Some(stall) = &mut stall {
                            stall.moved();
                        }
                    }
                    Poll::Pending if waits || exchanging.io.awaits_burst() => {
                        discard_unwanted(wanted, &mut exchanging, cx);
                        return Poll::Pending;
                    }
                    Poll::Pending => {
                        discard_unwanted(wanted, &mut exchanging, cx);
                        let look = || Some(exchanging.io.progress());
                        let stall = stall.get_or_insert_default();
                        let late = stall.poll(cx, connection.patience(patience), look);
                        return late.map(|()| Err(Failure::ClientStalled));
                    }
                }
            }
        })
        .await;
        match written {
            Ok(()) => {
                outgoing.complete();
                Sent::Whole
            }
            Err(failure) => {
                outgoing.cut(failure);
                match failure {
                    Failure::ClientGone | Failure::ClientStalled => Sent::Cut,
                    _ => Sent::Short(failure),
                }
            }
        }
    }

    /// Removes the bytes appended since `start`, if none of them was sent.
    fn take_back(&self, start: u64) -> bool {
        let io = &mut self.shared.borrow_mut().io;
        let can = io.written() == start;
        if can {
            io.take_back();
        }
        can
    }

    /// Sends the present part of an answer that was cut short, and ends the connection so that the
    /// client notices: before the last chunk or the announced length, else with a reset.
    async fn deliver(&mut self, framing: &Framing, listener: &Listener) -> Next {
        let patience = listener.timeouts.body_idle;
        let mut stall = Stall::new();
        let delivered = poll_fn(|cx| {
            let io = &mut self.shared.borrow_mut().io;
            match io.poll_flush(cx) {
                Poll::Ready(flushed) => Poll::Ready(flushed.is_ok()),
                Poll::Pending if io.awaits_burst() => Poll::Pending,
                Poll::Pending => {
                    let late = stall.poll(cx, patience, || Some(io.progress()));
                    late.map(|()| false)
                }
            }
        })
        .await;
        if delivered && *framing != Framing::UntilClose {
            return Next::Linger;
        }
        if delivered {
            self.taken().await;
        }
        self.shared.borrow().io.stream().reset();
        Next::End
    }

    /// Waits until the client's side has received all sent bytes, as long as it makes progress.
    async fn taken(&self) {
        let left = || self.shared.borrow().io.unsent();
        let (mut before, mut same) = (left(), 0);
        while before > 0 && same < SAME_MAX {
            timer::sleep_until(Instant::now() + TAKEN_STEP).await;
            let now = left();
            same = if now == before { same + 1 } else { 0 };
            before = now;
        }
    }

    /// Returns true if no bytes from the client are left and nothing must be said before the end.
    fn is_spent(&self) -> bool {
        let io = &mut self.shared.borrow_mut().io;
        !io.has_received() && !io.stream().holds_back()
    }

    /// Reads the small rest of a request whose answer is complete.
    async fn skip_rest(&mut self) -> Next {
        let Self {
            shared, timeout, ..
        } = self;
        let mut bounds = Bounds::of_upload();
        poll_fn(|cx| {
            let mut exchanging = shared.borrow_mut();
            loop {
                match exchanging.poll_discard(cx) {
                    Poll::Ready(0) => {
                        let next = match exchanging.rest() {
                            Rest::Nothing => Next::Another,
                            Rest::Little | Rest::Much => Next::End,
                        };
                        return Poll::Ready(next);
                    }
                    Poll::Ready(count) if bounds.count(count) => {}
                    Poll::Ready(_) => return Poll::Ready(Next::End),
                    Poll::Pending => return bounds.poll_late(timeout, cx).map(|()| Next::End),
                }
            }
        })
        .await
    }

    /// Ends our direction and keeps reading for a while.
    pub(super) async fn linger(&mut self, bounds: Bounds) {
        let Self {
            shared, timeout, ..
        } = self;
        let mut linger = Linger::new(bounds);
        poll_fn(|cx| linger.poll(&mut shared.borrow_mut().io, timeout, cx)).await;
    }

    /// Writes the 101 and joins the two connections (RFC 9110 section 7.8).
    pub(super) async fn switch(&mut self, response: Response<Outgoing>) -> Next {
        let Response {
            status,
            headers,
            body: mut outgoing,
        } = response;
        {
            let mut exchanging = self.shared.borrow_mut();
            encode_response_head(
                exchanging.io.outgoing(),
                Version::HTTP_11,
                status,
                &headers,
                &Framing::None,
                KeepAlive::Keep,
                None,
            );
        }
        if let Some(upstream) = outgoing.take_tunnel() {
            self.connection.protocol.set(proxy::TUNNEL);
            let idle = outgoing.tunnel_idle();
            let carries = if websocket::is_named(&headers) {
                Carries::WebSocket
            } else {
                Carries::Anything
            };
            let ended = proxy::tunnel(
                &self.connection,
                &self.shared,
                *upstream,
                idle,
                carries,
                Buffered::progress,
                &mut outgoing,
            )
            .await;
            match ended {
                Ok(()) => outgoing.complete(),
                Err(failure) => outgoing.cut(failure),
            }
        }
        proxy::finish(&mut outgoing);
        Next::End
    }
}

fn framing_of(
    outgoing: &Outgoing,
    status: StatusCode,
    headers: &Headers,
    method: &Method,
) -> Framing {
    if is_bodiless(*method == Method::HEAD, status) {
        return Framing::None;
    }
    match outgoing.length().exact() {
        // Only chunks have room for the trailers that are announced.
        Some(_) if headers.contains(Known::Trailer) && outgoing.may_have_trailers() => {
            Framing::Chunked
        }
        Some(length) => Framing::Length(length),
        None => Framing::Chunked,
    }
}

/// Appends a frame, or the end of the body; returns true for the end.
fn append(
    io: &mut Buffered,
    encoder: &mut BodyEncoder,
    frame: Option<Frame>,
) -> Result<bool, Failure> {
    let ended = match frame {
        Some(Frame::Data(data)) => {
            let tail = encoder
                .prefix(io.outgoing(), data.len())
                .map_err(|_| Failure::ResponseMalformed)?;
            io.append(data, tail);
            return Ok(false);
        }
        Some(Frame::Trailers(trailers)) => encoder.finish(io.outgoing(), Some(&trailers)),
        None => encoder.finish(io.outgoing(), None),
    };
    ended
        .map(|()| true)
        .map_err(|_| Failure::ResponseIncomplete)
}

/// Discards arriving bytes of an unwanted request body while the answer is sent: some clients read
/// only after they have sent everything.
#[inline]
fn discard_unwanted(wanted: bool, exchanging: &mut Exchanging, cx: &mut Context<'_>) {
    if !wanted && !exchanging.decoder.is_done() {
        while let Poll::Ready(1..) = exchanging.poll_discard(cx) {}
    }
}

/// Is ready with an error once the client has reset the connection.
fn poll_reset(exchanging: &mut Exchanging, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
    let reading = exchanging.decoder.is_done()
        && !exchanging.broken
        && !exchanging.io.has_ended()
        && exchanging.io.received().len() < READ_AHEAD_MAX;
    if reading && matches!(exchanging.io.poll_fill(cx), Poll::Ready(Err(_))) {
        return Poll::Ready(Err(Failure::ClientGone));
    }
    Poll::Pending
}

/// Interval of testing whether a client has taken the rest of an answer, and the number of tests
/// without progress before the wait ends: one second.
const TAKEN_STEP: Duration = Duration::from_millis(20);
const SAME_MAX: u32 = 50;
