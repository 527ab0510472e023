//! A check's connection that remembers a TLS fault: a TLS 1.3 endpoint refuses the proxy's
//! certificate only after the handshake, when the check already speaks HTTP.

use std::{
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{ProbeFailure, Socket};
use crate::tls;

/// A connection that notes the reason of a TLS failure.
pub(super) struct Attentive {
    socket: Box<dyn Socket>,
    heard: Heard,
    /// Writing has failed.
    deaf: bool,
}

/// The note.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<OnceLock<Box<str>>>);

impl Heard {
    /// Returns a better description of the failure if TLS failed under it.
    pub(super) fn explain(&self, failure: ProbeFailure) -> ProbeFailure {
        match self.0.get() {
            Some(fault) => ProbeFailure::Tls(fault.clone()),
            None => failure,
        }
    }

    fn note(&self, error: &io::Error) {
        if tls::is_protocol_fault(error) {
            let _ = self.0.set(error.to_string().into());
        }
    }
}

impl Attentive {
    /// Wraps a connection that was just opened.
    pub(super) fn new(socket: Box<dyn Socket>) -> (Self, Heard) {
        let heard = Heard::default();
        let noted = heard.clone();
        let attentive = Self {
            socket,
            heard,
            deaf: false,
        };
        (attentive, noted)
    }

    /// Passes on the result of a write, except its failure: the alert with the reason may wait to
    /// be read. Nothing more is sent then.
    fn written<T>(&mut self, wrote: Poll<io::Result<T>>, swallowed: T) -> Poll<io::Result<T>> {
        match wrote {
            Poll::Ready(Err(_)) => {
                self.deaf = true;
                Poll::Ready(Ok(swallowed))
            }
            other => other,
        }
    }
}

impl AsyncRead for Attentive {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.socket).poll_read(cx, buffer);
        if let Poll::Ready(Err(error)) = &read {
            self.heard.note(error);
        }
        read
    }
}

impl AsyncWrite for Attentive {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.deaf {
            return Poll::Ready(Ok(bytes.len()));
        }
        let wrote = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.written(wrote, bytes.len())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.deaf {
            return Poll::Ready(Ok(()));
        }
        let flushed = Pin::new(&mut self.socket).poll_flush(cx);
        self.written(flushed, ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
