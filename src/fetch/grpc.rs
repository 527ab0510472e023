//! gRPC to services that the proxy itself asks, on one HTTP/2 connection: calls with one answer, and streams of messages.
//!
//! Every wait is limited by the caller or here. A message has a prefix of five bytes: a flag for
//! compression, which is never offered, and the length. The outcome of a call is in the trailers.

use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use h2::{
    RecvStream, SendStream,
    client::{ResponseFuture, SendRequest},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Version, uri::Scheme};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::AbortHandle,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    config::value::ServerUrl,
    dial::{ConnectFault, Plain, dial},
    task,
    tls::{Alpn, ClientTls},
};

/// Reasons why a call gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum GrpcError {
    /// No connection.
    #[error("{0}")]
    Connect(String),
    /// No answer in time.
    #[error("{0} took too long")]
    Late(&'static str),
    /// The connection broke, or is not HTTP/2.
    #[error("{0}")]
    Connection(#[from] h2::Error),
    /// Another status than 200.
    #[error("answered with HTTP status {0}, which a gRPC server does not")]
    Http(http::StatusCode),
    /// The server refused the call.
    #[error("{message} (gRPC status {code})")]
    Refused {
        /// Status of gRPC.
        code: u32,
        /// Reason of the server.
        message: String,
    },
    /// The answer is malformed or too large.
    #[error("the answer is malformed, or larger than the limit")]
    Garbled,
}

/// A connection to one server. Its streams end when it is dropped.
#[derive(Debug)]
pub struct Channel {
    requests: SendRequest<Bytes>,
    driver: AbortHandle,
    server: ServerUrl,
    /// Headers of every call.
    metadata: HeaderMap,
}

/// The sending and receiving sides of a call that stays open.
#[derive(Debug)]
pub struct Stream {
    sender: SendStream<Bytes>,
    receiver: Receiver,
}

/// The messages of an answer.
#[derive(Debug)]
enum Receiver {
    /// The head of the answer is not here yet.
    Awaited(ResponseFuture),
    /// Messages.
    Open(Body),
}

#[derive(Debug)]
struct Body {
    stream: RecvStream,
    buffer: BytesMut,
}

impl Channel {
    /// Connects to a server.
    ///
    /// # Errors
    /// The cause: refused, late, TLS or HTTP/2.
    pub async fn open(server: &ServerUrl, tls: Option<&ClientTls>) -> Result<Self, GrpcError> {
        let deadline = Instant::now() + OPEN_MAX;
        let opening = Box::pin(Self::open_unbounded(server, tls, deadline));
        let late = |_| GrpcError::Late("the connection");
        timeout_at(deadline, opening).await.map_err(late)?
    }

    async fn open_unbounded(
        server: &ServerUrl,
        tls: Option<&ClientTls>,
        deadline: Instant,
    ) -> Result<Self, GrpcError> {
        let stream = match dial(&server.address, deadline).await {
            Ok(Plain::Tcp(stream)) => stream,
            Ok(Plain::Unix(_)) => return Err(GrpcError::Garbled),
            Err(ConnectFault::Connect(error)) => return Err(GrpcError::Connect(error.to_string())),
            Err(ConnectFault::Unknown) => {
                return Err(GrpcError::Connect("the name does not resolve".to_owned()));
            }
            Err(ConnectFault::Shortage) => {
                return Err(GrpcError::Connect(
                    "no descriptor or memory left".to_owned(),
                ));
            }
            Err(ConnectFault::Late | ConnectFault::ConnectLate) => {
                return Err(GrpcError::Late("the connection"));
            }
        };
        match tls {
            None => Self::over(stream, server).await,
            Some(tls) => {
                let host = server.address.host();
                let session = tls.connect(stream, &host, Alpn::Http2).await;
                let session = session.map_err(|error| GrpcError::Connect(format!("TLS: {error}")));
                Self::over(session?, server).await
            }
        }
    }

    async fn over<S>(stream: S, server: &ServerUrl) -> Result<Self, GrpcError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let made = h2::client::Builder::new()
            .enable_push(false)
            .initial_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .max_header_list_size(HEAD_BYTES_MAX)
            .handshake(stream)
            .await;
        let (requests, connection) = made.map_err(GrpcError::from)?;
        let driver = task::spawn("grpc", async move {
            // Each stream tells the error.
            let _ = connection.await;
        });
        Ok(Self {
            requests,
            driver: driver.abort_handle(),
            server: server.clone(),
            metadata: HeaderMap::new(),
        })
    }

    /// The server.
    pub fn server(&self) -> &ServerUrl {
        &self.server
    }

    /// Sends this header with all further calls.
    pub fn set(&mut self, name: HeaderName, value: HeaderValue) {
        self.metadata.insert(name, value);
    }

    /// Makes a call with one answer.
    ///
    /// # Errors
    /// The cause; the server may have done what was asked.
    pub async fn call(&self, method: &'static str, message: &[u8]) -> Result<Bytes, GrpcError> {
        let calling = async {
            let mut stream = self.stream(method).await?;
            stream.send(message, true)?;
            let answer = stream.next().await?.ok_or(GrpcError::Garbled)?;
            // The trailers say if it counts.
            match stream.next().await? {
                None => Ok(answer),
                Some(_) => Err(GrpcError::Garbled),
            }
        };
        let late = |_| GrpcError::Late("an answer");
        timeout(CALL_MAX, Box::pin(calling)).await.map_err(late)?
    }

    /// Begins a call whose messages go both ways.
    ///
    /// # Errors
    /// The connection has ended.
    pub async fn stream(&self, method: &'static str) -> Result<Stream, GrpcError> {
        let scheme = if self.server.tls {
            Scheme::HTTPS
        } else {
            Scheme::HTTP
        };
        let uri = http::Uri::builder()
            .scheme(scheme)
            .authority(self.server.address.to_string())
            .path_and_query(method)
            .build();
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.map_err(|_| GrpcError::Garbled)?;
        *request.version_mut() = Version::HTTP_2;
        let headers = request.headers_mut();
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        headers.insert("te", HeaderValue::from_static("trailers"));
        headers.extend(self.metadata.clone());
        let mut requests = self.requests.clone().ready().await?;
        let (response, sender) = requests.send_request(request, false)?;
        Ok(Stream {
            sender,
            receiver: Receiver::Awaited(response),
        })
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Stream {
    /// Sends a message. Messages here are small: the window of the server has room for them, and
    /// what it has no room for waits in memory.
    ///
    /// # Errors
    /// The stream has ended.
    pub fn send(&mut self, message: &[u8], is_last: bool) -> Result<(), GrpcError> {
        let mut framed = BytesMut::with_capacity(PREFIX_BYTES + message.len());
        framed.extend_from_slice(&[0]);
        let length = u32::try_from(message.len()).map_err(|_| GrpcError::Garbled)?;
        framed.extend_from_slice(&length.to_be_bytes());
        framed.extend_from_slice(message);
        self.sender.send_data(framed.freeze(), is_last)?;
        Ok(())
    }

    /// Waits for the next message; none at the end of a call that went well. Cancel safe.
    ///
    /// # Errors
    /// The outcome of a call that failed.
    pub async fn next(&mut self) -> Result<Option<Bytes>, GrpcError> {
        if let Receiver::Awaited(response) = &mut self.receiver {
            let response = response.await?;
            if response.status() != http::StatusCode::OK {
                return Err(GrpcError::Http(response.status()));
            }
            if response.headers().contains_key("grpc-status") {
                status(response.headers())?;
            }
            self.receiver = Receiver::Open(Body {
                stream: response.into_body(),
                buffer: BytesMut::new(),
            });
        }
        match &mut self.receiver {
            Receiver::Awaited(_) => Ok(None),
            Receiver::Open(body) => body.message().await,
        }
    }
}

impl Body {
    async fn message(&mut self) -> Result<Option<Bytes>, GrpcError> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(Some(message));
            }
            if let Some(data) = self.stream.data().await {
                let data = data?;
                self.stream.flow_control().release_capacity(data.len())?;
                self.buffer.extend_from_slice(&data);
                continue;
            }
            if !self.buffer.is_empty() {
                return Err(GrpcError::Garbled);
            }
            if let Some(trailers) = self.stream.trailers().await? {
                status(&trailers)?;
            }
            return Ok(None);
        }
    }

    fn take(&mut self) -> Result<Option<Bytes>, GrpcError> {
        let Some(([compressed, length @ ..], _)) = self.buffer.split_first_chunk::<PREFIX_BYTES>()
        else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if *compressed != 0 || length > MESSAGE_BYTES_MAX {
            return Err(GrpcError::Garbled);
        }
        if self.buffer.len() < PREFIX_BYTES + length {
            return Ok(None);
        }
        self.buffer.advance(PREFIX_BYTES);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }
}

/// Reads the outcome of a call.
fn status(headers: &HeaderMap) -> Result<(), GrpcError> {
    let code = headers.get("grpc-status").map(HeaderValue::as_bytes);
    if code == Some(b"0") {
        return Ok(());
    }
    let code = code.and_then(|code| std::str::from_utf8(code).ok()?.parse().ok());
    let message = headers.get("grpc-message").map(HeaderValue::as_bytes);
    let message = String::from_utf8_lossy(message.unwrap_or_default());
    Err(GrpcError::Refused {
        code: code.unwrap_or(UNKNOWN),
        message: message.chars().take(MESSAGE_CHARS_MAX).collect(),
    })
}

/// Maximum time for look-up, connection and handshakes.
const OPEN_MAX: Duration = Duration::from_secs(3);
/// Maximum time for a call with one answer.
const CALL_MAX: Duration = Duration::from_secs(5);
const PREFIX_BYTES: usize = 5;
/// Maximum size of one message.
const MESSAGE_BYTES_MAX: usize = 32 << 20;
const WINDOW_BYTES: u32 = 1 << 20;
const HEAD_BYTES_MAX: u32 = 16 << 10;
/// Status of gRPC without a known meaning.
const UNKNOWN: u32 = 2;
const MESSAGE_CHARS_MAX: usize = 200;
