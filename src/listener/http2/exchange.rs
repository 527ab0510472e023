//! One exchange: passes a stream's request to the walk, and sends the response.

use std::{future::poll_fn, rc::Rc, task::Poll};

use http::{Method, StatusCode, Version};

use super::{answer::Answer, websocket};
use crate::{
    downstream::{
        Http2Interim, Http2RequestBody, StreamInterim,
        http2::{receive::Opened, session::SharedSession, stream::SharedStream},
    },
    exchange::{Body, Request, Response},
    failure::Failure,
    http2::request::{ConnectProtocol, RequestHead},
    memory,
    proxy::{self, Outgoing},
    semantics::{Known, grpc},
    task,
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
                head_only: head.method == Method::HEAD,
                websocket: head.protocol == Some(ConnectProtocol::WebSocket),
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

/// A running exchange. Its stream ends with it in any case.
pub(super) struct Exchange {
    pub(super) connection: Rc<Connection>,
    pub(super) session: SharedSession,
    pub(super) stream: SharedStream,
}

/// Properties of the request that decide the form of the response.
#[derive(Clone, Copy)]
struct Asked {
    head_only: bool,
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
            interim: Some(StreamInterim::Http2(Http2Interim::new(
                &self.session,
                &self.stream,
            ))),
        });
        if head.protocol == Some(ConnectProtocol::WebSocket) {
            let worker = &self.connection.worker;
            let nonce = u128::from(worker.draw()) << 64 | u128::from(worker.draw());
            websocket::rephrase(&mut request, nonce.to_be_bytes());
        }
        request
    }

    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn has room for what it is given twice, and streams are many"
    )]
    fn serve(self, request: Box<Request>, asked: Asked) -> impl Future<Output = ()> {
        async move {
            let Some(response) = self.walk(request).await else {
                return;
            };
            let status = response.status;
            if asked.websocket && status == StatusCode::SWITCHING_PROTOCOLS {
                // In memory of its own, as all that is rare.
                Box::pin(websocket::switch(&self, response)).await;
            } else {
                self.respond(response, asked.head_only).await;
            }
        }
    }

    /// Has the request served; none if the client has reset the stream.
    async fn walk(&self, request: Box<Request>) -> Option<Response<Outgoing>> {
        let mut serving = memory::pinned(|| proxy::serve(&self.connection, request));
        poll_fn(|cx| match self.stream.poll_over(cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => serving.as_mut().poll(cx).map(Some),
        })
        .await
    }

    async fn refuse(self, failure: Failure) {
        let response = proxy::refuse(&self.connection, failure);
        self.respond(response, false).await;
    }

    /// Sends a response. Not an `async fn`, for the same reason.
    fn respond(&self, response: Response<Outgoing>, head_only: bool) -> impl Future<Output = ()> {
        let mut answer = Answer::new(response, head_only);
        async move {
            loop {
                let sent = poll_fn(|cx| answer.poll(self, cx)).await;
                let Some((failed, failure)) = answer.end(sent, &self.stream) else {
                    return;
                };
                let other = Box::pin(failed.fail(failure)).await;
                answer = Answer::new(other, false);
            }
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.session.borrow_mut().abandon(&self.stream);
    }
}
