//! TLS handshake with a client, before any byte of HTTP (RFC 8446 section 4).
//!
//! The first byte is peeked at: a client that speaks plain HTTP to a TLS port gets an answer that
//! it can read.

use std::{
    io,
    rc::Rc,
    sync::{Arc, LazyLock},
};

use tokio::time::Instant;

use crate::{
    socket::Stream,
    telemetry::log::LogLimit,
    timer,
    tls::{self, ServerTls, Session},
    worker::Connection,
};

/// Result of a handshake.
pub(super) enum Shaken {
    /// The established session.
    Secure(Stream, Rc<Session>),
    /// The client speaks plain HTTP.
    Plain(Stream),
    /// It failed; the connection cannot be used.
    Failed,
}

/// Does the handshake within the listener's timeout.
pub(super) async fn shake(connection: &Connection, stream: Stream, tls: &ServerTls) -> Shaken {
    let listener = connection.known_listener();
    let deadline = connection.since + listener.timeouts.handshake;
    let metrics = connection.worker.metrics();
    // Large while it lasts, and gone before the connection is served.
    let begun = Box::pin(timer::until(deadline, begin(stream, tls))).await;
    let Ok(shaken) = begun else {
        metrics.handshake(&listener.name, "late");
        return Shaken::Failed;
    };
    match shaken {
        Ok(Some(shaken)) => {
            let result = match &shaken {
                Shaken::Secure(_, session) if session.resumed => "resumed",
                Shaken::Secure(..) => "full",
                Shaken::Plain(_) => "not_tls",
                Shaken::Failed => "failed",
            };
            metrics.handshake(&listener.name, result);
            shaken
        }
        // It connected and left, as checks of load balancers do.
        Ok(None) => Shaken::Failed,
        Err(error) => {
            tell(connection, &listener.name, &error);
            metrics.handshake(&listener.name, "failed");
            Shaken::Failed
        }
    }
}

/// Logs the cause: at most every few seconds for each listener and cause, since clients can cause
/// failures at any rate.
fn tell(connection: &Connection, listener: &Arc<str>, error: &io::Error) {
    let cause = if tls::is_client_certificate_fault(error) {
        Cause::Certificate
    } else if tls::is_protocol_fault(error) {
        Cause::Protocol
    } else {
        // It connected and left, or its network did.
        tracing::debug!(%listener, client = %connection.peer(), %error, "TLS handshake failed");
        return;
    };
    if let Some(passed_over) = TOLD.due((Arc::clone(listener), cause), Instant::now()) {
        let why = tls::revocation_fault(error);
        tracing::warn!(
            %listener, client = %connection.peer(), %error, why, passed_over,
            "TLS handshake with a client failed"
        );
    }
}

/// Causes that are logged separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Cause {
    /// The client's certificate was refused or missing.
    Certificate,
    /// Any other violation of TLS.
    Protocol,
}

static TOLD: LazyLock<LogLimit<(Arc<str>, Cause)>> = LazyLock::new(LogLimit::default);

async fn begin(stream: Stream, tls: &ServerTls) -> io::Result<Option<Shaken>> {
    match stream.peek().await? {
        None => return Ok(None),
        // Methods are upper case; a ClientHello begins with another byte.
        Some(b'A'..=b'Z') => return Ok(Some(Shaken::Plain(stream))),
        Some(_) => {}
    }
    let secured = tls.acceptor().accept(stream).await?;
    let (_, state) = secured.get_ref();
    if tls::is_verification(state) {
        // A CA that verifies a name has seen all that it wants.
        return Ok(None);
    }
    let session = Rc::new(Session::new(state, state.server_name()));
    let stream = Stream::Tls(Box::new(secured.into()));
    Ok(Some(Shaken::Secure(stream, session)))
}

/// The first byte of a TLS record that begins a handshake (RFC 8446 section 5.1).
pub(super) const HANDSHAKE: u8 = 0x16;
