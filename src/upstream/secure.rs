//! TLS with an endpoint: the handshake on a new connection, and the failures that TLS errors mean
//! for a request.
//!
//! Nothing of a request has been written before the end of the handshake: its failure is one of
//! connecting, and the request may go elsewhere.

use std::io;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};
use tokio_rustls::client::TlsStream;

use super::{endpoint::Endpoint, pool::Pool, shared::PoolShared};
use crate::{
    failure::Failure,
    socket::Stream,
    timer,
    tls::{self, Alpn, ClientTls},
};

/// Makes a TLS session on a stream; returns it and whether HTTP/2 was negotiated.
///
/// # Errors
/// [`Failure::TlsCertificate`], [`Failure::TlsProtocol`], or the failure of the connection.
pub(super) async fn secure(
    pool: &Pool,
    tls: &ClientTls,
    stream: Stream,
    endpoint: &Endpoint,
    alpn: Alpn,
    deadline: Instant,
) -> Result<(Stream, bool), Failure> {
    let host = endpoint.host();
    // Large while it lasts, and gone before the request is sent.
    let shaking = Box::pin(timer::until(deadline, shake(tls, stream, &host, alpn)));
    let secured = shaking.await.map_err(|_| Failure::ConnectTimeout)?;
    let (session, http2) = secured.map_err(|error| {
        let failure = failure_of(&error);
        tell(&pool.shared, &endpoint.label, failure, &error);
        failure
    })?;
    Ok((Stream::Tls(Box::new(session.into())), http2))
}

/// Does the handshake with an endpoint, for requests and for health checks; returns the session
/// and whether HTTP/2 was negotiated.
///
/// # Errors
/// The error of the handshake, or that HTTP/2 was needed and is not spoken.
pub(super) async fn shake<S>(
    tls: &ClientTls,
    stream: S,
    host: &str,
    alpn: Alpn,
) -> io::Result<(TlsStream<S>, bool)>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let session = tls.connect(stream, host, alpn).await?;
    let http2 = session.get_ref().1.alpn_protocol() == Some(b"h2");
    if alpn == Alpn::Http2 && !http2 {
        return Err(io::Error::new(NO_HTTP2, "the endpoint did not agree on h2"));
    }
    Ok((session, http2))
}

/// Returns the failure of a request on a connection that broke after the handshake: that of TLS,
/// such as an alert, which is logged; else `otherwise`.
pub(super) fn failure_behind(
    pool: &PoolShared,
    endpoint: &str,
    error: &io::Error,
    otherwise: Failure,
) -> Failure {
    if !tls::is_protocol_fault(error) {
        return otherwise;
    }
    tell(pool, endpoint, Failure::TlsProtocol, error);
    Failure::TlsProtocol
}

fn failure_of(error: &io::Error) -> Failure {
    if tls::is_certificate_fault(error) {
        Failure::TlsCertificate
    } else if tls::is_protocol_fault(error) || error.kind() == NO_HTTP2 {
        Failure::TlsProtocol
    } else {
        Failure::ConnectionClosed
    }
}

/// Logs the cause, which the word of the failure does not tell: at most every few seconds for each
/// endpoint and cause, since a wrong certificate fails every request.
fn tell(pool: &PoolShared, endpoint: &str, failure: Failure, error: &io::Error) {
    let kind = (endpoint.to_owned(), failure);
    if let Some(passed_over) = pool.tls_told.due(kind, Instant::now()) {
        tracing::warn!(
            pool = %pool.name, %endpoint, %error, passed_over,
            "TLS with an endpoint failed"
        );
    }
}

/// Kind of the error of [`shake`] where HTTP/2 is needed and not spoken; no handshake has it.
const NO_HTTP2: io::ErrorKind = io::ErrorKind::Unsupported;
