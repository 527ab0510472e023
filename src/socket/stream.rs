//! A connected socket of any kind, matched statically.

use std::{
    fmt, io,
    net::SocketAddr,
    os::fd::AsFd,
    pin::Pin,
    task::{Context, Poll, ready},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{SendAncillaryBuffer, SendFlags, sendmsg},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::TlsStream;

use super::SendQueue;

/// A byte stream in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + fmt::Debug {}

impl<T: AsyncRead + AsyncWrite + Unpin + fmt::Debug> Duplex for T {}

/// A connected byte stream.
#[derive(Debug)]
pub enum Stream {
    /// TCP over IPv4 or IPv6, `TCP_NODELAY` set.
    Tcp(TcpStream),
    /// A unix socket.
    Unix(UnixStream),
    /// A stream of an HTTP/2 connection that has become a tunnel.
    Upgraded(Box<dyn Duplex>),
    /// A TLS session over one of the others; boxed, since it is many times their size.
    Tls(Box<TlsStream<Self>>),
}

impl Stream {
    /// Local address of the connection; none for a unix socket.
    pub fn local_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr().ok(),
            Self::Unix(_) | Self::Upgraded(_) => None,
            Self::Tls(session) => session.get_ref().0.local_address(),
        }
    }

    /// Is ready when a read may find bytes; at once if only a read can tell.
    ///
    /// # Errors
    /// The error of the runtime.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
            Self::Tls(_) | Self::Upgraded(_) => Poll::Ready(Ok(())),
        }
    }

    /// Writes bytes that the end of our direction follows at once: over TCP the kernel holds an
    /// incomplete packet until then, so that both leave in one packet. If the end does not follow,
    /// it holds them for 200 ms at most.
    ///
    /// # Errors
    /// The error of the socket.
    pub fn poll_write_last(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self::Tcp(stream) = self else {
            return Pin::new(self).poll_write_vectored(cx, slices);
        };
        loop {
            ready!(stream.poll_write_ready(cx))?;
            let written = stream.try_io(Interest::WRITABLE, || {
                let mut nothing = SendAncillaryBuffer::default();
                let written = sendmsg(&*stream, slices, &mut nothing, LAST)?;
                Ok(written)
            });
            match written {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    /// Does the same for the records of a TLS session, which the session writes by itself.
    pub fn hold_records(&self) {
        if let Self::Tls(session) = self
            && let Self::Tcp(stream) = session.get_ref().0
        {
            // Without it they leave one by one.
            let _ = socket2::SockRef::from(stream).set_tcp_cork(true);
        }
    }

    /// Closes so that the other side sees a reset instead of an end.
    ///
    /// For answers that were cut short: an orderly end could be taken for a
    /// complete message. A unix socket has no reset and is only closed.
    pub fn reset(&self) {
        match self {
            Self::Tcp(stream) => {
                let _ = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
            }
            Self::Unix(_) | Self::Upgraded(_) => {}
            Self::Tls(session) => session.get_ref().0.reset(),
        }
    }

    /// Returns true if the socket has an error that no call has reported yet, such as a reset.
    pub fn has_failed(&self) -> bool {
        match self {
            Self::Tcp(stream) => !matches!(stream.take_error(), Ok(None)),
            Self::Unix(stream) => !matches!(stream.take_error(), Ok(None)),
            Self::Upgraded(_) => false,
            Self::Tls(session) => session.get_ref().0.has_failed(),
        }
    }

    /// Returns true if the socket holds bytes that were not read yet. Costs a system call: for
    /// connections that are about to be closed.
    pub fn has_unread(&self) -> bool {
        fn is_some(socket: impl AsFd) -> bool {
            let look = rustix::net::RecvFlags::PEEK | rustix::net::RecvFlags::DONTWAIT;
            matches!(rustix::net::recv(socket, &mut [0; 1], look), Ok((1.., _)))
        }
        match self {
            Self::Tcp(stream) => is_some(stream),
            Self::Unix(stream) => is_some(stream),
            Self::Upgraded(_) => false,
            Self::Tls(session) => session.get_ref().0.has_unread(),
        }
    }

    /// Number of written bytes that the other side has not acknowledged; none if unknown. Costs a
    /// system call: for timers that have run out.
    pub fn unsent(&self) -> Option<u32> {
        self.send_queue()?.unsent()
    }

    /// A handle that reports the length of the send queue without the stream; none where that is
    /// unknown.
    pub fn send_queue(&self) -> Option<SendQueue> {
        match self {
            Self::Tcp(stream) => Some(SendQueue {
                local: stream.local_addr().ok()?,
                peer: stream.peer_addr().ok()?,
            }),
            Self::Unix(_) | Self::Upgraded(_) => None,
            Self::Tls(session) => session.get_ref().0.send_queue(),
        }
    }

    /// Returns true if the other side has ended its direction, though bytes before the end may wait
    /// to be read.
    pub fn has_hung_up(&self) -> bool {
        match self {
            Self::Tcp(stream) => is_hung_up(stream),
            Self::Unix(stream) => is_hung_up(stream),
            Self::Upgraded(_) => false,
            Self::Tls(session) => session.get_ref().0.has_hung_up(),
        }
    }

    /// Returns true if written bytes may still be here and not with the kernel, until a flush.
    pub fn holds_back(&self) -> bool {
        matches!(self, Self::Tls(_) | Self::Upgraded(_))
    }

    /// Waits for the first byte and leaves it in the socket; none at the end of the stream.
    ///
    /// # Errors
    /// As [`Self::peek_into`].
    pub async fn peek(&self) -> io::Result<Option<u8>> {
        let mut first = [0];
        let count = self.peek_into(&mut first).await?;
        Ok(first.first().copied().filter(|_| count > 0))
    }

    /// Waits for bytes, copies them and leaves them in the socket; returns their number, 0 at the
    /// end of the stream.
    ///
    /// # Errors
    /// The error of the socket. A TLS session has no byte to peek at before it is read.
    pub async fn peek_into(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let peek = rustix::net::RecvFlags::PEEK;
        match self {
            Self::Tcp(stream) => stream.peek(buffer).await,
            Self::Unix(stream) => {
                let looked = stream.async_io(Interest::READABLE, || {
                    let (count, _) = rustix::net::recv(stream, &mut *buffer, peek)?;
                    Ok(count)
                });
                looked.await
            }
            Self::Tls(_) | Self::Upgraded(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Upgraded(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(session) => Pin::new(session).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Upgraded(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(session) => Pin::new(session).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Upgraded(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(session) => Pin::new(session).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(_) | Self::Unix(_) => Poll::Ready(Ok(())),
            Self::Upgraded(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(session) => Pin::new(session).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Upgraded(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(session) => Pin::new(session).poll_shutdown(cx),
        }
    }
}

fn is_hung_up(socket: &impl AsFd) -> bool {
    let mut polled = [PollFd::new(socket, PollFlags::RDHUP)];
    let now = Timespec::default();
    poll(&mut polled, Some(&now)).is_ok()
        && polled[0]
            .revents()
            .intersects(PollFlags::RDHUP | PollFlags::HUP)
}

/// Flags of the last write before a close.
const LAST: SendFlags = SendFlags::MORE.union(SendFlags::NOSIGNAL);
