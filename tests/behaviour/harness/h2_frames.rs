//! HTTP/2 frame by frame (RFC 9113 section 4), for peers that break its rules.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use super::eventually::within;

/// One connection.
pub(crate) struct Frames {
    stream: TcpStream,
}

/// One frame.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RESET: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

impl Frames {
    /// Connects as a client that sends nothing after the preface.
    pub(crate) async fn without_settings(address: SocketAddr) -> Self {
        let stream = within("a connection", TcpStream::connect(address)).await;
        Self::over(stream.expect("a connection")).await
    }

    /// Acts as a client on an existing connection.
    pub(crate) async fn over(stream: TcpStream) -> Self {
        let mut frames = Self { stream };
        frames.stream.write_all(PREFACE).await.expect("a preface");
        frames
    }

    /// Connects as a client, with these settings.
    pub(crate) async fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut frames = Self::without_settings(address).await;
        frames.send(SETTINGS, 0, 0, &encode(settings)).await;
        frames
    }

    /// Takes a connection as a server, with these settings.
    pub(crate) async fn accept(mut stream: TcpStream, settings: &[(u16, u32)]) -> Option<Self> {
        let mut preface = [0; PREFACE.len()];
        stream.read_exact(&mut preface).await.ok()?;
        assert_eq!(preface, PREFACE, "the preface");
        let mut frames = Self { stream };
        frames.send(SETTINGS, 0, 0, &encode(settings)).await;
        Some(frames)
    }

    /// Sends a frame; returns true if the other side still took it.
    pub(crate) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        let frame = frame(kind, flags, stream, payload);
        self.stream.write_all(&frame).await.is_ok()
    }

    /// Sends frames in one write: kind, flags, stream and payload of each.
    pub(crate) async fn send_all(&mut self, frames: &[(u8, u8, u32, Vec<u8>)]) -> bool {
        let frames = frames.iter();
        let bytes: Vec<u8> = frames
            .flat_map(|(kind, flags, stream, payload)| frame(*kind, *flags, *stream, payload))
            .collect();
        self.stream.write_all(&bytes).await.is_ok()
    }

    /// Sends bytes that need not be a complete frame.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// Changes these settings.
    pub(crate) async fn settings(&mut self, settings: &[(u16, u32)]) -> bool {
        self.send(SETTINGS, 0, 0, &encode(settings)).await
    }

    /// Sends a GET with these fields on a stream.
    pub(crate) async fn get(&mut self, stream: u32, target: &str, fields: &[(&str, &str)]) -> bool {
        let mut block = get_block(target);
        block.extend(fields.iter().flat_map(|(name, value)| literal(name, value)));
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, &block)
            .await
    }

    /// Splits it, for frames that are sent without reading the answers.
    pub(crate) fn split(&mut self) -> (Reader<'_>, Writer<'_>) {
        let (reader, writer) = self.stream.split();
        (Reader(reader), Writer(writer))
    }

    /// Returns the next frame; none when the connection has ended. Settings and pings are answered.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).ok()?];
        self.stream.read_exact(&mut payload).await.ok()?;
        let frame = Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            payload,
        };
        if matches!(frame.kind, SETTINGS | PING) && frame.flags & ACK == 0 {
            let echoed = if frame.kind == PING {
                frame.payload.clone()
            } else {
                Vec::new()
            };
            self.send(frame.kind, ACK, 0, &echoed).await;
        }
        Some(frame)
    }

    /// Returns the next received frame of this kind; does not wait.
    pub(crate) async fn try_next_of(&mut self, kind: u8) -> Option<Frame> {
        let mut head = [0; 9];
        loop {
            let now = tokio::time::timeout(
                std::time::Duration::from_millis(1),
                self.stream.peek(&mut head),
            );
            if !matches!(now.await, Ok(Ok(9))) {
                return None;
            }
            let frame = self.next().await?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }

    /// The next frame of this kind.
    pub(crate) async fn next_of(&mut self, kind: u8) -> Option<Frame> {
        let what = format!("a frame of kind {kind}");
        within(what, async {
            loop {
                let frame = self.next().await?;
                if frame.kind == kind {
                    return Some(frame);
                }
            }
        })
        .await
    }
}

/// Reader of the other side's frames.
pub(crate) struct Reader<'a>(ReadHalf<'a>);

/// Writer of frames to the other side.
pub(crate) struct Writer<'a>(WriteHalf<'a>);

impl Reader<'_> {
    /// Reads until the connection ends or nothing arrives for a while.
    pub(crate) async fn drained(&mut self) {
        let mut bytes = vec![0; 64 * 1024];
        let quiet = std::time::Duration::from_secs(1);
        while let Ok(Ok(1..)) = tokio::time::timeout(quiet, self.0.read(&mut bytes)).await {}
    }
}

impl Writer<'_> {
    /// Sends a frame; returns true if the other side still took it.
    pub(crate) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        let frame = frame(kind, flags, stream, payload);
        self.0.write_all(&frame).await.is_ok()
    }
}

impl Frame {
    /// The number at this position of the payload: in a GOAWAY, 0 is the last stream, 4 the reason.
    pub(crate) fn number(&self, at: usize) -> u32 {
        let bytes = self.payload.get(at..at + 4).expect("four bytes");
        u32::from_be_bytes(bytes.try_into().expect("four bytes"))
    }
}

/// The head of a GET, as HPACK without a table.
pub(crate) fn get_block(target: &str) -> Vec<u8> {
    // `:method GET` and `:scheme http` stand in the static table.
    let mut block = vec![0x82, 0x86];
    block.extend(literal(":path", target));
    block.extend(literal(":authority", "shop.example"));
    block
}

/// One field, as HPACK without a table.
pub(crate) fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut field = vec![0];
    for text in [name, value] {
        let length = u8::try_from(text.len()).expect("a short text");
        assert!(length < 127, "a longer text needs another form");
        field.push(length);
        field.extend(text.as_bytes());
    }
    field
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame");
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

fn encode(settings: &[(u16, u32)]) -> Vec<u8> {
    let pairs = settings.iter();
    pairs
        .flat_map(|(name, value)| {
            let mut pair = name.to_be_bytes().to_vec();
            pair.extend(value.to_be_bytes());
            pair
        })
        .collect()
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const ACK: u8 = 1;
