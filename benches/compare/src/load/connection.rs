//! One connection of the generator.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind},
    time::Instant,
};

use mio::{Interest, Registry, Token};

use super::{Fault, Version, Work, http1::Http1, http2::Http2, transport::Transport};

/// A connection and the requests under way on it.
pub(crate) struct Connection {
    at: usize,
    transport: Transport,
    protocol: Protocol,
    /// Bytes to write, from `written` on, and bytes of a body after them.
    out: Vec<u8>,
    written: usize,
    body: u64,
    /// When the requests under way were due, the oldest first.
    under_way: VecDeque<Instant>,
    /// Whether the proxy has only to close it.
    finished: bool,
}

enum Protocol {
    Http1(Http1),
    Http2(Http2),
}

impl Connection {
    /// Connects; the first request follows when the connection is there.
    pub(crate) fn open(at: usize, work: &Work<'_>, registry: &Registry) -> io::Result<Self> {
        let tls = work.target.tls.as_ref();
        let mut transport = Transport::connect(work.target.address, tls)?;
        let both = Interest::READABLE | Interest::WRITABLE;
        registry.register(transport.stream(), Token(at), both)?;
        let mut out = Vec::new();
        let protocol = match work.load.version {
            Version::Http1 => Protocol::Http1(Http1::default()),
            Version::Http2 { .. } => {
                let request = &work.load.requests[0];
                Protocol::Http2(Http2::new(request, tls.is_some(), &mut out))
            }
            Version::Http3 { .. } => return Err(io::Error::other("HTTP/3 has no TCP")),
        };
        Ok(Self {
            at,
            transport,
            protocol,
            out,
            written: 0,
            body: 0,
            under_way: VecDeque::new(),
            finished: false,
        })
    }

    /// Goes on as far as it can; a connection that is over is replaced.
    pub(crate) fn go_on(&mut self, work: &mut Work<'_>, registry: &Registry) -> io::Result<()> {
        loop {
            let Err(stopped) = self.proceed(work) else {
                continue;
            };
            let fault = match stopped {
                Stop::Wait => return Ok(()),
                Stop::Error(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    return Err(error);
                }
                Stop::Closed => Fault("closed before the answer was whole"),
                Stop::Error(_) => Fault("the connection failed"),
                Stop::Fault(fault) => fault,
            };
            // Between two requests a connection may end.
            if !self.under_way.is_empty() {
                work.failed(self.under_way.len(), fault);
            }
            if work.left == 0 {
                return Ok(());
            }
            *self = Self::open(self.at, work, registry)?;
        }
    }

    /// Begins what may begin, writes what fits, and reads once.
    fn proceed(&mut self, work: &mut Work<'_>) -> Result<(), Stop> {
        self.begin(work);
        self.write(work)?;
        let count = match self.transport.read(&mut work.buffer) {
            Ok(0) => return Err(Stop::Closed),
            Ok(count) => count,
            Err(error) => {
                // What came may have ended a handshake, so that there is something to write.
                self.write(work)?;
                return Err(error.into());
            }
        };
        work.outcome.bytes += count as u64;
        let bytes = &work.buffer[..count];
        let ended = match &mut self.protocol {
            Protocol::Http1(protocol) => protocol.receive(bytes),
            Protocol::Http2(protocol) => protocol.receive(bytes, &mut self.out),
        };
        for _ in 0..ended.map_err(Stop::Fault)? {
            let due = self.under_way.pop_front();
            work.done(due);
            self.finished = work.load.close;
        }
        Ok(())
    }

    fn begin(&mut self, work: &mut Work<'_>) {
        let at_once = match work.load.version {
            Version::Http1 => 1,
            Version::Http2 { streams } | Version::Http3 { streams } => streams,
        };
        while self.under_way.len() < at_once && !self.finished {
            let Some((request, due)) = work.begin(self.at) else {
                return;
            };
            self.under_way.push_back(due);
            match &mut self.protocol {
                Protocol::Http1(_) => {
                    self.out.extend_from_slice(work.heads[request].as_bytes());
                    self.body = work.load.requests[request].body;
                    // A small body goes out with its head.
                    if let Some(body) = work.filling.get(..self.body as usize)
                        && body.len() <= SMALL
                    {
                        self.out.extend_from_slice(body);
                        self.body = 0;
                    }
                }
                Protocol::Http2(protocol) => protocol.send(&mut self.out),
            }
        }
    }

    fn write(&mut self, work: &mut Work<'_>) -> Result<(), Stop> {
        while self.written < self.out.len() {
            match self.transport.write(&self.out[self.written..]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                written => self.written += written?,
            }
        }
        self.out.clear();
        self.written = 0;
        while self.body > 0 {
            let piece = work
                .filling
                .len()
                .min(usize::try_from(self.body).unwrap_or(usize::MAX));
            match self.transport.write(&work.filling[..piece]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                written => {
                    let written = written? as u64;
                    self.body -= written;
                    work.outcome.bytes += written;
                }
            }
        }
        Ok(self.transport.flush()?)
    }
}

/// Why it does not go on.
enum Stop {
    /// Until the system says that it can.
    Wait,
    Closed,
    Error(io::Error),
    Fault(Fault),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::NotConnected => Self::Wait,
            ErrorKind::UnexpectedEof => Self::Closed,
            _ => Self::Error(error),
        }
    }
}

/// Bytes of a body that are sent in one piece with the head.
const SMALL: usize = 64 * 1024;
