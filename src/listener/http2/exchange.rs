//! One exchange: a stream's request handed to the walk, and the response on its way back.

use std::{future::poll_fn, rc::Rc, task::Poll};

use ::http::{Method, StatusCode, Version};
use bytes::Bytes;

use super::{super::is_bodiless, websocket};
use crate::{
    downstream::{
        Http2RequestBody, StreamInterim,
        http2::{receive::Opened, send::Wants, session::SharedSession, stream::SharedStream},
    },
    exchange::{Body, Request, Response},
    failure::Failure,
    http::{Frame, Known, PolledFrame, grpc},
    http2::request::{Protocol, RequestHead},
    memory,
    proxy::{self, Outgoing},
    task,
    timer::Stall,
    worker::Connection,
};

/// Starts the task of an exchange.
pub(super) fn start(connection: &Rc<Connection>, session: &SharedSession, (stream, head): Opened) {
    let requests = &connection.requests;
    requests.set(requests.get() + 1);
    let exchange = Exchange {
        connection: Rc::clone(connection),
        session: Rc::clone(session),
        stream,
    };
    match head {
        Ok(head) => {
            let asked = Asked {
                method: head.method.clone(),
                websocket: head.protocol == Some(Protocol::WebSocket),
            };
            let request = exchange.request(head);
            task::spawn_local("http/2 exchange", exchange.serve(request, asked));
        }
        Err(rule) => {
            let refused = exchange.refuse(rule.into());
            task::spawn_local("http/2 refusal", refused);
        }
    }
}

/// A stream at work. However it ends, the stream does.
pub(super) struct Exchange {
    pub(super) connection: Rc<Connection>,
    pub(super) session: SharedSession,
    pub(super) stream: SharedStream,
}

/// What of the request decides about the form of the response.
struct Asked {
    method: Method,
    websocket: bool,
}

impl Exchange {
    fn request(&self, head: RequestHead) -> Box<Request> {
        let body = if self.stream.is_taken() {
            Body::Empty
        } else {
            let mut arriving = self.stream.arriving.borrow_mut();
            arriving.expects_continue = head.headers.contains(Known::Expect);
            self.stream.is_streaming.set(grpc::is_grpc(&head.headers));
            let idle = self.connection.known_listener().timeouts.body_idle;
            Body::Http2Request(Http2RequestBody::new(&self.session, &self.stream, idle))
        };
        let mut request = memory::boxed(|| Request {
            method: head.method,
            uri: head.target,
            raw_target: head.raw_target,
            version: Version::HTTP_2,
            headers: head.headers,
            body,
            handshake: None,
            interim: Some(StreamInterim::new(&self.session, &self.stream)),
        });
        if head.protocol == Some(Protocol::WebSocket) {
            let worker = &self.connection.worker;
            let nonce = u128::from(worker.draw()) << 64 | u128::from(worker.draw());
            websocket::rephrase(&mut request, nonce.to_be_bytes());
        }
        request
    }

    async fn serve(self, request: Box<Request>, asked: Asked) {
        let served = {
            let mut serving = memory::pinned(|| proxy::serve(&self.connection, request));
            poll_fn(|cx| match self.stream.poll_over(cx) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => serving.as_mut().poll(cx).map(Some),
            })
            .await
        };
        // None: the client wants no answer any more.
        if let Some(response) = served {
            if asked.websocket && response.status == StatusCode::SWITCHING_PROTOCOLS {
                // In memory of its own, as all that is rare: streams are many.
                Box::pin(websocket::switch(&self, response)).await;
            } else {
                self.respond(response, &asked.method).await;
            }
        }
    }

    async fn refuse(self, failure: Failure) {
        let response = proxy::refuse(&self.connection, failure);
        self.respond(response, &Method::GET).await;
    }

    /// Sends a response.
    async fn respond(&self, response: Response<Outgoing>, method: &Method) {
        let Response {
            status,
            headers,
            body: mut outgoing,
        } = response;
        let end = is_bodiless(method, status) || outgoing.is_end();
        let length = outgoing.length().exact().filter(|_| !end);
        // A body that fails at once can still become an answer that says so.
        let first = match end {
            true => Poll::Pending,
            false => poll_fn(|cx| Poll::Ready(outgoing.poll_frame(cx))).await,
        };
        if let Poll::Ready(Some(Err(failure))) = first {
            let reply = outgoing.fail(failure);
            return Box::pin(self.respond(reply, &Method::GET)).await;
        }
        {
            let mut session = self.session.borrow_mut();
            if self.stream.is_over() {
                return;
            }
            session.send_head(&self.stream, status, &headers, length, end);
        }
        self.stream.is_streaming.set(true);
        // Its memory is for the next head; a body may take long.
        drop(headers);
        let sent = if end {
            Ok(())
        } else {
            self.send(&mut outgoing, first).await
        };
        outgoing.set_bytes_in(self.stream.arriving.borrow().taken);
        match sent {
            Ok(()) => outgoing.complete(),
            Err(failure) => outgoing.cut(failure),
        }
    }

    /// Sends the body behind the head, as the client makes room for it.
    async fn send(&self, outgoing: &mut Outgoing, mut first: PolledFrame) -> Result<(), Failure> {
        let patience = self.connection.known_listener().timeouts.body_idle;
        let mut stall = Stall::new();
        // What had been appended on the connection with the last bytes of this stream.
        let mut last = 0;
        let mut piece: Option<Bytes> = None;
        poll_fn(|cx| {
            if self.stream.poll_over(cx).is_ready() {
                return Poll::Ready(Err(Failure::ClientGone));
            }
            loop {
                if let Some(waiting) = &mut piece {
                    let end = outgoing.is_end();
                    let before = waiting.len();
                    let mut session = self.session.borrow_mut();
                    if session.poll_send(&self.stream, waiting, end).is_pending() {
                        if waiting.len() < before {
                            stall.moved();
                            last = session.io.appended();
                        }
                        if self.stream.held.get() == 0 {
                            // All that came with it stays in memory until it is gone.
                            session.hold(&self.stream, before);
                        }
                        let look = || Some(session.progress_of(&self.stream, Wants::ToSend, last));
                        let late = stall.poll(cx, patience, look);
                        return late.map(|()| Err(Failure::ClientStalled));
                    }
                    stall.moved();
                    session.hold(&self.stream, 0);
                    last = session.io.appended();
                    if end {
                        return Poll::Ready(Ok(()));
                    }
                    piece = None;
                }
                outgoing.limit_reads(self.session.borrow().read_ahead(&self.stream));
                // The body may read from the same connection: not while it is borrowed.
                let polled = match std::mem::replace(&mut first, Poll::Pending) {
                    Poll::Ready(first) => Poll::Ready(first),
                    Poll::Pending => outgoing.poll_frame(cx),
                };
                match polled {
                    Poll::Ready(Some(Ok(Frame::Data(data)))) => piece = Some(data),
                    Poll::Ready(Some(Ok(Frame::Trailers(trailers)))) => {
                        let mut session = self.session.borrow_mut();
                        session.send_trailers(&self.stream, &trailers);
                        return Poll::Ready(Ok(()));
                    }
                    Poll::Ready(Some(Err(failure))) => return Poll::Ready(Err(failure)),
                    Poll::Ready(None) => piece = Some(Bytes::new()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.session.borrow_mut().abandon(&self.stream);
    }
}
