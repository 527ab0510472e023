//! An HTTP/2 client by prior knowledge that tells a reset from an end.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::client::Answer;
use super::eventually::within;
use super::message::Fields;
use super::wire::End;

/// One connection.
pub(crate) struct H2Client {
    sender: SendRequest<Bytes>,
    /// Ends with the connection; the result tells how.
    connection: JoinHandle<Result<(), h2::Error>>,
}

/// Reasons why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum H2Fault {
    /// The stream was reset.
    Reset(Reason),
    /// The proxy refuses new streams, or the connection is closed.
    Gone(String),
}

impl H2Client {
    /// Connects and exchanges the prefaces.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = within("a connection", TcpStream::connect(address)).await;
        let stream = stream.unwrap_or_else(|e| panic!("connect to {address}: {e}"));
        Self::over(stream, &h2::client::Builder::new()).await
    }

    /// Exchanges the prefaces over an existing stream, with these settings.
    pub(crate) async fn over<S>(stream: S, settings: &h2::client::Builder) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = within("an HTTP/2 preface", settings.handshake(stream))
            .await
            .expect("an HTTP/2 connection");
        Self {
            sender,
            connection: tokio::spawn(connection),
        }
    }

    /// One GET.
    pub(crate) async fn get(&mut self, target: &str) -> Result<Answer, H2Fault> {
        self.request("GET", target, &[], b"").await
    }

    /// One request with its whole body, and its answer.
    pub(crate) async fn request(
        &mut self,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, H2Fault> {
        let (response, mut stream) = self.open(method, target, fields, body.is_empty()).await?;
        if !body.is_empty() {
            stream.send_data(Bytes::copy_from_slice(body), true)?;
        }
        answer(response).await
    }

    /// Sends a head and leaves the body to the caller.
    pub(crate) async fn open(
        &mut self,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        end: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), H2Fault> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://shop.example{target}"));
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(()).expect("a request");
        let mut sender = within("room for a stream", self.sender.clone().ready()).await?;
        Ok(sender.send_request(request, end)?)
    }

    /// Number of concurrent streams that the proxy allows.
    pub(crate) fn streams_max(&self) -> usize {
        self.sender.current_max_send_streams()
    }

    /// Returns true if the connection is still up.
    pub(crate) fn is_open(&self) -> bool {
        !self.connection.is_finished()
    }

    /// Waits until the proxy ends the connection.
    pub(crate) async fn ended(self) -> Result<(), h2::Error> {
        drop(self.sender);
        within("the end of the HTTP/2 connection", self.connection)
            .await
            .expect("no panic")
    }
}

/// Reads a whole answer; a reset in its body is told by [`Answer::end`].
pub(crate) async fn answer(response: ResponseFuture) -> Result<Answer, H2Fault> {
    let response = within("an HTTP/2 answer", response).await?;
    let (head, mut body) = response.into_parts();
    let (bytes, trailers, end) = within("an HTTP/2 body", read(&mut body)).await;
    Ok(Answer {
        version: "HTTP/2.0".to_owned(),
        status: head.status.as_u16(),
        fields: Fields::from(&head.headers),
        body: bytes,
        trailers: Fields::from(&trailers),
        end,
        informational: Vec::new(),
    })
}

async fn read(body: &mut RecvStream) -> (Vec<u8>, HeaderMap, End) {
    let mut bytes = Vec::new();
    while let Some(next) = body.data().await {
        match next {
            Ok(data) => {
                let _ = body.flow_control().release_capacity(data.len());
                bytes.extend_from_slice(&data);
            }
            Err(error) if error.is_reset() => return (bytes, HeaderMap::new(), End::Reset),
            Err(_) => return (bytes, HeaderMap::new(), End::Closed),
        }
    }
    match body.trailers().await {
        Ok(trailers) => (bytes, trailers.unwrap_or_default(), End::Complete),
        Err(_) => (bytes, HeaderMap::new(), End::Reset),
    }
}

impl From<h2::Error> for H2Fault {
    fn from(error: h2::Error) -> Self {
        match error.reason() {
            Some(reason) if error.is_reset() => Self::Reset(reason),
            _ => Self::Gone(error.to_string()),
        }
    }
}
