//! A stream as hyper wants it, with what was already read from it in front.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Stream, burst::Place};

/// A [`Stream`] for hyper's connections; bytes that were peeked at come first.
#[derive(Debug)]
pub struct HyperStream<S = Stream> {
    received: Bytes,
    stream: TokioIo<S>,
    place: Place,
    /// The turn to write has come, and lasts until hyper has nothing more to write.
    writing: bool,
}

impl<S> HyperStream<S> {
    /// Lends `stream` to hyper, with `received` in front of what it will read.
    pub fn new(stream: S, received: Bytes) -> Self {
        Self {
            received,
            stream: TokioIo::new(stream),
            place: Place::default(),
            writing: false,
        }
    }

    /// Is ready when it is time to write: with what others send, if the thread is busy.
    /// Until then more frames gather for the same write.
    fn poll_turn(&mut self, cx: &Context<'_>) -> Poll<()> {
        if !self.writing {
            ready!(self.place.poll_send(cx));
            self.writing = true;
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> Read for HyperStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.received.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buffer);
        }
        let count = this.received.len().min(buffer.remaining());
        buffer.put_slice(&this.received[..count]);
        this.received.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Write for HyperStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_turn(cx));
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writing = false;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_turn(cx));
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }
}
