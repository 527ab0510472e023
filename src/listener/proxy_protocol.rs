//! Client addresses from a PROXY protocol header, sent by a proxy in front of this one.
//!
//! The first step after the accept, before TLS and before any request. A header is required from
//! the peers that the listener names; from others it is not read, so that its bytes are a malformed
//! request.

use tokio::io::AsyncReadExt as _;

use crate::{
    proxy_protocol::{Header, parse},
    socket::Stream,
    state::Listener,
    timer,
    worker::Connection,
};

/// Reasons for the lack of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unheard {
    /// The first bytes are something else.
    Malformed,
    /// It did not come in time.
    Late,
    /// The peer left before it was complete.
    CutShort,
    /// The peer left without sending a byte, as port checks do.
    Silent,
}

/// Reads the header that the peer must send, and applies it. False: the connection has ended.
///
/// The bytes after the header stay in the socket, for TLS or HTTP.
pub(super) async fn introduce(
    connection: &Connection,
    listener: &Listener,
    stream: &mut Option<Stream>,
) -> bool {
    let senders = listener.proxy_protocol.as_ref();
    let says = senders.is_some_and(|senders| senders.contains(connection.peer()));
    let Some(stream) = stream.as_mut().filter(|_| says) else {
        return true;
    };
    let deadline = connection.since + listener.timeouts.handshake;
    // In memory of its own: the connection outlives it.
    let read = Box::pin(timer::until(deadline, read(stream))).await;
    match read.unwrap_or(Err(Unheard::Late)) {
        Ok(Header::Ends(ends)) => connection.stands_for(&ends),
        Ok(Header::Local | Header::Unknown) => {}
        Err(Unheard::Silent) => return false,
        Err(unheard) => {
            let reason = unheard.word();
            tracing::debug!(
                listener = %listener.name,
                peer = %connection.peer(),
                reason,
                "closed a connection without a PROXY protocol header"
            );
            connection.worker.metrics().proxy_protocol_failed(reason);
            return false;
        }
    }
    true
}

/// Reads a header and not one byte more: peeks at the received bytes, and takes only those of the
/// header.
async fn read(stream: &mut Stream) -> Result<Header, Unheard> {
    let mut header = Vec::new();
    let mut piece = [0; PIECE];
    loop {
        let before = header.len();
        let gone = if before == 0 {
            Unheard::Silent
        } else {
            Unheard::CutShort
        };
        let count = stream.peek_into(&mut piece).await.unwrap_or(0);
        if count == 0 {
            return Err(gone);
        }
        header.extend_from_slice(&piece[..count]);
        let parsed = parse(&header).map_err(|_| Unheard::Malformed)?;
        let taken = parsed.map_or(count, |(_, length)| length - before);
        // All of it is there: it was just looked at.
        if stream.read_exact(&mut piece[..taken]).await.is_err() {
            return Err(gone);
        }
        if let Some((header, _)) = parsed {
            return Ok(header);
        }
    }
}

impl Unheard {
    fn word(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Late => "late",
            Self::CutShort => "cut_short",
            Self::Silent => "silent",
        }
    }
}

/// Number of bytes peeked at once: enough for a usual header.
const PIECE: usize = 256;
