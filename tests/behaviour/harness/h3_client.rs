//! Client of HTTP/3 over the crate `quinn`, for bodies too large to hold. It knows what its own
//! requests and the proxy's answers to them need; clients by others are in `peers`.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, Endpoint, RecvStream, SendStream, TransportConfig, VarInt};
use rustls::ClientConfig;

use super::pattern::{Check, piece};

/// One connection.
pub(crate) struct H3Client {
    endpoint: Endpoint,
    connection: Connection,
    /// Open for as long as the connection is (RFC 9114 section 6.2.1).
    _control: SendStream,
    sent: Arc<AtomicU64>,
}

/// An answer whose head has been read and whose body has not.
pub(crate) struct H3Coming {
    stream: RecvStream,
    check: Check,
}

impl H3Client {
    /// Connects; the client reads at most `window` bytes ahead.
    pub(crate) async fn connect(to: SocketAddr, tls: ClientConfig, window: u32) -> Self {
        let mut endpoint = Endpoint::client(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let tls = QuicClientConfig::try_from(tls).expect("a cipher for first packets");
        let mut config = quinn::ClientConfig::new(Arc::new(tls));
        let mut transport = TransportConfig::default();
        transport
            .stream_receive_window(VarInt::from_u32(window))
            .send_window(SEND_WINDOW);
        config.transport_config(Arc::new(transport));
        endpoint.set_default_client_config(config);
        let connecting = endpoint.connect(to, "shop.example").expect("an address");
        let connection = connecting.await.expect("a handshake");
        let mut control = connection.open_uni().await.expect("a stream");
        // The control stream, with empty settings.
        control.write_all(&[0, 4, 0]).await.expect("it is read");
        Self {
            endpoint,
            connection,
            _control: control,
            sent: Arc::default(),
        }
    }

    /// Number of body bytes that it could hand on so far.
    pub(crate) fn sent(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.sent)
    }

    /// Goes on from another port.
    pub(crate) fn move_away(&self) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        self.endpoint.rebind(socket).expect("a socket");
    }

    /// Asks for a body and reads the head of the answer.
    pub(crate) async fn ask(&self, target: &str) -> H3Coming {
        let (mut send, stream) = self.connection.open_bi().await.expect("a stream");
        let head = frame(HEADERS, &head(GET, target));
        send.write_all(&head).await.expect("it is read");
        send.finish().expect("an open stream");
        H3Coming::begin(stream).await
    }

    /// Sends a body of this length; returns the endpoint's description of it.
    pub(crate) async fn upload(&self, target: &str, length: u64) -> String {
        let (mut send, stream) = self.connection.open_bi().await.expect("a stream");
        let head = frame(HEADERS, &head(PUT, target));
        send.write_all(&head).await.expect("it is read");
        let mut at = 0;
        while at < length {
            let piece = piece(at, (length - at).min(16 << 10));
            let mut data = vec![DATA];
            put_number(&mut data, piece.len());
            send.write_all(&data).await.expect("it is read");
            send.write_all(&piece).await.expect("it is read");
            at += piece.len() as u64;
            self.sent.store(at, Ordering::Relaxed);
        }
        send.finish().expect("an open stream");
        let mut text = Vec::new();
        let mut coming = H3Coming::begin(stream).await;
        while let Some(length) = coming.next_data().await {
            let begin = text.len();
            text.resize(begin + length, 0);
            coming.stream.read_exact(&mut text[begin..]).await.unwrap();
        }
        String::from_utf8(text).unwrap()
    }
}

impl H3Coming {
    async fn begin(mut stream: RecvStream) -> Self {
        let kind = number(&mut stream).await.expect("an answer");
        assert_eq!(kind, usize::from(HEADERS));
        let mut head = vec![0; number(&mut stream).await.expect("a length")];
        stream.read_exact(&mut head).await.expect("a head");
        assert_eq!(head.get(2), Some(&STATUS_200), "{head:?}");
        Self {
            stream,
            check: Check::default(),
        }
    }

    /// Returns the length of the next part of the body.
    async fn next_data(&mut self) -> Option<usize> {
        let kind = number(&mut self.stream).await?;
        assert_eq!(kind, usize::from(DATA));
        Some(number(&mut self.stream).await.expect("a length"))
    }

    /// Reads the next part of the body; false at its end.
    pub(crate) async fn read(&mut self) -> bool {
        let Some(mut left) = self.next_data().await else {
            return false;
        };
        while left > 0 {
            let chunk = self.stream.read_chunk(left, true).await.expect("a stream");
            let bytes = chunk.expect("the rest of a frame").bytes;
            self.check.take(&bytes);
            left -= bytes.len();
        }
        true
    }

    /// Reads the body to its end and describes it.
    pub(crate) async fn check(mut self) -> String {
        while self.read().await {}
        self.check.verdict()
    }
}

/// Reads a number (RFC 9000 section 16); none at the end of the stream.
async fn number(stream: &mut RecvStream) -> Option<usize> {
    let mut bytes = [0; 8];
    stream.read(&mut bytes[..1]).await.expect("a stream")?;
    let length = 1 << (bytes[0] >> 6);
    stream
        .read_exact(&mut bytes[1..length])
        .await
        .expect("a number");
    bytes[0] &= 0x3f;
    let value = bytes[..length].iter();
    Some(value.fold(0, |value, byte| value << 8 | usize::from(*byte)))
}

fn put_number(out: &mut Vec<u8>, number: usize) {
    let number = u32::try_from(number).expect("small");
    out.extend((number | 0x8000_0000).to_be_bytes());
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    put_number(&mut out, payload.len());
    out.extend_from_slice(payload);
    out
}

/// A field block (RFC 9204) with fields of the static table.
fn head(method: u8, target: &str) -> Vec<u8> {
    let mut out = vec![0, 0, method, SCHEME_HTTPS];
    for (name, value) in [(AUTHORITY, "shop.example"), (PATH, target)] {
        let length = u8::try_from(value.len()).expect("a short value");
        assert!(length < 127);
        out.extend([name, length]);
        out.extend_from_slice(value.as_bytes());
    }
    out
}

/// Bytes on their way to the proxy: more than the buffer of its socket holds would be lost on a busy
/// machine, and again and again.
const SEND_WINDOW: u64 = 64 * 1024;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
/// Entries of the static table: whole fields, then names whose values follow.
const GET: u8 = 0xc0 | 17;
const PUT: u8 = 0xc0 | 21;
const SCHEME_HTTPS: u8 = 0xc0 | 23;
const STATUS_200: u8 = 0xc0 | 25;
const AUTHORITY: u8 = 0x50;
const PATH: u8 = 0x50 | 1;
