//! One exchange: reads a stream's request, passes it to the walk, and sends the response.

use std::{future::poll_fn, rc::Rc, task::Poll};

use bytes::Bytes;
use http::{Method, Version};
use tokio::time::Instant;

use super::answer::Answer;
use crate::{
    downstream::{
        Http3Interim, Http3RequestBody, StreamInterim,
        http3::{
            receive::{Beginning, Lost, read_head},
            session::StreamPlace,
            stream::SharedStream,
        },
    },
    exchange::{Body, Request, Response},
    failure::{BadRequest, Failure},
    http2::request::RequestHead,
    http3::Code,
    memory,
    proxy::{self, Outgoing},
    semantics::{Known, grpc},
    task, timer,
    worker::Connection,
};

/// Starts the task of an exchange.
pub(super) fn start(connection: &Rc<Connection>, stream: SharedStream) {
    let requests = &connection.requests;
    requests.set(requests.get() + 1);
    let exchange = Exchange {
        connection: Rc::clone(connection),
        _place: stream.session.enter(),
        stream,
        end: Code::InternalError,
    };
    task::spawn_local("http/3 exchange", exchange.serve());
}

/// A running exchange. Its stream ends with it in any case.
pub(super) struct Exchange {
    pub(super) connection: Rc<Connection>,
    pub(super) stream: SharedStream,
    /// The code that the stream ends with if its answer is not whole.
    end: Code,
    _place: StreamPlace,
}

impl Exchange {
    async fn serve(mut self) {
        let head = match self.read_head().await {
            Ok(head) => head,
            Err(code) => {
                self.end = code;
                return;
            }
        };
        let (response, head_only) = match head {
            Ok(head) => {
                let head_only = head.method == Method::HEAD;
                let request = self.request(head);
                match self.walk(request).await {
                    Some(response) => (response, head_only),
                    None => {
                        self.stream.session.count_reset();
                        self.end = Code::RequestCancelled;
                        return;
                    }
                }
            }
            Err(failure) => (proxy::refuse(&self.connection, failure), false),
        };
        self.respond(response, head_only).await;
        if self.stream.is_finished() {
            self.settle().await;
        }
    }

    /// Reads the head of the request within the listener's timeout, or the reason to refuse it.
    ///
    /// # Errors
    /// The code that ends a stream without an answer.
    async fn read_head(&self) -> Result<Result<RequestHead, Failure>, Code> {
        let session = &self.stream.session;
        let deadline = Instant::now() + self.connection.known_listener().timeouts.head;
        let block = match timer::until(deadline, self.stream.read_block()).await {
            Ok(Ok(Beginning::Block(block))) => block,
            Ok(Ok(Beginning::TooLarge)) => return Ok(Err(BadRequest::HeadTooLarge.into())),
            Ok(Ok(Beginning::Nothing | Beginning::Needs(_))) => {
                session.count_reset();
                return Err(Code::RequestIncomplete);
            }
            Ok(Err(Lost::Left)) => {
                session.count_reset();
                return Err(Code::RequestCancelled);
            }
            Ok(Err(Lost::Closed)) => return Err(Code::RequestCancelled),
            Err(timer::Elapsed) => return Ok(Err(Failure::SlowHead)),
        };
        let head = match read_head(&block, session) {
            Ok(Ok(head)) => head,
            Ok(Err(rule)) => return Ok(Err(self.refusal(rule))),
            Err(_) => return Err(Code::RequestCancelled),
        };
        let expects_continue = head.headers.contains(Known::Expect);
        let length = head.content_length;
        let body = poll_fn(|cx| Poll::Ready(self.stream.begin_body(length, expects_continue, cx)));
        Ok(match body.await {
            Ok(()) => Ok(head),
            Err(rule) => Err(self.refusal(rule)),
        })
    }

    fn refusal(&self, rule: BadRequest) -> Failure {
        if rule != BadRequest::HeadTooLarge {
            self.stream.spoil();
        }
        rule.into()
    }

    fn request(&self, head: RequestHead) -> Box<Request> {
        let body = if self.stream.is_taken() {
            Body::Empty
        } else {
            let streaming = grpc::is_grpc(&head.headers);
            self.stream.is_streaming.set(streaming);
            let idle = self.connection.known_listener().timeouts.body_idle;
            Body::Http3Request(Http3RequestBody::new(&self.stream, idle))
        };
        memory::boxed(|| Request {
            method: head.method,
            uri: head.target,
            raw_target: head.raw_target,
            version: Version::HTTP_3,
            headers: head.headers,
            body,
            handshake: None,
            interim: Some(StreamInterim::Http3(Http3Interim::new(&self.stream))),
        })
    }

    /// Has the request served; none if the client does not want the answer any more.
    async fn walk(&self, request: Box<Request>) -> Option<Response<Outgoing>> {
        let mut serving = memory::pinned(|| proxy::serve(&self.connection, request));
        poll_fn(|cx| {
            if self.stream.poll_over(cx).is_ready() {
                return Poll::Ready(None);
            }
            let served = serving.as_mut().poll(cx).map(Some);
            // Interim responses leave while the walk waits.
            if served.is_pending()
                && self.stream.has_unsent()
                && let Poll::Ready(Err(_)) = self.stream.poll_send(&mut Bytes::new(), cx)
            {
                return Poll::Ready(None);
            }
            served
        })
        .await
    }

    async fn respond(&mut self, response: Response<Outgoing>, head_only: bool) {
        let mut answer = Answer::new(response, head_only);
        loop {
            let sent = poll_fn(|cx| answer.poll(self, cx)).await;
            self.end = sent.code();
            let Some((failed, failure)) = answer.end(sent, &self.stream) else {
                return;
            };
            let other = Box::pin(failed.fail(failure)).await;
            answer = Answer::new(other, false);
        }
    }

    /// Waits until the client has acknowledged the answer: what is under way would be lost with the
    /// connection.
    async fn settle(&self) {
        let patience = self.connection.known_listener().timeouts.body_idle;
        let deadline = Instant::now() + patience;
        let acknowledged = poll_fn(|cx| self.stream.poll_over(cx));
        let _ = timer::until(deadline, acknowledged).await;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.stream.abandon(self.end);
    }
}
