//! The TLS handshake with an endpoint, on a connection that has just been opened.
//!
//! Nothing of a request has been written before its end: a failure here is one of
//! connecting, and the request may go elsewhere.

use std::io;

use tokio::time::Instant;

use super::{endpoint::Address, pool::Pool};
use crate::{
    failure::Failure,
    socket::Stream,
    timer,
    tls::{self, Alpn, ClientTls},
};

/// Makes a TLS session of a stream: the session, and whether HTTP/2 was agreed on.
///
/// # Errors
/// [`Failure::TlsCertificate`], [`Failure::TlsProtocol`], or that of the connection.
pub(super) async fn secure(
    pool: &Pool,
    tls: &ClientTls,
    stream: Stream,
    address: &Address,
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
            tell(pool, address, &error);
            failure_of(&error)
        })?;
    let http2 = secured.get_ref().1.alpn_protocol() == Some(b"h2");
    if alpn == Alpn::Http2 && !http2 {
        let error = io::Error::other("the endpoint did not agree on h2");
        tell(pool, address, &error);
        return Err(Failure::TlsProtocol);
    }
    Ok((Stream::Tls(Box::new(secured.into())), http2))
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

/// Says why in the log, which the word of the failure cannot: at most every few seconds for
/// each endpoint and cause, since a wrong certificate fails every request.
fn tell(pool: &Pool, address: &Address, error: &io::Error) {
    let kind = (address.to_string(), failure_of(error));
    if let Some(passed_over) = pool.shared.tls_told.due(kind, Instant::now()) {
        tracing::warn!(
            pool = %pool.name, endpoint = %address, %error, passed_over,
            "TLS with an endpoint failed"
        );
    }
}
