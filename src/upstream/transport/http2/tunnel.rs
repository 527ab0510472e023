//! A stream as a byte stream in both directions, after an extended CONNECT.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use h2::{Reason, RecvStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::sender::OpenStream;

/// Bytes of a stream. Reset if dropped before both directions have ended.
pub(super) struct StreamBytes {
    stream: OpenStream,
    receiver: RecvStream,
    /// Bytes taken off the stream and not read yet.
    rest: Bytes,
}

impl StreamBytes {
    pub(super) fn new(stream: OpenStream, receiver: RecvStream) -> Self {
        Self {
            stream,
            receiver,
            rest: Bytes::new(),
        }
    }
}

impl AsyncRead for StreamBytes {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.rest.is_empty() {
            match ready!(this.receiver.poll_data(cx)) {
                Some(Ok(data)) => this.rest = data,
                // Who has enough of a tunnel may say so with a reset, too.
                Some(Err(error))
                    if matches!(error.reason(), Some(Reason::NO_ERROR | Reason::CANCEL)) =>
                {
                    this.stream.received_all = true;
                    return Poll::Ready(Ok(()));
                }
                Some(Err(_)) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                None => {
                    this.stream.received_all = true;
                    return Poll::Ready(Ok(()));
                }
            }
        }
        let count = this.rest.len().min(buffer.remaining());
        buffer.put_slice(&this.rest[..count]);
        this.rest.advance(count);
        // Can only fail for a stream that has gone.
        let _ = this.receiver.flow_control().release_capacity(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for StreamBytes {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sender = &mut self.get_mut().stream.out;
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        sender.reserve_capacity(bytes.len());
        while sender.capacity() == 0 {
            match ready!(sender.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        let count = sender.capacity().min(bytes.len());
        let piece = Bytes::copy_from_slice(&bytes[..count]);
        let sent = sender.send_data(piece, false);
        Poll::Ready(match sent {
            Ok(()) => Ok(count),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        })
    }

    /// Does nothing: the connection flushes by itself.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = &mut self.get_mut().stream;
        if stream.sent_all {
            return Poll::Ready(Ok(()));
        }
        stream.sent_all = true;
        let sent = stream.out.send_data(Bytes::new(), true);
        Poll::Ready(sent.map_err(|_| io::ErrorKind::BrokenPipe.into()))
    }
}

impl fmt::Debug for StreamBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamBytes").finish_non_exhaustive()
    }
}
