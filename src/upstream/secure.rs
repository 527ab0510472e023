//! TLS with an endpoint: the handshake on a new connection, and the failures that TLS errors mean
//! for a request.
//!
//! Nothing of a request has been written before the end of the handshake: its failure is one of
//! connecting, and the request may go elsewhere.

use std::io;

use tokio::time::Instant;

use super::{pool::Pool, shared::PoolShared};
use crate::{
    config::value::EndpointAddress,
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
    address: &EndpointAddress,
    alpn: Alpn,
    deadline: Instant,
) -> Result<(Stream, bool), Failure> {
    let host = address.host();
    // Large while it lasts, and gone before the request is sent.
    let shaking = Box::pin(timer::until(deadline, tls.connect(stream, &host, alpn)));
    let secured = shaking
        .await
        .map_err(|_| Failure::ConnectTimeout)?
        .map_err(|error| {
            let failure = failure_of(&error);
            tell(&pool.shared, &address.to_string(), failure, &error);
            failure
        })?;
    let http2 = secured.get_ref().1.alpn_protocol() == Some(b"h2");
    if alpn == Alpn::Http2 && !http2 {
        let error = io::Error::other("the endpoint did not agree on h2");
        let failure = Failure::TlsProtocol;
        tell(&pool.shared, &address.to_string(), failure, &error);
        return Err(failure);
    }
    Ok((Stream::Tls(Box::new(secured.into())), http2))
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
    } else if tls::is_protocol_fault(error) {
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
