//! TLS handshake with a client, before any byte of HTTP (RFC 8446 section 4).
//!
//! The first byte is peeked at: a client that speaks plain HTTP to a TLS port gets an answer that
//! it can read.

use std::{io, rc::Rc};

use super::refused;
use crate::{
    socket::Stream,
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
    let watched = tls::watched(begin(stream, tls));
    let begun = Box::pin(timer::until(deadline, watched)).await;
    let Ok((shaken, refused)) = begun else {
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
            refused::tell_tls(connection, &listener.name, &error, refused.as_ref());
            metrics.handshake(&listener.name, "failed");
            Shaken::Failed
        }
    }
}

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
