//! HTTP/2 towards an endpoint (RFC 9113), over hyper's client connection.
//!
//! One connection is shared by the exchanges of its worker, up to what the
//! endpoint allows; a task of its own drives it.

use std::{
    cell::{Cell, RefCell},
    error::Error as _,
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use ::http::{Request, Uri, Version, header};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::{body::Incoming, client::conn::http2};
use tokio::time::Instant;

use super::{Clock, Inbound, Outbound, Patience, Piece, SendFailure, Upload};
use crate::{
    exchange::{BadRequest, Body, Failure},
    http::forwarded::Scheme,
    http1::Framing,
    server::task,
    socket::{HyperStream, Stream},
    timer,
    upstream::connect::ConnectionGuard,
};

/// One HTTP/2 connection to an endpoint, shared by many exchanges of one worker.
pub struct Http2Connection {
    sender: http2::SendRequest<SharedUpload>,
    opened: Instant,
    security: u64,
    streams: Cell<usize>,
    /// How many streams the endpoint allows at once, as it last said.
    allowed: Rc<Cell<usize>>,
    last_used: Cell<Instant>,
}

impl Http2Connection {
    /// Speaks the preface over a connected stream and starts the connection's task.
    ///
    /// # Errors
    /// [`Failure::ConnectTimeout`] or [`Failure::ConnectionClosed`].
    pub async fn open(
        stream: Stream,
        guard: ConnectionGuard,
        security: u64,
        deadline: Instant,
    ) -> Result<Rc<Self>, Failure> {
        let io = HyperStream::new(stream, Bytes::new());
        let handshake = http2::Builder::new(LocalExecutor)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(HEADER_LIST_MAX)
            .handshake(io);
        let (sender, connection) = timer::until(deadline, handshake)
            .await
            .map_err(|_| Failure::ConnectTimeout)?
            .map_err(|_| Failure::ConnectionClosed)?;
        let allowed = Rc::new(Cell::new(STREAMS_MAX));
        let told = Rc::clone(&allowed);
        task::spawn_local("upstream http/2 connection", async move {
            let mut connection = pin!(connection);
            // What it ends with is told to each exchange on it.
            poll_fn(|cx| {
                let ended = connection.as_mut().poll(cx).map(drop);
                told.set(connection.current_max_send_streams());
                ended
            })
            .await;
            drop(guard);
        });
        let now = Instant::now();
        Ok(Rc::new(Self {
            sender,
            opened: now,
            security,
            streams: Cell::new(0),
            allowed,
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
        !self.sender.is_closed()
            && now < self.opened + lifetime
            && self.streams.get() < self.allowed.get().min(STREAMS_MAX)
    }

    /// Whether it carries nothing and should be closed.
    pub fn is_spent(&self, now: Instant, idle_timeout: Duration, lifetime: Duration) -> bool {
        let old = now >= self.last_used.get() + idle_timeout || now >= self.opened + lifetime;
        self.sender.is_closed() || (self.streams.get() == 0 && old)
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
        let shared = SharedUpload(Rc::new(RefCell::new(Some(upload))));
        let Some(head) = build(request, self.scheme(), shared.clone()) else {
            return Err(shared.fail(BadRequest::Target.into(), false));
        };
        let share = StreamShare::take(&self);
        let mut sender = self.sender.clone();
        if sender.ready().await.is_err() {
            return Err(shared.fail(Failure::ConnectionClosed, false));
        }
        let mut sending = pin!(sender.try_send_request(head));
        let sent = poll_fn(|cx| match sending.as_mut().poll(cx) {
            Poll::Ready(sent) => Poll::Ready(Ok(sent)),
            Poll::Pending => {
                let (sent, moved) = shared.progress();
                clock.poll(cx, sent, moved).map(Err)
            }
        })
        .await;
        match sent {
            Err(late) => Err(shared.fail(late, true)),
            Ok(Ok(response)) => {
                let (head, incoming) = response.into_parts();
                let body = if incoming.is_end_stream() {
                    Body::Empty
                } else {
                    Body::Http2Response(Http2Body {
                        incoming,
                        _share: share,
                    })
                };
                Ok(Inbound {
                    status: head.status,
                    version: Version::HTTP_2,
                    headers: head.headers,
                    body,
                    upload: shared.take_ended(),
                })
            }
            Ok(Err(mut error)) => {
                let unsent = error.take_message().is_some();
                let failure = shared
                    .client_failure()
                    .unwrap_or_else(|| failure_of(error.error()));
                let written = !unsent && failure != Failure::StreamRefused;
                Err(shared.fail(failure, written))
            }
        }
    }
}

impl fmt::Debug for Http2Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http2Connection")
            .field("streams", &self.streams.get())
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
struct StreamShare(Rc<Http2Connection>);

impl StreamShare {
    fn take(connection: &Rc<Http2Connection>) -> Self {
        connection.streams.set(connection.streams.get() + 1);
        Self(Rc::clone(connection))
    }
}

impl Drop for StreamShare {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get() - 1);
        self.0.last_used.set(Instant::now());
    }
}

/// An upload that hyper reads from and that a failed attempt takes back.
#[derive(Clone, Debug)]
struct SharedUpload(Rc<RefCell<Option<Upload>>>);

impl SharedUpload {
    fn fail(&self, failure: Failure, written: bool) -> SendFailure {
        let upload = self.0.borrow_mut().take();
        SendFailure {
            failure,
            written,
            received: false,
            upload: upload.unwrap_or_else(Upload::gone),
        }
    }

    /// The upload, if all of it has been taken.
    fn take_ended(&self) -> Option<Upload> {
        let mut upload = self.0.borrow_mut();
        let ended = upload.as_ref().is_some_and(Upload::is_ended);
        if ended { upload.take() } else { None }
    }

    /// Whether all of it has been taken, and a number that grows until then.
    fn progress(&self) -> (bool, u64) {
        let upload = self.0.borrow();
        upload
            .as_ref()
            .map_or((true, 0), |upload| (upload.is_ended(), upload.moved()))
    }

    /// What went wrong on the client's side of the upload.
    fn client_failure(&self) -> Option<Failure> {
        self.0.borrow().as_ref().and_then(Upload::failure)
    }
}

impl HttpBody for SharedUpload {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let mut upload = self.0.borrow_mut();
        let Some(upload) = upload.as_mut() else {
            // Taken back after a failure: the stream must not end as if it were whole.
            return Poll::Ready(Some(Err(Failure::ClientGone)));
        };
        let piece = ready!(upload.poll_piece(cx));
        Poll::Ready(piece.map(|piece| {
            piece.map(|piece| match piece {
                Piece::Data(data) => Frame::data(data),
                Piece::Trailers(trailers) => Frame::trailers(trailers),
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.0.borrow().as_ref().is_some_and(Upload::is_ended)
    }

    fn size_hint(&self) -> SizeHint {
        match self.0.borrow().as_ref().map(Upload::framing) {
            Some(Framing::Length(length)) => SizeHint::with_exact(length),
            Some(Framing::None) => SizeHint::with_exact(0),
            Some(Framing::Chunked | Framing::UntilClose) | None => SizeHint::new(),
        }
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

fn build(
    request: &Outbound<'_>,
    scheme: Scheme,
    body: SharedUpload,
) -> Option<Request<SharedUpload>> {
    let mut headers = request.headers.clone();
    let host = headers.remove(header::HOST)?;
    let uri = Uri::builder()
        .scheme(scheme.as_str())
        .authority(host.as_bytes())
        .path_and_query(request.target.clone())
        .build()
        .ok()?;
    let mut head = Request::new(body);
    *head.method_mut() = request.method.clone();
    *head.uri_mut() = uri;
    *head.version_mut() = Version::HTTP_2;
    *head.headers_mut() = headers;
    Some(head)
}

fn failure_of(error: &hyper::Error) -> Failure {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<h2::Error>() {
            let unprocessed = error.reason() == Some(h2::Reason::REFUSED_STREAM)
                // Above the last stream that a graceful GOAWAY names (RFC 9113 section 6.8).
                || (error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR));
            return match error.reason() {
                _ if unprocessed && error.is_remote() => Failure::StreamRefused,
                Some(h2::Reason::PROTOCOL_ERROR | h2::Reason::FRAME_SIZE_ERROR)
                    if error.is_library() =>
                {
                    Failure::ResponseMalformed
                }
                _ => Failure::ConnectionClosed,
            };
        }
        source = cause.source();
    }
    Failure::ConnectionClosed
}

const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
const HEADER_LIST_MAX: u32 = 64 * 1024;
/// Streams on one connection, however many the endpoint would allow.
const STREAMS_MAX: usize = 256;
