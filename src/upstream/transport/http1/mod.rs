//! HTTP/1.1 to an endpoint (RFC 9112), in the task of the exchange.
//!
//! Request and response flow at the same time: the wait for the response also drives the rest of
//! the request, so an early answer is relayed at once. The connection becomes idle only if both
//! messages have ended and no byte is left over.

mod body;
mod connection;
mod cut;
mod reserve;

use std::{
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll, ready},
};

use http::{Method, StatusCode};

use super::{
    Clock, Downstream, Inbound, Outbound, Patience, Progress, ResponseBody, SendFailure, Tunnel,
    Upload, tunnel::Counted,
};
use crate::{
    failure::{BadRequest, Failure},
    http1::{
        BodyDecoder, BodyEncoder, Framing, HeadLimits, ResponseFault, ResponseHead,
        encode_request_head, parse_response_head,
    },
    memory,
    semantics::Frame,
    socket::Buffered,
    tls,
    upstream::{idle::LocalEndpoint, pinned::Pinned},
};

use cut::Cut;

pub use body::Http1Body;
pub use connection::{Http1Connection, Reuse};

impl Http1Connection {
    /// Sends a request and waits for the head of the response.
    ///
    /// `home` gets the connection back when the response has ended, unless it now belongs to the
    /// client. Dropping the future closes the connection.
    ///
    /// # Errors
    /// [`SendFailure`] tells which part of the request may have reached the endpoint.
    pub async fn send(
        self,
        request: &Outbound<'_>,
        upload: Upload,
        limits: &HeadLimits,
        patience: Patience,
        home: Rc<LocalEndpoint>,
        client: &dyn Downstream,
    ) -> Result<Inbound, SendFailure> {
        let mut clock = Clock::start(patience, &upload);
        let mut sending = Sending::start(self, request, upload);
        let head = poll_fn(|cx| {
            let head = sending.poll_head(cx, limits, request.method, client, &home);
            if head.is_ready() {
                return head;
            }
            let io = sending.connection.io().borrow();
            let upload = &sending.sender.upload;
            let progress = Progress {
                sent: sending.sender.done && (io.is_flushed() || io.awaits_burst()),
                moved: upload.moved() + io.written(),
                awaited: upload.is_awaited(),
            };
            clock.poll(cx, progress, || io.unsent()).map(Err)
        })
        .await;
        match head {
            Ok(head) => {
                let reserved = sending.reserve(request, &head, client);
                Ok(sending.respond(head, limits, home, reserved))
            }
            Err(failure) => Err(sending.fail(failure)),
        }
    }
}

/// One exchange over a connection, until the head of its response.
struct Sending {
    connection: Http1Connection,
    sender: Sender,
    scanned: usize,
    written_before: u64,
    received_any: bool,
    /// The endpoint declared that it has read nothing of what was written.
    unread: bool,
}

/// Sending of the request: the rest of the body, and its framing.
#[derive(Debug)]
struct Sender {
    upload: Upload,
    encoder: BodyEncoder,
    done: bool,
    /// Writing failed; the answer may have arrived nevertheless.
    broken: bool,
}

impl Sending {
    fn start(connection: Http1Connection, request: &Outbound<'_>, upload: Upload) -> Self {
        let framing = upload.framing();
        let mut io = connection.io().borrow_mut();
        let written_before = io.written();
        io.limit_reads(request.read_ahead);
        encode_request_head(
            io.outgoing(),
            request.method,
            request.target_bytes(),
            request.headers,
            &framing,
        );
        drop(io);
        // A client that announced no byte may not have ended yet: what else it sends breaks its
        // word (RFC 9113 section 8.1.1).
        let done = upload.is_ended();
        Self {
            connection,
            sender: Sender {
                upload,
                encoder: BodyEncoder::new(framing),
                done,
                broken: false,
            },
            scanned: 0,
            written_before,
            received_any: false,
            unread: false,
        }
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        limits: &HeadLimits,
        method: &Method,
        client: &dyn Downstream,
        home: &LocalEndpoint,
    ) -> Poll<Result<ResponseHead, Failure>> {
        if let Err(failure) = self.sender.drive(&self.connection, cx) {
            return Poll::Ready(Err(failure));
        }
        let io = &mut *self.connection.io().borrow_mut();
        loop {
            if io.has_received() {
                self.received_any = true;
                match parse_response_head(io.received(), &mut self.scanned, limits, method) {
                    Ok(Some(head)) if is_interim(head.status) => {
                        self.scanned = 0;
                        client.interim(head.status, head.headers);
                        continue;
                    }
                    Ok(Some(head)) => {
                        let cut = cut::seen(io, &head, limits, cx);
                        return Poll::Ready(match cut {
                            None => Ok(head),
                            Some(Cut::Ended) => Err(Failure::ResponseIncomplete),
                            Some(Cut::Failed(error)) => {
                                Err(home.failure_of(&error, Failure::ResponseIncomplete))
                            }
                        });
                    }
                    Ok(None) => {}
                    Err(ResponseFault::Malformed) => {
                        return Poll::Ready(Err(Failure::ResponseMalformed));
                    }
                    Err(ResponseFault::TooLarge) => {
                        return Poll::Ready(Err(Failure::ResponseHeadTooLarge));
                    }
                }
            }
            match ready!(io.poll_fill(cx)) {
                Ok(0) => return Poll::Ready(Err(Failure::ConnectionClosed)),
                Ok(_) => {}
                Err(error) => {
                    self.unread = self.connection.is_fresh()
                        && !self.received_any
                        && tls::is_certificate_refused(&error);
                    return Poll::Ready(Err(home.failure_of(&error, Failure::ConnectionClosed)));
                }
            }
        }
    }

    fn respond(
        self,
        head: ResponseHead,
        limits: &HeadLimits,
        home: Rc<LocalEndpoint>,
        client: Option<Rc<Pinned>>,
    ) -> Inbound {
        let Self {
            connection,
            mut sender,
            ..
        } = self;
        home.hear_version(head.version);
        sender.upload.leave_place();
        // What is kept of a body that has gone out can go out again.
        let upload = sender
            .done
            .then(|| std::mem::replace(&mut sender.upload, Upload::gone()));
        let body = if head.status == StatusCode::SWITCHING_PROTOCOLS {
            connection
                .into_stream()
                .map_or(ResponseBody::Empty, |(io, guard)| {
                    let counted = Counted::Connection(guard, home);
                    ResponseBody::Tunnel(Box::new(Tunnel::new(io, counted)))
                })
        } else {
            let mut body = memory::boxed(|| Http1Body {
                decoder: BodyDecoder::new(head.framing, limits),
                length: match head.framing {
                    Framing::Length(length) => Some(length),
                    Framing::None => Some(0),
                    Framing::Chunked | Framing::UntilClose => None,
                },
                connection: Some(connection),
                sender,
                home,
                client,
                keep_alive: head.keep_alive,
            });
            if body.decoder.is_done() {
                body.finish();
                ResponseBody::Empty
            } else {
                ResponseBody::Http1(body)
            }
        };
        Inbound {
            status: head.status,
            headers: head.headers,
            body,
            upload,
        }
    }

    fn fail(mut self, failure: Failure) -> SendFailure {
        self.sender.upload.leave_place();
        SendFailure {
            failure,
            written: !self.unread && self.connection.io().borrow().written() > self.written_before,
            received: self.received_any,
            upload: self.sender.upload,
        }
    }
}

impl Sender {
    /// Writes as much of the request as both sides allow now.
    ///
    /// An error is the client's: a broken upstream connection only sets `broken`, since its answer
    /// may have arrived before.
    fn drive(&mut self, connection: &Http1Connection, cx: &mut Context<'_>) -> Result<(), Failure> {
        loop {
            if self.broken {
                return Ok(());
            }
            let mut io = connection.io().borrow_mut();
            let mut waits = false;
            while !self.done && !waits && io.can_append() {
                match self.upload.poll_frame(cx) {
                    Poll::Ready(frame) => self.append(&mut io, frame.transpose()?)?,
                    Poll::Pending => waits = true,
                }
            }
            if io.is_flushed() {
                return Ok(());
            }
            let flushed = if self.done {
                drop(io);
                connection.poll_flush_apart(cx)
            } else {
                io.poll_flush(cx)
            };
            match flushed {
                Poll::Ready(Ok(())) if self.done || waits => return Ok(()),
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => self.broken = true,
                Poll::Pending => return Ok(()),
            }
        }
    }

    fn append(&mut self, io: &mut Buffered, frame: Option<Frame>) -> Result<(), Failure> {
        let appended = match frame {
            Some(Frame::Data(data)) => self
                .encoder
                .prefix(io.outgoing(), data.len())
                .map(|tail| io.append(data, tail)),
            Some(Frame::Trailers(trailers)) => {
                self.done = true;
                self.encoder.finish(io.outgoing(), Some(&trailers))
            }
            None => {
                self.done = true;
                self.encoder.finish(io.outgoing(), None)
            }
        };
        // The body is not as long as its head said; the endpoint must not take it for whole.
        appended.map_err(|_| BadRequest::BodyLength.into())
    }

    fn is_clean(&self) -> bool {
        self.done && !self.broken
    }

    /// Drops the rest of the body: its client may be told that it is not read.
    fn let_go(&mut self) {
        self.upload = Upload::gone();
    }
}

fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}
