//! A client's stream with a [`Meter`] on what it sends.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::http2_meter::Meter;
use crate::socket::Stream;

/// A stream that shows its meter every byte that it reads.
#[derive(Debug)]
pub(super) struct Metered {
    stream: Stream,
    meter: Rc<RefCell<Meter>>,
}

impl Metered {
    pub(super) fn new(stream: Stream, meter: &Rc<RefCell<Meter>>) -> Self {
        Self {
            stream,
            meter: Rc::clone(meter),
        }
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let mut meter = self.meter.borrow_mut();
        meter.feed(&buffer.filled()[before..], Instant::now());
        match meter.flood() {
            None => Poll::Ready(Ok(())),
            // The connection ends here; none of what was read is worth an answer.
            Some(_) => Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into())),
        }
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
