//! One origin, its requests and its connection.

mod stream;

use std::{
    future::{Future, poll_fn},
    io,
    path::PathBuf,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header, response::Parts,
};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

use super::{FetchError, SharedTls};
use crate::{
    config::value::{HttpUrl, Secret},
    dial::{self, Plain},
    tls::{Alpn, ClientSettings, ClientTls, KeyPair},
};

pub use stream::Stream;

/// An origin, and what its requests have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its URL; the path is that of requests which name none.
    pub url: HttpUrl,
    /// File of the authorities that may certify it, as PEM; none: the system's.
    pub ca: Option<PathBuf>,
    /// Headers of every request, such as `Authorization`, with their secret values and what stands
    /// before them.
    pub secrets: Vec<(HeaderName, &'static str, Secret)>,
}

/// A request.
#[derive(Debug)]
pub struct Ask {
    /// Method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Headers, besides `Host` and those of the target.
    pub headers: HeaderMap,
    /// Body; empty: none.
    pub body: Bytes,
    /// Time from the first step to the last byte of the answer.
    pub timeout: Duration,
    /// Maximum size of the body of the answer.
    pub body_max: usize,
}

/// An answer with any status.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// Makes requests to one origin, one at a time.
pub struct Client {
    target: Target,
    /// Read with the first connection, and again after a failed handshake.
    tls: SharedTls,
    /// Certificate for servers that ask for one.
    certificate: Option<KeyPair>,
    idle: Option<Connection>,
}

/// An open connection. Nothing runs beside the requests: it is driven while one waits.
struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: Driver,
}

/// The work of a connection; none once it has ended.
type Driver = Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>;

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

impl Ask {
    /// Returns a GET of a path.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// Returns a request without a body.
    #[must_use]
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout: TIMEOUT,
            body_max: BODY_MAX,
        }
    }

    /// Sets a header.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

impl Client {
    /// Returns a client of this origin; connects with the first request.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self::sharing(SharedTls::default(), target)
    }

    /// Returns a client with the TLS settings of others of this origin.
    #[must_use]
    pub const fn sharing(tls: SharedTls, target: Target) -> Self {
        Self {
            target,
            tls,
            certificate: None,
            idle: None,
        }
    }

    /// Returns the client with a certificate for servers that ask for one.
    #[must_use]
    pub fn presenting(mut self, certificate: Option<KeyPair>) -> Self {
        self.certificate = certificate;
        self
    }

    /// The origin.
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// Makes a request and returns the whole answer. Cancel safe: what was begun is given up with
    /// its connection.
    ///
    /// A request with a method that is idempotent is sent again, once, if the connection was kept
    /// from an earlier one and ended before an answer.
    ///
    /// # Errors
    /// The reason why there is no answer; one with an error status is an answer.
    pub async fn ask(&mut self, ask: Ask) -> Result<Answer, FetchError> {
        let timeout = ask.timeout;
        let asking = self.ask_unbounded(ask, Instant::now() + timeout);
        // Large, and seldom.
        let asked = tokio::time::timeout(timeout, Box::pin(asking)).await;
        asked.unwrap_or(Err(FetchError::Late(timeout)))
    }

    async fn ask_unbounded(&mut self, ask: Ask, deadline: Instant) -> Result<Answer, FetchError> {
        let request = self.request(&ask)?;
        if let Some(mut kept) = self.idle.take()
            && kept.is_ready().await
        {
            match kept.exchange(request.clone(), ask.body_max).await {
                Ok(answer) => return Ok(self.keep(kept, answer)),
                Err(FetchError::CutShort) if ask.method.is_idempotent() => {}
                Err(error) => return Err(error),
            }
        }
        let mut fresh = self.connect(deadline).await?;
        let answer = fresh.exchange(request, ask.body_max).await?;
        Ok(self.keep(fresh, answer))
    }

    /// Makes a request and returns the head of the answer, whose body is read as it comes. The
    /// timeout of the request is for the head alone. Cancel safe, as [`Client::ask`].
    ///
    /// # Errors
    /// The reason why there is no answer; one with an error status is an answer.
    pub async fn open(&mut self, ask: Ask) -> Result<Stream, FetchError> {
        let timeout = ask.timeout;
        let opening = self.open_unbounded(ask, Instant::now() + timeout);
        let opened = tokio::time::timeout(timeout, Box::pin(opening)).await;
        opened.unwrap_or(Err(FetchError::Late(timeout)))
    }

    async fn open_unbounded(&mut self, ask: Ask, deadline: Instant) -> Result<Stream, FetchError> {
        let request = self.request(&ask)?;
        if let Some(mut kept) = self.idle.take()
            && kept.is_ready().await
        {
            match kept.begin(request.clone()).await {
                Ok((head, body)) => return Ok(Stream::new(head, body, kept)),
                Err(FetchError::CutShort) if ask.method.is_idempotent() => {}
                Err(error) => return Err(error),
            }
        }
        let mut fresh = self.connect(deadline).await?;
        let (head, body) = fresh.begin(request).await?;
        Ok(Stream::new(head, body, fresh))
    }

    /// Takes the connection of a stream for the next request, if its body was read to the end.
    pub fn reuse(&mut self, stream: Stream) {
        if stream.has_ended() && !stream.connection.sender.is_closed() {
            self.idle = Some(stream.connection);
        }
    }

    /// Keeps a connection for the next request, unless it has ended.
    fn keep(&mut self, connection: Connection, answer: Answer) -> Answer {
        if !connection.sender.is_closed() {
            self.idle = Some(connection);
        }
        answer
    }

    fn request(&self, ask: &Ask) -> Result<Request<Full<Bytes>>, FetchError> {
        let unsendable = || FetchError::Unsendable;
        let mut request = Request::new(Full::new(ask.body.clone()));
        *request.method_mut() = ask.method.clone();
        *request.uri_mut() = ask.path.parse::<Uri>().map_err(|_| unsendable())?;
        let headers = request.headers_mut();
        headers.clone_from(&ask.headers);
        let host = HeaderValue::try_from(&self.target.url.authority).map_err(|_| unsendable())?;
        headers.insert(header::HOST, host);
        headers.insert(header::USER_AGENT, USER_AGENT);
        for (name, before, secret) in &self.target.secrets {
            // The check refuses a missing one wherever traffic is served.
            let Ok(secret) = secret.reveal() else {
                continue;
            };
            let value = HeaderValue::try_from(format!("{before}{secret}"));
            let mut value = value.map_err(|_| unsendable())?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(request)
    }

    async fn connect(&mut self, deadline: Instant) -> Result<Connection, FetchError> {
        let address = &self.target.url.address;
        let dialled = dial::dial(address, deadline).await;
        let plain = match dialled.map_err(|fault| FetchError::Connect(fault.told(address)))? {
            Plain::Tcp(stream) => stream,
            // A URL has no such address.
            Plain::Unix(_) => return Err(FetchError::Unsendable),
        };
        let socket: Box<dyn Socket> = if self.target.url.tls {
            let tls = match self.tls.known() {
                Some(tls) => tls,
                None => Arc::new(load(&self.target, self.certificate.clone()).await?),
            };
            let session = tls.connect(plain, &address.host(), Alpn::Http1).await;
            self.tls.keep(session.is_ok().then_some(tls));
            Box::new(session.map_err(|error| FetchError::Tls(error.to_string()))?)
        } else {
            Box::new(plain)
        };
        let mut builder = http1::Builder::new();
        builder.max_buf_size(HEAD_MAX).max_headers(HEADERS_MAX);
        let shaken = builder.handshake(TokioIo::new(socket)).await;
        let (sender, driver) = shaken.map_err(|error| told(&error))?;
        Ok(Connection {
            sender,
            driver: Some(Box::pin(driver)),
        })
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Waits until a request can be written; returns false if the connection has ended.
    async fn is_ready(&mut self) -> bool {
        let Self { sender, driver } = self;
        drive(driver, async { sender.ready().await.is_ok() }).await
    }

    /// Sends a request and waits for the head of the answer.
    async fn begin(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Parts, Incoming), FetchError> {
        let Self { sender, driver } = self;
        let beginning = async {
            sender.ready().await.map_err(|error| told(&error))?;
            let response = sender.send_request(request).await;
            Ok(response.map_err(|error| told(&error))?.into_parts())
        };
        drive(driver, beginning).await
    }

    async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        body_max: usize,
    ) -> Result<Answer, FetchError> {
        let (head, mut body) = self.begin(request).await?;
        let reading = async {
            let mut whole = BytesMut::new();
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| told(&error))?;
                let Some(piece) = frame.data_ref() else {
                    continue;
                };
                if whole.len() + piece.len() > body_max {
                    return Err(FetchError::TooLong(body_max));
                }
                whole.extend_from_slice(piece);
            }
            Ok(Answer {
                status: head.status,
                headers: head.headers,
                body: whole.freeze(),
            })
        };
        drive(&mut self.driver, reading).await
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// Drives a connection while `work` waits for it.
async fn drive<T>(driver: &mut Driver, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|context| {
        // Its end, good or bad, is told to whoever waits.
        if let Some(driving) = driver
            && driving.as_mut().poll(context).is_ready()
        {
            *driver = None;
        }
        work.as_mut().poll(context)
    })
    .await
}

/// Reads the files of the TLS settings.
async fn load(target: &Target, client: Option<KeyPair>) -> Result<ClientTls, FetchError> {
    let settings = ClientSettings {
        server_name: None,
        ca: target.ca.clone(),
        client,
        verify: true,
    };
    let loading = tokio::task::spawn_blocking(|| ClientTls::load(settings)).await;
    let loaded = loading.map_err(|error| io::Error::from(error).to_string());
    let loaded = loaded.and_then(|loaded| loaded.map_err(|fault| fault.to_string()));
    loaded.map_err(FetchError::Tls)
}

fn told(error: &hyper::Error) -> FetchError {
    if error.is_parse() || error.is_parse_too_large() {
        FetchError::Malformed
    } else {
        FetchError::CutShort
    }
}

/// Time of a request that sets none.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum size of a body where the request sets none; a list of 50,000 endpoints has 10 MiB.
const BODY_MAX: usize = 16 << 20;
/// Maximum size of the head of an answer.
const HEAD_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 100;
const USER_AGENT: HeaderValue = HeaderValue::from_static("sluicegate");

#[cfg(test)]
mod tests;
