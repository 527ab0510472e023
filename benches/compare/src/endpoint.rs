//! The service behind the proxies: one thread, one socket, as many addresses as are asked for.
//!
//! All of 127.0.0.0/8 leads to this machine, so one listening socket is 10,000 endpoints.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr},
    thread,
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};

use crate::{
    message::{self, Content},
    system,
};

/// Starts it on a processor; it runs to the end of the process. Gives its port.
pub(crate) fn start(processor: Option<usize>) -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0).into())?;
    // The usual queue is shorter than what a proxy with 10,000 clients opens at once.
    rustix::net::listen(&listener, 32_768)?;
    let port = listener.local_addr()?.port();
    thread::Builder::new()
        .name("endpoint".to_owned())
        .spawn(move || {
            let served = processor
                .map_or(Ok(()), |processor| system::pin([processor]))
                .and_then(|()| serve(listener));
            // Without it every figure would be that of an error.
            eprintln!("error: the endpoint ended: {served:?}");
            std::process::exit(1);
        })?;
    Ok(port)
}

/// The address of endpoint `at`.
pub(crate) fn address(at: usize, port: u16) -> SocketAddr {
    let part = |number: usize| u8::try_from(number % 250).unwrap_or_default();
    (Ipv4Addr::new(127, 1, part(at / 250), part(at) + 1), port).into()
}

const LISTENER: Token = Token(usize::MAX);
/// Bytes read or written at once.
const PIECE: usize = 256 * 1024;

fn serve(mut listener: TcpListener) -> io::Result<()> {
    let mut poll = Poll::new()?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(1024);
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut vacant: Vec<usize> = Vec::new();
    let mut buffer = vec![0; PIECE];
    let (dots, text) = (vec![b'.'; PIECE], message::text(PIECE));
    loop {
        crate::load::wait(&mut poll, &mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    let at = vacant.pop().unwrap_or(connections.len());
                    let both = Interest::READABLE | Interest::WRITABLE;
                    poll.registry().register(&mut stream, Token(at), both)?;
                    if at == connections.len() {
                        connections.push(None);
                    }
                    connections[at] = Some(Connection::new(stream));
                }
                continue;
            }
            let at = event.token().0;
            let Some(connection) = connections.get_mut(at).and_then(Option::as_mut) else {
                continue;
            };
            match connection.go_on(&mut buffer, [&dots, &text]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                ended => {
                    if let Err(error) = ended
                        && error.kind() == io::ErrorKind::InvalidData
                    {
                        eprintln!("endpoint: {error}");
                    }
                    connections[at] = None;
                    vacant.push(at);
                }
            }
        }
    }
}

struct Connection {
    stream: TcpStream,
    /// What has come of a head.
    head: Vec<u8>,
    /// Bytes of the request's body still to come, once its head is there.
    body: Option<u64>,
    /// The body's length in the answer, and the head that says so.
    asked: u64,
    content: Content,
    answer: Vec<u8>,
    /// Bytes of the answer that are not out.
    left: u64,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            head: Vec::new(),
            body: None,
            asked: 0,
            content: Content::Dots,
            answer: message::answer_head(0, Content::Dots).into_bytes(),
            left: 0,
        }
    }

    /// Reads and writes as far as it goes; ends when the peer closes.
    fn go_on(&mut self, buffer: &mut [u8], [dots, text]: [&[u8]; 2]) -> io::Result<()> {
        loop {
            let filling = match self.content {
                Content::Dots | Content::Stored => dots,
                Content::Text => text,
            };
            while self.left > 0 {
                let piece = match usize::try_from(self.left.saturating_sub(self.asked)) {
                    Ok(0) | Err(_) => &filling[..filling.len().min(size(self.left))],
                    Ok(head) if self.asked <= PIECE as u64 => {
                        // Small enough to go out with its head in one piece.
                        let begin = self.answer.len() - head;
                        self.answer.extend_from_slice(&filling[..size(self.asked)]);
                        let written = self.stream.write(&self.answer[begin..]);
                        self.answer.truncate(begin + head);
                        self.left -= written? as u64;
                        continue;
                    }
                    Ok(head) => &self.answer[self.answer.len() - head..],
                };
                self.left -= self.stream.write(piece)? as u64;
            }
            let count = self.stream.read(buffer)?;
            if count == 0 {
                return Ok(());
            }
            self.take(&buffer[..count])?;
        }
    }

    /// Takes bytes of a request; the last of them make its answer due.
    fn take(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        if self.body.is_none() {
            self.head.extend_from_slice(bytes);
            let Some(end) = message::head_end(&self.head) else {
                return Ok(());
            };
            // What is behind the head is the tail of what has just come.
            bytes = &bytes[bytes.len() - (self.head.len() - end)..];
            self.head.truncate(end);
            let length = message::content_length(&self.head).map_err(invalid)?;
            let path = self.head.split(|&byte| byte == b' ').nth(1);
            let asked = path.and_then(message::asked_for);
            let asked = asked.ok_or_else(|| invalid("a path that asks for nothing".to_owned()))?;
            if asked != (self.asked, self.content) {
                (self.asked, self.content) = asked;
                self.answer = message::answer_head(self.asked, self.content).into_bytes();
            }
            self.body = Some(length.unwrap_or_default());
            self.head.clear();
        }
        let left = self
            .body
            .unwrap_or_default()
            .checked_sub(bytes.len() as u64);
        let left = left.ok_or_else(|| invalid("more than one request at once".to_owned()))?;
        self.body = Some(left);
        if left == 0 {
            self.body = None;
            self.left = self.answer.len() as u64 + self.asked;
        }
        Ok(())
    }
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
