//! A request on a stream, until the head of its response.

use std::{
    future::Future as _,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;
use h2::{
    RecvStream,
    client::{ResponseFuture, SendRequest},
};
use http::{Method, Request, Response, StatusCode};
use tokio::time::Instant;

use super::{
    Http2Connection, StreamShare,
    body::{self, Early, Http2Body},
    fault::Fault,
    head,
    sender::Sender,
    silence::{LATE_SILENCE, LEFT_SILENCE},
    unsent, websocket,
};
use crate::{
    failure::Failure,
    memory,
    semantics::Headers,
    timer,
    upstream::transport::{
        Downstream, Inbound, Outbound, Progress, Purpose, ResponseBody, SendFailure, Upload,
    },
};

/// One exchange over a stream. Fields are in drop order: the connection gets room for another
/// stream last.
pub(super) struct OpenStream {
    response: ResponseFuture,
    sender: Option<Sender>,
    /// Tells when the stream opens; the endpoint may just have lowered its limit.
    requests: SendRequest<Bytes>,
    opened: bool,
    share: Option<StreamShare>,
    /// Pieces of the body that arrived with the head.
    early: Early,
    /// The answer may have a body that can break off: the stream becomes no tunnel, and the method
    /// is not HEAD, whose answer ends with its head whatever an endpoint sends after it.
    has_body: bool,
    started: Instant,
}

impl OpenStream {
    /// Hands the head over to the connection.
    ///
    /// # Errors
    /// [`SendFailure`] if the connection has ended in the meantime; nothing was sent.
    pub(super) fn start(
        connection: &Rc<Http2Connection>,
        head: Request<()>,
        purpose: Purpose,
        upload: Upload,
    ) -> Result<Self, SendFailure> {
        let share = StreamShare::take(connection);
        let mut requests = connection.requests.borrow().clone();
        let tunnel = purpose == Purpose::WebSocket;
        let ends = upload.ends_with_head() && !tunnel;
        let has_body = !tunnel && *head.method() != Method::HEAD;
        match requests.send_request(head, ends) {
            Ok((response, stream)) => Ok(Self {
                response,
                sender: Some(if tunnel {
                    Sender::of_tunnel(stream, upload)
                } else {
                    Sender::new(stream, upload, ends)
                }),
                requests,
                opened: false,
                share: Some(share),
                early: Early::default(),
                has_body,
                started: timer::recent(),
            }),
            Err(error) => {
                let broken = error.is_go_away() || error.is_io();
                if !broken {
                    tracing::debug!(%error, "a head that HTTP/2 cannot carry");
                }
                connection.driven.close();
                let failure = connection.driven.failure_or(Failure::ConnectionClosed);
                Err(unsent(failure, upload))
            }
        }
    }

    /// Is ready with the head of the answer; sends the request meanwhile.
    pub(super) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        client: &dyn Downstream,
    ) -> Poll<Result<Response<RecvStream>, Fault>> {
        if !self.opened {
            self.opened = matches!(self.requests.poll_ready(cx), Poll::Ready(Ok(())));
        }
        if self.opened
            && let Some(sender) = &mut self.sender
            && let Err(failure) = sender.drive(cx)
        {
            return Poll::Ready(Err(Fault::of_ours(failure)));
        }
        loop {
            match self.response.poll_informational(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(early))) => {
                    let (head, ()) = early.into_parts();
                    // HTTP/2 has no 101 (RFC 9113 section 8.6).
                    if head.status == StatusCode::SWITCHING_PROTOCOLS {
                        let fault = Fault::of_answer(Failure::ResponseMalformed);
                        return Poll::Ready(Err(fault));
                    }
                    client.interim(head.status, Headers::from(&head.headers));
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(self.fault_of(&error))),
                Poll::Ready(None) => break,
            }
        }
        let polled = Pin::new(&mut self.response).poll(cx);
        polled.map(|answer| match answer {
            Ok(answer) if head::is_too_large(answer.headers()) => {
                Err(Fault::of_answer(Failure::ResponseHeadTooLarge))
            }
            Ok(mut answer) => match self.poll_cut(answer.body_mut(), cx) {
                None => Ok(answer),
                Some(fault) => Err(fault),
            },
            Err(error) => Err(self.fault_of(&error)),
        })
    }

    /// Returns the fault if the endpoint has broken off its answer by now: nothing of it has gone to
    /// the client, so that the request may be tried again.
    fn poll_cut(&mut self, body: &mut RecvStream, cx: &mut Context<'_>) -> Option<Fault> {
        while self.has_body && self.early.has_room() && !body.is_end_stream() {
            match body.poll_data(cx) {
                Poll::Ready(Some(Ok(data))) => self.early.push(data),
                Poll::Ready(Some(Err(_))) => {
                    let cut = Failure::ResponseIncomplete;
                    let share = self.share.as_ref();
                    let failure = share.map_or(cut, |share| share.failure_or(cut));
                    return Some(Fault::of_answer(failure));
                }
                Poll::Ready(None) | Poll::Pending => return None,
            }
        }
        None
    }

    fn fault_of(&self, error: &h2::Error) -> Fault {
        let closed = Failure::ConnectionClosed;
        let share = self.share.as_ref();
        let ended = share.map_or(closed, |share| share.failure_or(closed));
        Fault::of(error, ended)
    }

    pub(super) fn progress(&self) -> Progress {
        let sender = self.sender.as_ref();
        let mut progress = sender.map_or(Progress::ENDED, Sender::progress);
        progress.sent &= self.opened;
        progress
    }

    /// Number of bytes of the request that were handed over and that the endpoint has not
    /// acknowledged. Costs a system call.
    pub(super) fn unsent(&self) -> u32 {
        let both = self.sender.as_ref().zip(self.share.as_ref());
        both.map_or(0, |(sender, share)| {
            sender.unsent(&share.connection().driven)
        })
    }

    /// Makes the response: the body holds the rest of the stream.
    pub(super) fn respond(mut self, answer: Response<RecvStream>, method: &Method) -> Inbound {
        let (head, receiver) = answer.into_parts();
        let headers = Headers::from(&head.headers);
        let (mut body, mut upload) = (ResponseBody::Empty, None);
        if let Some((mut sender, share)) = self.take() {
            share.connection().driven.silence.answered();
            // What is kept of a body that has gone out can go out again.
            sender.leave_place();
            upload = sender.is_done().then(|| sender.take_upload());
            if receiver.is_end_stream() && self.early.is_empty() {
                sender.end_answer();
            } else {
                let length = body::length_of(&head.headers, method);
                let early = std::mem::take(&mut self.early);
                body = ResponseBody::Http2(memory::boxed(|| {
                    Http2Body::new(receiver, early, sender, share, length)
                }));
            }
        }
        Inbound {
            status: head.status,
            headers,
            body,
            upload,
        }
    }

    /// Makes a tunnel of the stream if the endpoint agrees to carry a WebSocket.
    ///
    /// # Errors
    /// [`Failure::UpgradeFailed`] for an invalid success.
    pub(super) fn switch(
        mut self,
        answer: Response<RecvStream>,
        request: &Outbound<'_>,
    ) -> Result<Inbound, SendFailure> {
        match answer.status() {
            StatusCode::OK => {}
            status if status.is_success() => {
                return Err(self.fail(&Fault::of_answer(Failure::UpgradeFailed)));
            }
            _ => return Ok(self.respond(answer, request.method)),
        }
        match self.take() {
            Some((sender, share)) => Ok(websocket::answered(
                answer,
                request,
                sender.into_stream(),
                share,
            )),
            None => Err(self.fail(&Fault::of_ours(Failure::Internal))),
        }
    }

    /// Ends it without an answer.
    pub(super) fn fail(mut self, fault: &Fault) -> SendFailure {
        let sender = self.sender.as_mut();
        let mut upload = sender.map_or_else(Upload::gone, Sender::take_upload);
        upload.leave_place();
        if let Some(share) = &self.share
            && fault.of_connection
        {
            share.connection().driven.close();
        }
        if matches!(
            fault.failure,
            Failure::ResponseTimeout | Failure::WriteTimeout
        ) && let Some(share) = &self.share
        {
            let waited = timer::recent().saturating_duration_since(self.started);
            let driven = &share.connection().driven;
            driven.doubt(waited.min(LATE_SILENCE));
        }
        SendFailure {
            failure: fault.failure,
            written: self.opened && !fault.unprocessed,
            // A reset is something that the endpoint said of this request.
            received: fault.of_stream,
            upload,
        }
    }

    fn take(&mut self) -> Option<(Sender, StreamShare)> {
        self.sender.take().zip(self.share.take())
    }
}

impl Drop for OpenStream {
    /// Puts the connection in doubt if no answer has arrived: the endpoint may be gone.
    fn drop(&mut self) {
        if let Some(share) = &self.share
            && timer::recent() >= self.started + LEFT_SILENCE
        {
            share.connection().driven.doubt(LEFT_SILENCE);
        }
    }
}
