//! The HTTP check: one GET over a new connection, RFC 9110 section 9.3.1; the status decides.

use std::{convert::Infallible, future::Future, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header, uri::PathAndQuery};
use http_body_util::{BodyExt, Empty};
use hyper::{body::Incoming, client::conn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::Instant;

use super::{
    BoxFuture, Dial, InvalidCheck, Probe, ProbeFailure, ProbeTarget, attentive::Attentive, until,
};
use crate::config::value::StatusSet;

/// HTTP version of the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpVersion {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2, by prior knowledge or as the connection agreed on.
    Http2,
}

/// Requests a path and passes on the statuses of a set.
pub struct HttpProbe {
    path: PathAndQuery,
    status: StatusSet,
    host: Option<HeaderValue>,
    version: HttpVersion,
    dial: Arc<dyn Dial>,
}

impl HttpProbe {
    /// Returns a probe of this path.
    ///
    /// # Errors
    ///
    /// If the path does not start with a slash or either value cannot be sent.
    pub fn new(
        path: &str,
        status: StatusSet,
        host: Option<&str>,
        version: HttpVersion,
        dial: Arc<dyn Dial>,
    ) -> Result<Self, InvalidCheck> {
        let absolute = path.starts_with('/') && !path.contains('#');
        let parsed = if absolute {
            PathAndQuery::try_from(path).ok()
        } else {
            None
        };
        let parsed = parsed.ok_or_else(|| InvalidCheck::Path(path.to_owned()))?;
        let host = match host.filter(|host| !host.is_empty()) {
            Some(host) => Some(authority(host).ok_or_else(|| InvalidCheck::Host(host.to_owned()))?),
            None => None,
        };
        Ok(Self {
            path: parsed,
            status,
            host,
            version,
            dial,
        })
    }

    async fn ask(&self, target: &ProbeTarget) -> Result<(), ProbeFailure> {
        let (socket, heard) = Attentive::new(self.dial.dial(target).await?);
        let host = match &self.host {
            Some(host) => host.clone(),
            // A Unix socket's path is no authority.
            None => authority(&target.host).unwrap_or(HeaderValue::from_static("localhost")),
        };
        let asked = match self.version {
            HttpVersion::Http1 => self.ask_http1(socket, host, target).await,
            HttpVersion::Http2 => self.ask_http2(socket, &host).await,
        };
        asked.map_err(|failure| heard.explain(failure))
    }

    async fn ask_http1(
        &self,
        socket: Attentive,
        host: HeaderValue,
        target: &ProbeTarget,
    ) -> Result<(), ProbeFailure> {
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.uri_mut() = Uri::from(self.path.clone());
        request.headers_mut().insert(header::HOST, host);
        request.headers_mut().insert(header::USER_AGENT, USER_AGENT);
        request
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
        let (mut sender, connection) = conn::http1::handshake(TokioIo::new(socket))
            .await
            .map_err(told)?;
        alongside(connection, async {
            let response = sender.send_request(request).await.map_err(told)?;
            target.answered_in(response.version());
            self.judge(response).await
        })
        .await
    }

    async fn ask_http2(&self, socket: Attentive, host: &HeaderValue) -> Result<(), ProbeFailure> {
        let uri = Uri::builder()
            .scheme(self.dial.scheme().as_str())
            .authority(host.as_bytes())
            .path_and_query(self.path.clone());
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.uri_mut() = uri.build().map_err(|_| ProbeFailure::Malformed)?;
        request.headers_mut().insert(header::USER_AGENT, USER_AGENT);
        let connecting = conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket));
        let (mut sender, connection) = connecting.await.map_err(told)?;
        alongside(connection, async {
            self.judge(sender.send_request(request).await.map_err(told)?)
                .await
        })
        .await
    }

    /// Judges a response: a passing status must come with a complete body, or with as much of it as
    /// is read.
    async fn judge(&self, response: Response<Incoming>) -> Result<(), ProbeFailure> {
        let status = response.status();
        if !self.status.contains(status) {
            return Err(ProbeFailure::Status(status.as_u16()));
        }
        let mut body = response.into_body();
        let mut left = BODY_MAX;
        while let Some(frame) = body.frame().await {
            let length = frame.map_err(told)?.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => break,
            }
        }
        Ok(())
    }
}

impl Probe for HttpProbe {
    fn probe<'a>(
        &'a self,
        target: &'a ProbeTarget,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<(), ProbeFailure>> {
        Box::pin(until(deadline, self.ask(target)))
    }
}

/// Drives the connection in the same task, so that giving up drops both.
pub(super) async fn alongside<T>(
    connection: impl Future<Output = hyper::Result<()>>,
    ask: impl Future<Output = Result<T, ProbeFailure>>,
) -> Result<T, ProbeFailure> {
    let driven = async {
        // Its end, good or bad, is told to the request; what it says itself is of no use.
        let _ = connection.await;
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        answer = ask => answer,
        never = driven => match never {},
    }
}

/// Describes a library's error in words for operators.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err wants"
)]
pub(super) fn told(error: hyper::Error) -> ProbeFailure {
    if error.is_parse() {
        ProbeFailure::Malformed
    } else {
        ProbeFailure::CutShort
    }
}

/// Returns the value for Host, if it is an authority.
pub(super) fn authority(host: &str) -> Option<HeaderValue> {
    host.parse::<http::uri::Authority>().ok()?;
    HeaderValue::try_from(host).ok()
}

pub(super) const USER_AGENT: HeaderValue = HeaderValue::from_static("sluicegate-health");
/// Maximum number of body bytes read: a check does not need whole pages.
const BODY_MAX: usize = 64 * 1024;
