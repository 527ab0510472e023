//! HTTP/1.1 towards clients (RFC 9112): one task per connection, one exchange at a time.
//!
//! The task reads a head, passes the request to the walk, writes the response, and starts over.
//! Request body, upstream connection and response all live in this task, so an exchange needs
//! neither channels nor wake-ups of other tasks.

mod arrival;
mod gone;
mod respond;

use std::{
    cell::RefCell,
    future::poll_fn,
    pin::pin,
    rc::Rc,
    task::{Poll, ready},
    time::Duration,
};

use http::{Method, StatusCode, Uri, Version};

use arrival::Arrival;

use super::{
    linger::Bounds,
    protocol::{self, Protocol},
};
use crate::{
    downstream::{Exchanging, RequestBody, Rest},
    exchange::{Body, Request, Response},
    failure::{BadRequest, Failure},
    http1::{Framing, RequestHead},
    memory,
    proxy::{self, Outgoing},
    semantics::target::RawTarget,
    socket::Buffered,
    state::{Listener, LocalListener},
    timer::{self, Timeout},
    worker::Connection,
};

/// Answers with the reason why a connection is not served, and closes it.
pub(super) async fn refuse(connection: Rc<Connection>, io: Buffered, failure: Failure) {
    let mut server = Server::new(connection, io);
    if server.refuse(failure).await == Next::Linger {
        server.linger(Bounds::short()).await;
    }
}

/// A connection that speaks HTTP/1.1.
pub(super) struct Server {
    connection: Rc<Connection>,
    shared: Rc<RefCell<Exchanging>>,
    scanned: usize,
    timeout: Timeout,
    first: bool,
}

/// Next step after an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Another request on the connection.
    Another,
    /// Nothing, but the client may still be writing.
    Linger,
    /// Another answer: this one failed before any of it was sent.
    Failed(Failure),
    /// Nothing: the connection is closed or has become something else.
    End,
}

/// Result of sending a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Whole,
    /// The client reads no more.
    Cut,
    /// The body ended early.
    Short(Failure),
}

impl Server {
    pub(super) fn new(connection: Rc<Connection>, io: Buffered) -> Self {
        let listener = connection.known_listener();
        Self {
            shared: Rc::new(RefCell::new(Exchanging::new(io, &listener.head))),
            connection,
            scanned: 0,
            timeout: Timeout::new(),
            first: true,
        }
    }

    /// Reads until the first bytes show the client's protocol, within the timeout of a head.
    pub(super) async fn detect(&mut self) -> Protocol {
        let Self {
            connection,
            shared,
            timeout,
            ..
        } = self;
        let deadline = timer::now() + connection.known_listener().timeouts.head;
        poll_fn(|cx| {
            let io = &mut shared.borrow_mut().io;
            if let Poll::Ready(protocol) = protocol::poll_detect(io, cx) {
                return Poll::Ready(protocol);
            }
            connection.watch(cx);
            let last = connection.last_chance(connection.since);
            ready!(timeout.poll_at(cx, last.map_or(deadline, |last| last.min(deadline))));
            if last.is_some() && io.stream().has_unread() {
                // It is there, and this task is about to hear of it.
                return Poll::Pending;
            }
            Poll::Ready(protocol::undecided(io))
        })
        .await
    }

    /// Returns the stream if it has carried no request yet; none if it is in use.
    pub(super) fn into_io(self) -> Option<Buffered> {
        Some(Rc::into_inner(self.shared)?.into_inner().io)
    }

    /// Serves the connection until it closes.
    pub(super) async fn serve(&mut self) {
        self.connection.protocol.set("HTTP/1.1");
        loop {
            match self.exchange().await {
                Next::Another => {}
                Next::Linger | Next::Failed(_) => {
                    let bounds = match self.shared.borrow().rest() {
                        Rest::Nothing => Bounds::short(),
                        Rest::Little | Rest::Much => Bounds::of_upload(),
                    };
                    return self.linger(bounds).await;
                }
                Next::End => return,
            }
        }
    }

    async fn exchange(&mut self) -> Next {
        let arrival = self.arrival().await;
        let listener = {
            let snapshot = self.connection.worker.snapshot();
            self.connection.listener(&snapshot)
        };
        // In memory of their own: connections are many, and most of them wait.
        match self.take(arrival, &listener) {
            Taken::Request(asked, request) => {
                memory::pinned(|| self.answer(request, asked, listener)).await
            }
            Taken::Refused(failure) => Box::pin(self.refuse(failure)).await,
            Taken::Nothing => Next::End,
        }
    }

    /// Has a request answered, and writes the answer.
    #[expect(
        clippy::manual_async_fn,
        reason = "an async function holds its arguments twice; a block holds them once"
    )]
    fn answer(
        &mut self,
        request: Box<Request>,
        asked: Asked,
        listener: LocalListener,
    ) -> impl Future<Output = Next> {
        async move {
            let Some(response) = self.walk(request, asked.version).await else {
                return Next::End;
            };
            self.pass_on(response, &asked, &listener).await
        }
    }

    /// Writes the answer. A step of its own, so that an exchange's memory needs no room for the
    /// answer while it is made.
    async fn pass_on(
        &mut self,
        mut response: Response<Outgoing>,
        asked: &Asked,
        listener: &Listener,
    ) -> Next {
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            return Box::pin(self.switch(response)).await;
        }
        let persist = asked.keep_alive && self.may_persist(listener);
        match self.respond(&mut response, asked, persist, listener).await {
            Next::Failed(failure) => {
                Box::pin(self.fail(response.body, failure, asked, listener)).await
            }
            next => {
                proxy::finish(&mut response.body);
                next
            }
        }
    }

    /// Answers with a failure instead of an answer of which nothing was sent.
    async fn fail(
        &mut self,
        failed: Outgoing,
        failure: Failure,
        asked: &Asked,
        listener: &Listener,
    ) -> Next {
        let mut reply = failed.fail(failure).await;
        let persist = asked.keep_alive && self.may_persist(listener);
        let next = self.respond(&mut reply, asked, persist, listener).await;
        proxy::finish(&mut reply.body);
        next
    }

    /// Makes a request from the arrived head.
    fn take(&mut self, arrival: Arrival, listener: &Listener) -> Taken {
        let head = match arrival {
            Arrival::Head(head) => head,
            Arrival::NotPlain => {
                let metrics = self.connection.worker.metrics();
                metrics.handshake(&listener.name, "not_served");
                tracing::debug!(
                    listener = %listener.name, peer = %self.connection.peer(),
                    "TLS was spoken to a listener without it"
                );
                return Taken::Nothing;
            }
            Arrival::Over => {
                self.shared.borrow_mut().io.say_goodbye();
                return Taken::Nothing;
            }
            Arrival::Refused(failure) => return Taken::Refused(failure),
        };
        self.first = false;
        self.count_request();
        let asked = Asked {
            method: head.method.clone(),
            version: head.version,
            keep_alive: head.keep_alive,
        };
        match self.request(head, listener) {
            Ok(request) => Taken::Request(asked, request),
            Err(rule) => Taken::Refused(rule.into()),
        }
    }

    /// Has a request answered; none once the client has left.
    async fn walk(
        &mut self,
        request: Box<Request>,
        version: Version,
    ) -> Option<Response<Outgoing>> {
        let connection = Rc::clone(&self.connection);
        // HTTP/1.0 has no interim responses (RFC 9110 section 15.2).
        if version == Version::HTTP_11 {
            connection.interim.open();
        }
        let serving = pin!(proxy::serve(&connection, request));
        let served = self.unless_gone(serving, version).await;
        connection.interim.close();
        served
    }

    fn request(&self, head: RequestHead, listener: &Listener) -> Result<Box<Request>, BadRequest> {
        let mut exchanging = self.shared.borrow_mut();
        exchanging.expects_continue = head.expect_continue && head.version == Version::HTTP_11;
        exchanging.answered = false;
        drop(exchanging);
        let body = if head.framing.has_body() {
            Body::Http1Request(RequestBody::start(
                &self.shared,
                head.framing,
                &listener.head,
                listener.timeouts.body_idle,
            ))
        } else {
            RequestBody::start(&self.shared, Framing::None, &listener.head, Duration::ZERO);
            Body::Empty
        };
        let (uri, raw_target) = if head.odd_target {
            RawTarget::read(head.target)?
        } else {
            let uri = Uri::from_maybe_shared(head.target);
            (uri.map_err(|_| BadRequest::Target)?, None)
        };
        Ok(memory::boxed(|| Request {
            method: head.method,
            uri,
            raw_target,
            version: head.version,
            headers: head.headers,
            body,
            handshake: None,
            interim: None,
        }))
    }

    fn count_request(&self) {
        let requests = &self.connection.requests;
        requests.set(requests.get() + 1);
    }

    fn may_persist(&self, listener: &Listener) -> bool {
        let worn = self.connection.is_worn(listener.requests_per_connection, 0);
        let end = self.connection.end_of_life(listener.timeouts.lifetime);
        let old = end.is_some_and(|end| timer::recent() >= end);
        !worn && !old && !self.connection.is_closing() && !self.connection.worker.is_draining()
    }

    /// Answers an invalid request, and closes.
    async fn refuse(&mut self, failure: Failure) -> Next {
        self.count_request();
        // Who is too slow with a head has nothing on the way that must be read before the answer.
        self.shared.borrow_mut().broken = failure != Failure::SlowHead;
        let mut response = proxy::refuse(&self.connection, failure);
        let asked = Asked {
            method: Method::GET,
            version: Version::HTTP_11,
            keep_alive: true,
        };
        let listener = self.connection.known_listener();
        let next = self.respond(&mut response, &asked, false, &listener).await;
        proxy::finish(&mut response.body);
        next
    }
}

/// Result of reading a request.
enum Taken {
    /// A request, for the walk.
    Request(Asked, Box<Request>),
    /// An invalid request; the client gets an answer.
    Refused(Failure),
    /// Nothing, and no answer is expected.
    Nothing,
}

/// Properties of the request that decide the form of the response.
struct Asked {
    method: Method,
    version: Version,
    /// The client may send more requests.
    keep_alive: bool,
}

/// Maximum number of bytes of pipelined requests read while one is under way.
const READ_AHEAD_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_takes_no_more_memory_than_the_allocator_gives_at_once() {
        fn size<'a, F: Future>(
            _: impl Fn(&'a mut Server, Box<Request>, Asked, LocalListener) -> F,
        ) -> usize {
            size_of::<F>()
        }
        // Beyond this each is looked for at length.
        let answering = size(Server::answer);
        assert!(answering <= 2048, "{answering}");
    }
}
