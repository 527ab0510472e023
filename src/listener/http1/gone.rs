//! Wait for an answer while the client may leave, and forwarding of interim responses.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::Version;
use tokio::time::Instant;

use crate::{
    downstream::{Exchanging, Interim},
    exchange::Response,
    http1::{Framing, KeepAlive, encode_continue, encode_response_head},
    proxy::Outgoing,
    socket::Buffered,
    timer::Timeout,
};

use super::{READ_AHEAD_MAX, Server};

impl Server {
    /// Waits for the answer, but gives up if the client has left.
    ///
    /// A reset shows that at once. An end of the stream may only mean that the client sends nothing
    /// more (RFC 9112 section 9.6): after a moment an interim response is sent, which a closed
    /// client answers with a reset.
    pub(super) async fn unless_gone<F>(
        &mut self,
        mut serving: Pin<&mut F>,
        version: Version,
    ) -> Option<Response<Outgoing>>
    where
        F: Future<Output = Response<Outgoing>>,
    {
        let Self {
            connection,
            shared,
            timeout,
            ..
        } = self;
        let mut ended: Option<Instant> = None;
        let mut look_at: Option<Instant> = None;
        poll_fn(|cx| {
            let served = serving.as_mut().poll(cx);
            let mut exchanging = shared.borrow_mut();
            append_interim(&mut exchanging.io, &connection.interim);
            if let Poll::Ready(response) = served {
                return Poll::Ready(Some(response));
            }
            if matches!(exchanging.io.poll_flush(cx), Poll::Ready(Err(_))) {
                return Poll::Ready(None);
            }
            if !exchanging.decoder.is_done() || exchanging.broken {
                let at = *look_at.get_or_insert_with(|| Instant::now() + LOOK_AFTER);
                if timeout.poll_at(cx, at).is_pending() {
                    return Poll::Pending;
                }
                look_at = Some(Instant::now() + LOOK_AFTER);
                let _ = timeout.poll_at(cx, Instant::now() + LOOK_AFTER);
                return poll_unread(&mut exchanging, version, cx);
            }
            while ended.is_none() && exchanging.io.received().len() < READ_AHEAD_MAX {
                match exchanging.io.poll_fill(cx) {
                    Poll::Ready(Ok(0)) => ended = Some(Instant::now()),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(None),
                    Poll::Pending => return Poll::Pending,
                }
            }
            let Some(since) = ended.filter(|_| version == Version::HTTP_11) else {
                return Poll::Pending;
            };
            poll_gone(&mut exchanging, timeout, since, cx)
        })
        .await
    }
}

/// Appends the queued interim responses.
fn append_interim(io: &mut Buffered, interim: &Interim) {
    for (status, headers) in interim.take() {
        encode_response_head(
            io.outgoing(),
            Version::HTTP_11,
            status,
            &headers,
            &Framing::None,
            KeepAlive::Keep,
            None,
        );
    }
}

/// Tests from time to time whether a client is still there whose body is not read at the moment,
/// since its endpoint takes no more: the waiting bytes hide that it has left.
fn poll_unread(
    exchanging: &mut Exchanging,
    version: Version,
    cx: &mut Context<'_>,
) -> Poll<Option<Response<Outgoing>>> {
    if version == Version::HTTP_11 && !exchanging.is_asked && exchanging.io.stream().has_hung_up() {
        exchanging.is_asked = true;
        encode_continue(exchanging.io.outgoing());
    }
    let written = exchanging.io.poll_flush(cx);
    if matches!(written, Poll::Ready(Err(_))) || exchanging.io.has_failed() {
        return Poll::Ready(None);
    }
    Poll::Pending
}

/// Sends an interim response to a client that has ended its stream, to see whether it is still
/// there.
fn poll_gone(
    exchanging: &mut Exchanging,
    timeout: &mut Timeout,
    since: Instant,
    cx: &mut Context<'_>,
) -> Poll<Option<Response<Outgoing>>> {
    let waited = Instant::now() - since;
    if waited >= LOOK_AFTER && !exchanging.is_asked {
        exchanging.is_asked = true;
        encode_continue(exchanging.io.outgoing());
    }
    let written = exchanging.io.poll_flush(cx);
    // The reset that a client answers with when it is gone is an error of the socket.
    if matches!(written, Poll::Ready(Err(_))) || exchanging.io.has_failed() {
        return Poll::Ready(None);
    }
    // Looked at again from time to time: a reset after the end wakes nobody.
    let _ = timeout.poll_at(cx, Instant::now() + LOOK_AFTER.max(waited / 4));
    Poll::Pending
}

const LOOK_AFTER: Duration = Duration::from_millis(500);
