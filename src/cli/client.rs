//! Client of the running proxy's admin API: HTTP/1.1, one connection per query.

use std::{
    env, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST},
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    runtime,
    time::timeout,
};

use super::{
    args::{Args, AskArgs},
    exit_code::CommandError,
    peek::Peek,
};
use crate::{
    admin::{ExplainRequest, model::Resource},
    config::value::BindAddress,
};

/// The running proxy, as the command line knows it.
pub(super) struct Client {
    address: BindAddress,
    token: Option<String>,
}

/// Reasons why there is no answer, or not the expected one.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// No process listens there.
    #[error(
        "no proxy answers at {address}: {}; is it running, and was [admin] in its configuration when it started? A table [admin] that is added later needs a restart",
        reason(source)
    )]
    Unreachable {
        /// The address.
        address: BindAddress,
        /// The error of the system.
        source: io::Error,
    },
    /// The process that listens there does not answer in time.
    #[error("the proxy at {address} does not answer within {} s", patience.as_secs())]
    Late {
        /// The address.
        address: BindAddress,
        /// The timeout that has passed.
        patience: Duration,
    },
    /// The connection broke, or the answer is not one of an admin API.
    #[error("{address} does not answer as a proxy's admin API does: {reason}")]
    Broken {
        /// The address.
        address: BindAddress,
        /// The fault.
        reason: String,
    },
    /// The token is not valid in a header.
    #[error("the token has characters in it that no token may have, such as a line end")]
    Token,
    /// The proxy refuses, with its reason.
    #[error("{sentence}{}", hint(*status))]
    Refused {
        /// Its status.
        status: StatusCode,
        /// Its message.
        sentence: String,
        /// Its complete answer.
        body: Value,
    },
    /// The system cannot make a runtime.
    #[error("cannot ask: {0}")]
    System(io::Error),
}

impl Client {
    /// Finds the proxy's address: from the arguments, which may name it or its file, else from the
    /// environment, else from the file in this folder.
    pub(super) fn find(args: &Args, ask: &AskArgs) -> Result<Self, CommandError> {
        let given = env::var("SLUICEGATE_TOKEN").ok();
        let given = given.filter(|token| !token.is_empty());
        let file = args.config();
        let address = match &ask.admin {
            Some(address) => Some(address.clone()),
            None if names_proxy(args) => None,
            None => from_environment()?,
        };
        if let Some(address) = address {
            // A token goes to a place that the file does not name only by the user's word.
            let written = || Peek::at(args.config.as_deref()?).ok()?.token();
            let token = given.or_else(written);
            return Ok(Self::new(address, token));
        }
        let peek = Peek::at(file).map_err(|error| match (&args.config, error.kind()) {
            (None, io::ErrorKind::NotFound) => CommandError::Configuration {
                file: file.to_owned(),
                reason: "there is none in this folder, so the proxy is not found; name its file \
                         with --config FILE, or its admin API with --admin ADDRESS or the \
                         environment variable SLUICEGATE_ADMIN"
                    .to_owned(),
            },
            _ => CommandError::unreadable(file, &error),
        })?;
        let token = given.or_else(|| peek.token());
        Ok(Self::new(peek.address(file)?, token))
    }

    fn new(address: BindAddress, token: Option<String>) -> Self {
        Self { address, token }
    }

    /// The proxy's address.
    pub(super) fn address(&self) -> &BindAddress {
        &self.address
    }

    /// Reads something.
    pub(super) fn get(&self, path: &str) -> Result<Value, ClientError> {
        self.ask(Method::GET, path, "application/json", Bytes::new())
    }

    /// Reads a resource as JSON, unparsed, for programs, which may know more members of it.
    pub(super) fn read<R: Resource>(&self) -> Result<Value, ClientError> {
        self.get(R::PATH)
    }

    /// Asks for the destination of a request.
    pub(super) fn ask_about(&self, request: &ExplainRequest) -> Result<Value, ClientError> {
        let body = serde_json::to_vec(request).map_err(|error| self.broken(&error))?;
        self.post("/explain", "application/json", body)
    }

    /// Sends a query with a body, or a command.
    pub(super) fn post(
        &self,
        path: &str,
        media_type: &str,
        body: impl Into<Bytes>,
    ) -> Result<Value, ClientError> {
        self.ask(Method::POST, path, media_type, body.into())
    }

    /// Parses an answer as the expected type.
    pub(super) fn understand<T: DeserializeOwned>(&self, answer: Value) -> Result<T, ClientError> {
        serde_json::from_value(answer).map_err(|error| self.broken(&error))
    }

    fn ask(
        &self,
        method: Method,
        path: &str,
        media_type: &str,
        body: Bytes,
    ) -> Result<Value, ClientError> {
        let request = self.request(method, path, media_type, body)?;
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ClientError::System)?;
        let exchange = runtime.block_on(async {
            // The timer belongs to the runtime.
            timeout(ANSWER_TIMEOUT, self.connect_and_send(request)).await
        });
        let (status, body) = exchange.map_err(|_| ClientError::Late {
            address: self.address.clone(),
            patience: ANSWER_TIMEOUT,
        })??;
        let value: Value = serde_json::from_slice(&body).map_err(|_| self.broken("no JSON"))?;
        if status.is_success() {
            return Ok(value);
        }
        let sentence = value.get("error").and_then(Value::as_str);
        let sentence = sentence.map_or_else(|| status.to_string(), str::to_owned);
        Err(ClientError::Refused {
            status,
            sentence,
            body: value,
        })
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        media_type: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, ClientError> {
        let host = match &self.address {
            BindAddress::Tcp(address) => address.to_string(),
            BindAddress::Unix(_) => "localhost".to_owned(),
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, host)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, media_type);
        if let Some(token) = &self.token {
            let credentials = HeaderValue::try_from(format!("Bearer {token}"));
            let mut credentials = credentials.map_err(|_| ClientError::Token)?;
            credentials.set_sensitive(true);
            request = request.header(AUTHORIZATION, credentials);
        }
        request
            .body(Full::new(body))
            .map_err(|error| self.broken(&error))
    }

    async fn connect_and_send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let unreachable = |source| ClientError::Unreachable {
            address: self.address.clone(),
            source,
        };
        let late = |_| unreachable(io::ErrorKind::TimedOut.into());
        match &self.address {
            BindAddress::Tcp(address) => {
                let connecting = TcpStream::connect(reachable(*address));
                let stream = timeout(CONNECT_TIMEOUT, connecting).await.map_err(late)?;
                self.send(stream.map_err(unreachable)?, request).await
            }
            BindAddress::Unix(path) => {
                let connecting = UnixStream::connect(path);
                let stream = timeout(CONNECT_TIMEOUT, connecting).await.map_err(late)?;
                self.send(stream.map_err(unreachable)?, request).await
            }
        }
    }

    async fn send<S>(
        &self,
        stream: S,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), ClientError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(stream);
        let handshake = hyper::client::conn::http1::handshake(io).await;
        let (mut sender, connection) = handshake.map_err(|error| self.broken(&error))?;
        // It ends with the runtime, which lives for this one question.
        tokio::spawn(connection);
        let response: Response<Incoming> = sender
            .send_request(request)
            .await
            .map_err(|error| self.broken(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect();
        let body = body.await.map_err(|error| self.broken(&error))?;
        Ok((status, body.to_bytes()))
    }

    fn broken(&self, reason: &(impl ToString + ?Sized)) -> ClientError {
        ClientError::Broken {
            address: self.address.clone(),
            reason: reason.to_string(),
        }
    }
}

/// Returns true if the file in the arguments tells where the proxy is, or cannot be asked: what was
/// written for this command goes before what was once exported.
fn names_proxy(args: &Args) -> bool {
    let file = args.config.as_deref();
    file.is_some_and(|file| Peek::at(file).map_or(true, |peek| peek.admin.is_some()))
}

/// Returns the proxy's address from the environment.
fn from_environment() -> Result<Option<BindAddress>, CommandError> {
    let Some(text) = env::var("SLUICEGATE_ADMIN")
        .ok()
        .filter(|it| !it.is_empty())
    else {
        return Ok(None);
    };
    let address = BindAddress::parse(&text, Path::new("")).map_err(|_| {
        CommandError::WrongUse(format!(
            "SLUICEGATE_ADMIN is \"{text}\", which is not an address, such as 127.0.0.1:9901 or \
             unix:admin.sock"
        ))
    })?;
    Ok(Some(address))
}

impl Peek {
    /// Returns the admin API's address from the file.
    fn address(&self, file: &Path) -> Result<BindAddress, CommandError> {
        let admin = self.admin.as_ref();
        let admin = admin.ok_or_else(|| CommandError::Configuration {
            file: file.to_owned(),
            reason: "it has no [admin] table, so the proxy cannot be asked; \
                     add one, or say --admin ADDRESS"
                .to_owned(),
        })?;
        Ok(admin.address.clone())
    }

    /// Returns the token from the file; reads may be allowed without it.
    fn token(&self) -> Option<String> {
        let admin = self.admin.as_ref()?;
        let token = admin.token.as_ref().or(admin.read_token.as_ref())?;
        token.reveal().ok().map(str::to_owned)
    }
}

/// Writes a text as one segment of a path.
pub(super) fn segment(text: &str) -> String {
    let mut segment = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:[]".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            segment.push_str(&format!("%{byte:02X}"));
        }
    }
    segment
}

/// Returns the address to connect to: the loopback address for a proxy that listens on all
/// addresses.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Returns the system's description of the error, without its number.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::NotFound => "there is no such socket".to_owned(),
        io::ErrorKind::TimedOut => "it does not accept the connection".to_owned(),
        _ => error.to_string(),
    }
}

fn hint(status: StatusCode) -> &'static str {
    if status == StatusCode::UNAUTHORIZED {
        "; set SLUICEGATE_TOKEN, or name the proxy's own file with --config"
    } else {
        ""
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Maximum wait for an answer: a reload reads files, resolves names and compiles every route.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Maximum size of an answer: more than the largest list of pools.
const ANSWER_BYTES_MAX: usize = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unix_address_stays_one_segment() {
        assert_eq!(segment("unix:/run/a b.sock"), "unix:%2Frun%2Fa%20b.sock");
        assert_eq!(segment("[::1]:80"), "[::1]:80");
        assert_eq!(segment("ü?#%"), "%C3%BC%3F%23%25");
    }

    #[test]
    fn every_address_is_asked_here() {
        let here = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(here("0.0.0.0:9"), "127.0.0.1:9");
        assert_eq!(here("[::]:9"), "[::1]:9");
        assert_eq!(here("10.0.0.1:9"), "10.0.0.1:9");
    }
}
