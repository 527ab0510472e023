//! One TCP connection with a read buffer: heads and bodies of HTTP/1.1, for
//! both the client and the upstream server of the tests.

use std::io::{self, ErrorKind};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::message::{Fields, parse_head};

/// End of a body or connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As the framing announced.
    Complete,
    /// The other side closed.
    Closed,
    /// The other side reset the connection.
    Reset,
    /// The bytes are not what the framing demands.
    Garbled,
}

/// Framing of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    None,
    /// After this many bytes.
    Length(usize),
    /// After the last chunk.
    Chunked,
    /// At the close of the connection.
    UntilClose,
}

/// Part of a body that was read.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) trailers: Fields,
    pub(crate) end: End,
}

/// The connection, plain or with something in between.
pub(crate) struct Wire<S = TcpStream> {
    stream: S,
    buffer: BytesMut,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        // Small writes of a script must not wait for each other.
        let _ = stream.set_nodelay(true);
        Self::over(stream)
    }

    /// Waits until there is at least one byte, without reading it off the socket.
    pub(crate) async fn first_byte(&self) {
        if self.buffer.is_empty() {
            let _ = self.stream.peek(&mut [0]).await;
        }
    }

    /// Sends these bytes and the FIN in one segment.
    pub(crate) async fn send_last(&mut self, bytes: &[u8]) -> io::Result<()> {
        rustix::net::sockopt::set_tcp_cork(&self.stream, true)?;
        self.send(bytes).await?;
        self.stream.shutdown().await
    }

    /// Ends the connection with a RST.
    pub(crate) fn reset(self) {
        let _ = self.stream.set_zero_linger();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Reads up to the empty line; `None` if the connection ended before.
    pub(crate) async fn head(&mut self) -> Result<Bytes, End> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                return Ok(self.buffer.split_to(at + 4).freeze());
            }
            self.fill().await?;
        }
    }

    /// Reads a whole body and keeps it.
    pub(crate) async fn body(&mut self, framing: Framing) -> Body {
        let mut bytes = Vec::new();
        let keep = &mut |piece: &[u8]| bytes.extend_from_slice(piece);
        let (trailers, end) = self.pour(framing, keep).await;
        Body {
            bytes,
            trailers,
            end,
        }
    }

    /// Reads a whole body without keeping it: each piece goes to `sink`.
    pub(crate) async fn pour(
        &mut self,
        framing: Framing,
        sink: &mut impl FnMut(&[u8]),
    ) -> (Fields, End) {
        let mut trailers = Fields::default();
        let end = match framing {
            Framing::None => Ok(()),
            Framing::Length(length) => self.pour_some(length, sink).await,
            Framing::Chunked => self.chunks(sink, &mut trailers).await,
            Framing::UntilClose => match self.pour_some(usize::MAX, sink).await {
                Err(End::Closed) => Ok(()),
                other => other,
            },
        };
        (trailers, end.err().unwrap_or(End::Complete))
    }

    /// Reads exactly this many bytes; keeps those read if it ends before.
    pub(crate) async fn take(&mut self, length: usize, into: &mut Vec<u8>) -> Result<(), End> {
        let keep = &mut |piece: &[u8]| into.extend_from_slice(piece);
        self.pour_some(length, keep).await
    }

    async fn pour_some(&mut self, length: usize, sink: &mut impl FnMut(&[u8])) -> Result<(), End> {
        let mut left = length;
        loop {
            let now = left.min(self.buffer.len());
            sink(&self.buffer[..now]);
            self.buffer.advance(now);
            left -= now;
            if left == 0 {
                return Ok(());
            }
            self.fill().await?;
        }
    }

    /// Reads and drops everything until the other side ends the connection.
    pub(crate) async fn until_end(&mut self) -> End {
        loop {
            self.buffer.clear();
            if let Err(end) = self.fill().await {
                return end;
            }
        }
    }

    /// Echoes the received bytes, until the other side ends.
    pub(crate) async fn echo(&mut self) {
        loop {
            let bytes = self.buffer.split();
            if self.send(&bytes).await.is_err() || self.fill().await.is_err() {
                return;
            }
        }
    }

    /// Ends its own direction, and keeps reading possible.
    pub(crate) async fn half_close(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    async fn chunks(
        &mut self,
        sink: &mut impl FnMut(&[u8]),
        trailers: &mut Fields,
    ) -> Result<(), End> {
        loop {
            let line = self.line().await?;
            let digits = line.split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(digits, 16).map_err(|_| End::Garbled)?;
            if size == 0 {
                break;
            }
            self.pour_some(size, sink).await?;
            if !self.line().await?.is_empty() {
                return Err(End::Garbled);
            }
        }
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok(());
            }
            let (name, value) = line.split_once(':').ok_or(End::Garbled)?;
            trailers.push(name, value.trim());
        }
    }

    async fn line(&mut self) -> Result<String, End> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                let line = super::message::latin1(&self.buffer[..at]);
                self.buffer.advance(at + 2);
                return Ok(line);
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), End> {
        if self.buffer.is_empty() {
            self.buffer.reserve(READ_MAX);
        }
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) => Err(End::Closed),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Err(End::Reset),
            Err(_) => Err(End::Closed),
        }
    }
}

/// The framing that the fields of a request announce.
pub(crate) fn request_framing(fields: &Fields) -> Framing {
    if fields.has("transfer-encoding") {
        return Framing::Chunked;
    }
    match fields.get("content-length").map(str::parse) {
        Some(Ok(length)) => Framing::Length(length),
        _ => Framing::None,
    }
}

/// The framing of an answer to `method` (RFC 9112 section 6.3).
pub(crate) fn answer_framing(method: &str, status: u16, fields: &Fields) -> Framing {
    if method == "HEAD" || status == 204 || status == 304 || status < 200 {
        return Framing::None;
    }
    match request_framing(fields) {
        Framing::None => Framing::UntilClose,
        other => other,
    }
}

/// Splits the head of a message; bytes that are not a head count as a garbled end.
pub(crate) fn split(head: &[u8]) -> Result<(String, String, String, Fields), End> {
    parse_head(head).ok_or(End::Garbled)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

/// Maximum size of a read: a large body must not arrive in tiny reads.
const READ_MAX: usize = 256 << 10;
