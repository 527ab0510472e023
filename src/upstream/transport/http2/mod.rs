//! HTTP/2 towards an endpoint (RFC 9113), over hyper's client connection.
//!
//! One connection is shared by the exchanges of its worker, up to what the
//! endpoint allows; a task of its own drives it. A WebSocket is one of its streams.

mod driven;
mod fault;
mod shared_upload;
mod websocket;

use std::{
    cell::Cell,
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::{Rc, Weak},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use ::http::{Request, Response, Uri, Version, header};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use driven::{Driven, Watched};
use fault::Fault;
use shared_upload::SharedUpload;

use super::{Clock, Inbound, Outbound, Patience, Progress, Purpose, SendFailure, Upload};
use crate::{
    exchange::{BadRequest, Body, Failure},
    http::{Headers, forwarded::Scheme},
    server::task,
    socket::Stream,
    timer,
    upstream::{connect::ConnectionGuard, shared::PoolShared},
};

/// One HTTP/2 connection to an endpoint, shared by many exchanges of one worker.
pub struct Http2Connection {
    sender: http2::SendRequest<SharedUpload>,
    driven: Rc<Driven>,
    opened: Instant,
    security: u64,
    used: Cell<bool>,
    /// An exchange found it broken before its task did.
    broken: Cell<bool>,
    last_used: Cell<Instant>,
}

/// Tells when a connection that nobody uses any more has said its last words.
#[derive(Debug)]
pub struct Closing(Weak<Driven>);

impl Closing {
    /// Whether its task has ended.
    pub fn has_ended(&self) -> bool {
        self.0.strong_count() == 0
    }
}

impl Http2Connection {
    /// Speaks the preface over a connected stream, starts the connection's task and waits for
    /// the endpoint's settings: before them nobody knows how many streams it takes (RFC 9113
    /// section 6.5.2), and a guess that is too high ends in refused streams.
    ///
    /// # Errors
    /// [`Failure::ConnectTimeout`] or [`Failure::ConnectionClosed`].
    pub async fn open(
        stream: Stream,
        guard: ConnectionGuard,
        pool: Arc<PoolShared>,
        security: u64,
        deadline: Instant,
    ) -> Result<Rc<Self>, Failure> {
        let io = TokioIo::new(stream);
        let driven = Rc::new(Driven::new(pool));
        let handshake = http2::Builder::new(Watched(Rc::downgrade(&driven)))
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(HEADER_LIST_MAX)
            // None until the endpoint has said how many.
            .initial_max_send_streams(0)
            .handshake(io);
        let (sender, connection) = timer::until(deadline, handshake)
            .await
            .map_err(|_| Failure::ConnectTimeout)?
            .map_err(|_| Failure::ConnectionClosed)?;
        driven.begin(connection);
        let driving = Rc::clone(&driven);
        task::spawn_local("upstream http/2 connection", async move {
            // What it ends with is told to each exchange on it.
            poll_fn(|cx| driving.poll(cx)).await;
            drop(guard);
        });
        timer::until(deadline, poll_fn(|cx| driven.poll_settled(cx)))
            .await
            .map_err(|_| Failure::ConnectTimeout)??;
        let now = Instant::now();
        Ok(Rc::new(Self {
            sender,
            driven,
            opened: now,
            security,
            used: Cell::new(false),
            broken: Cell::new(false),
            last_used: Cell::new(now),
        }))
    }

    /// Which TLS settings it was made under; 0 for none.
    pub fn security(&self) -> u64 {
        self.security
    }

    fn scheme(&self) -> Scheme {
        match self.security {
            0 => Scheme::Http,
            _ => Scheme::Https,
        }
    }

    /// Whether one more exchange fits.
    pub fn has_room(&self, now: Instant, lifetime: Duration) -> bool {
        !self.is_closed() && now < self.opened + lifetime && self.driven.has_room()
    }

    /// Whether the endpoint has said that it takes WebSockets here (RFC 8441 section 3).
    pub fn takes_websockets(&self) -> bool {
        self.driven.takes_websockets()
    }

    /// Whether it takes no more exchanges at all.
    pub fn is_closed(&self) -> bool {
        self.broken.get() || self.sender.is_closed()
    }

    /// What tells when it has closed, after the last exchange on it.
    pub fn closing(&self) -> Closing {
        Closing(Rc::downgrade(&self.driven))
    }

    /// Whether it has carried no exchange yet.
    pub fn is_fresh(&self) -> bool {
        !self.used.get()
    }

    /// Whether it carries nothing and should be closed.
    pub fn is_spent(&self, now: Instant, idle_timeout: Duration, lifetime: Duration) -> bool {
        let old = now >= self.last_used.get() + idle_timeout || now >= self.opened + lifetime;
        self.is_closed() || (self.driven.streams.get() == 0 && old)
    }

    /// Sends a request and waits for the head of the response.
    ///
    /// # Errors
    /// [`SendFailure`] says what of the request may have reached the endpoint.
    pub async fn send(
        self: Rc<Self>,
        request: &Outbound<'_>,
        upload: Upload,
        patience: Patience,
    ) -> Result<Inbound, SendFailure> {
        let mut clock = Clock::start(patience, &upload);
        let shared = SharedUpload::new(upload);
        let head = match build(request, self.scheme(), shared.clone()) {
            Ok(head) => head,
            Err(rule) => return Err(shared.fail(rule.into(), false)),
        };
        let share = StreamShare::take(&self);
        self.used.set(true);
        let mut sender = self.sender.clone();
        if sender.ready().await.is_err() {
            return Err(shared.fail(Failure::ConnectionClosed, false));
        }
        let mut sending = pin!(sender.try_send_request(head));
        let sent = poll_fn(|cx| match sending.as_mut().poll(cx) {
            Poll::Ready(sent) => Poll::Ready(Ok(sent)),
            Poll::Pending => {
                let progress = shared.progress(cx);
                clock.poll(cx, progress, || 0).map(Err)
            }
        })
        .await;
        match sent {
            Err(late) => Err(shared.fail(late, true)),
            Ok(Ok(response)) => {
                let taken = match request.purpose {
                    Purpose::Exchange => Ok(answered(response, share)),
                    Purpose::WebSocket => websocket::answered(response, request, share).await,
                };
                match taken {
                    Ok(mut inbound) => {
                        inbound.upload = shared.take_ended();
                        Ok(inbound)
                    }
                    Err(failure) => {
                        let mut failed = shared.fail(failure, true);
                        failed.received = true;
                        Err(failed)
                    }
                }
            }
            Ok(Err(mut error)) => {
                let unsent = error.take_message().is_some();
                if let Some(failure) = shared.client_failure() {
                    return Err(shared.fail(failure, !unsent));
                }
                let fault = Fault::of(error.error());
                if !fault.of_stream {
                    self.broken.set(true);
                }
                let mut failed = shared.fail(fault.failure, !unsent && !fault.unprocessed);
                // A reset is something that the endpoint said of this request.
                failed.received = fault.of_stream;
                Err(failed)
            }
        }
    }
}

impl fmt::Debug for Http2Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http2Connection")
            .field("streams", &self.driven.streams.get())
            .finish_non_exhaustive()
    }
}

/// The body of a response over HTTP/2; holds its share of the connection.
#[derive(Debug)]
pub struct Http2Body {
    incoming: Incoming,
    _share: StreamShare,
}

impl Http2Body {
    /// Reads the next frame.
    pub fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        Poll::Ready(frame.map(|frame| frame.map_err(|_| Failure::ResponseIncomplete)))
    }

    /// How far the request is on its way; nobody knows, once its answer has begun.
    pub fn uploading(&self) -> Option<Progress> {
        None
    }

    /// Whether the whole body has been read.
    pub fn is_end(&self) -> bool {
        self.incoming.is_end_stream()
    }

    /// The exact rest if the endpoint announced it.
    pub fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// One stream of a connection, given back when dropped.
#[derive(Debug)]
pub(super) struct StreamShare(Rc<Http2Connection>);

impl StreamShare {
    fn take(connection: &Rc<Http2Connection>) -> Self {
        let streams = &connection.driven.streams;
        streams.set(streams.get() + 1);
        Self(Rc::clone(connection))
    }
}

impl Drop for StreamShare {
    fn drop(&mut self) {
        let driven = &self.0.driven;
        driven.streams.set(driven.streams.get() - 1);
        self.0.last_used.set(Instant::now());
        driven.pool.tell_room();
    }
}

/// Runs hyper's tasks on the worker's own thread.
#[derive(Clone, Copy, Debug)]
pub struct LocalExecutor;

impl<F> hyper::rt::Executor<F> for LocalExecutor
where
    F: Future<Output = ()> + 'static,
{
    fn execute(&self, future: F) {
        task::spawn_local("http/2 stream", future);
    }
}

fn answered(response: Response<Incoming>, share: StreamShare) -> Inbound {
    let (head, incoming) = response.into_parts();
    let body = if incoming.is_end_stream() {
        Body::Empty
    } else {
        Body::Http2Response(Http2Body {
            incoming,
            _share: share,
        })
    };
    Inbound {
        status: head.status,
        headers: Headers::from(&head.headers),
        body,
        upload: None,
    }
}

fn build(
    request: &Outbound<'_>,
    scheme: Scheme,
    body: SharedUpload,
) -> Result<Request<SharedUpload>, BadRequest> {
    let mut headers = request.headers.to_map();
    let host = headers.remove(header::HOST).ok_or(BadRequest::Host)?;
    let uri = Uri::builder()
        .scheme(scheme.as_str())
        .authority(host.as_bytes())
        .path_and_query(request.target.clone())
        .build()
        .map_err(|_| BadRequest::Target)?;
    let mut head = Request::new(body);
    *head.method_mut() = request.method.clone();
    *head.uri_mut() = uri;
    *head.version_mut() = Version::HTTP_2;
    *head.headers_mut() = headers;
    if request.purpose == Purpose::WebSocket {
        websocket::ask(&mut head)?;
    }
    Ok(head)
}

const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
const HEADER_LIST_MAX: u32 = 64 * 1024;
