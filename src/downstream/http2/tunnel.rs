//! A stream as a byte stream in both directions, after an extended CONNECT.

use std::{
    cell::Cell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{session::SharedSession, stream::SharedStream};
use crate::semantics::Frame;

/// Bytes of a stream. Dropping it does not end the stream.
#[derive(Debug)]
pub(crate) struct StreamBytes {
    session: SharedSession,
    stream: SharedStream,
    /// Bytes taken off the stream and not read yet.
    rest: Bytes,
    /// Bytes appended on the connection up to the last bytes of this stream.
    last: Rc<Cell<u64>>,
}

impl StreamBytes {
    pub(crate) fn new(session: &SharedSession, stream: &SharedStream) -> Self {
        Self {
            session: Rc::clone(session),
            stream: Rc::clone(stream),
            rest: Bytes::new(),
            last: Rc::default(),
        }
    }

    /// Bytes appended on the connection up to the last bytes of this stream.
    pub(crate) fn last(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.last)
    }

    fn poll_over(&self, cx: &Context<'_>) -> Poll<io::Error> {
        let over = self.stream.poll_over(cx);
        over.map(|()| io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for StreamBytes {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            let polled = {
                let mut session = self.session.borrow_mut();
                session.poll_body(&self.stream, cx)
            };
            match ready!(polled) {
                Some(Ok(Frame::Data(data))) => self.rest = data,
                // A tunnel has no room for them.
                Some(Ok(Frame::Trailers(_))) => {}
                // Who has enough of a tunnel may say so with a reset, too.
                Some(Err(_)) if self.stream.is_left() => return Poll::Ready(Ok(())),
                Some(Err(_)) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest[..count]);
        self.rest.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for StreamBytes {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(error) = self.poll_over(cx) {
            return Poll::Ready(Err(error));
        }
        let mut session = self.session.borrow_mut();
        let mut piece = bytes;
        let _ = session.poll_send(&self.stream, &mut piece, false);
        match bytes.len() - piece.len() {
            0 if !bytes.is_empty() => Poll::Pending,
            count => {
                self.last.set(session.io.appended());
                Poll::Ready(Ok(count))
            }
        }
    }

    /// Does nothing: the connection flushes by itself.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.stream.local_ended.get() {
            return Poll::Ready(Ok(()));
        }
        if let Poll::Ready(error) = self.poll_over(cx) {
            return Poll::Ready(Err(error));
        }
        let mut session = self.session.borrow_mut();
        let sent = session.poll_send(&self.stream, &mut &[][..], true);
        sent.map(Ok)
    }
}
