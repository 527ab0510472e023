//! HTTP/1.1 client that sends exactly the given bytes and returns exactly the received ones.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};

use super::eventually::{DEADLINE, within, within_time};
use super::invariant::Ledger;
use super::message::Fields;
use super::wire::{End, Wire, answer_framing, split};

/// One connection.
pub(crate) struct Client {
    wire: Wire,
    ledger: Option<Arc<Ledger>>,
    /// Time for an answer.
    patience: Duration,
}

/// A final answer, and the informational ones before it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) version: String,
    pub(crate) status: u16,
    pub(crate) fields: Fields,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Fields,
    /// End of the body.
    pub(crate) end: End,
    /// Statuses of the 1xx answers before this one.
    pub(crate) informational: Vec<u16>,
}

impl Answer {
    /// First field of this name, or the empty text.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).unwrap_or_default()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Checks that this is an answer made by the proxy, with this status and reason, in the header
    /// and, with the request id, in a short body.
    #[track_caller]
    pub(crate) fn assert_failure(&self, status: u16, word: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let proxy_status = self.field("proxy-status");
        assert!(
            proxy_status.starts_with("sluicegate;")
                && proxy_status
                    .split(';')
                    .any(|p| p.trim() == format!("error={word}")),
            "Proxy-Status says error={word}: {proxy_status:?}"
        );
        let id = self.field("x-request-id");
        assert!(!id.is_empty(), "a request id: {self:?}");
        assert!(self.text().contains(id), "the body names {id}: {self:?}");
        assert!(self.body.len() < 1024, "a short body: {self:?}");
    }
}

impl Client {
    /// Connects to any address.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let client = Self::try_connect(address).await;
        client.unwrap_or_else(|error| panic!("connect to {address}: {error}"))
    }

    /// Like [`Self::connect`], if possibly no process listens.
    pub(crate) async fn try_connect(address: SocketAddr) -> io::Result<Self> {
        let stream = within("a connection", TcpStream::connect(address)).await?;
        Ok(Self {
            wire: Wire::new(stream),
            ledger: None,
            patience: DEADLINE,
        })
    }

    /// Connects with a small kernel receive buffer, so that the other side sees how fast this one
    /// reads.
    pub(crate) async fn narrow(address: SocketAddr) -> Self {
        Self {
            wire: Wire::new(narrow(address).await),
            ledger: None,
            patience: DEADLINE,
        }
    }

    /// Waits this long for each answer.
    pub(crate) fn patient(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Makes every exchange be checked and noted in `ledger`.
    pub(crate) fn noted_in(mut self, ledger: Arc<Ledger>) -> Self {
        self.ledger = Some(ledger);
        self
    }

    /// Sends these bytes; a close by the other side shows when reading.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = within("the bytes are sent", self.wire.send(bytes.as_ref())).await;
    }

    /// Sends a plain request and reads its answer.
    pub(crate) async fn get(&mut self, target: &str) -> Answer {
        self.request("GET", target, "", b"").await
    }

    /// Sends a request with these additional header lines and this body, and reads its answer.
    pub(crate) async fn request(
        &mut self,
        method: &str,
        target: &str,
        lines: &str,
        body: &[u8],
    ) -> Answer {
        self.send(request_bytes(method, target, lines, body)).await;
        self.answer_to(method).await
    }

    /// Reads the answer to a request whose answer may have a body.
    pub(crate) async fn answer(&mut self) -> Answer {
        self.answer_to("GET").await
    }

    /// Reads the answer to a request of this method.
    pub(crate) async fn answer_to(&mut self, method: &str) -> Answer {
        match self.try_answer_to(method).await {
            Ok(answer) => answer,
            Err(end) => panic!("the connection ended without an answer: {end:?}"),
        }
    }

    /// Like [`Self::answer_to`], where the connection may end instead.
    pub(crate) async fn try_answer_to(&mut self, method: &str) -> Result<Answer, End> {
        let time = self.patience;
        let answer = within_time(time, "an answer", self.read(method)).await?;
        if let Some(ledger) = &self.ledger {
            ledger.note(&answer);
        }
        Ok(answer)
    }

    /// Reads only the head of the next answer.
    pub(crate) async fn head(&mut self) -> (u16, Fields) {
        let head = within("a response head", self.wire.head()).await;
        let (_, status, _, fields) = split(&head.expect("a response head")).expect("a head");
        (status.parse().expect("a status"), fields)
    }

    /// Reads exactly this many bytes, of a tunnel or of a body whose head was read before.
    pub(crate) async fn bytes(&mut self, length: usize) -> Result<Vec<u8>, End> {
        let mut bytes = Vec::new();
        within("bytes", self.wire.take(length, &mut bytes)).await?;
        Ok(bytes)
    }

    /// Waits until the proxy ends the connection.
    pub(crate) async fn ended(&mut self) -> End {
        within("the end of the connection", self.wire.until_end()).await
    }

    /// Sends a FIN and keeps reading.
    pub(crate) async fn half_close(&mut self) {
        self.wire.half_close().await;
    }

    /// Closes with a RST.
    pub(crate) fn abort(self) {
        self.wire.reset();
    }

    async fn read(&mut self, method: &str) -> Result<Answer, End> {
        let mut informational = Vec::new();
        loop {
            let head = self.wire.head().await?;
            let (version, status, _, fields) = split(&head)?;
            let status: u16 = status.parse().map_err(|_| End::Garbled)?;
            if (100..200).contains(&status) && status != 101 {
                informational.push(status);
                continue;
            }
            let body = self
                .wire
                .body(answer_framing(method, status, &fields))
                .await;
            return Ok(Answer {
                version,
                status,
                fields,
                body: body.bytes,
                trailers: body.trailers,
                end: body.end,
                informational,
            });
        }
    }
}

/// A connection with a receive buffer that stays small.
pub(crate) async fn narrow(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(NARROW).expect("a small buffer");
    let connected = within("a connection", socket.connect(address)).await;
    connected.unwrap_or_else(|error| panic!("connect to {address}: {error}"))
}

/// The bytes of an ordinary request; a body, or a method that has one, gets a Content-Length.
pub(crate) fn request_bytes(method: &str, target: &str, lines: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {target} HTTP/1.1\r\n");
    let names_host = |line: &str| line.trim().to_ascii_lowercase().starts_with("host:");
    if !lines.lines().any(names_host) {
        bytes.push_str("host: shop.example\r\n");
    }
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        bytes.push_str(line.trim());
        bytes.push_str("\r\n");
    }
    if !body.is_empty() || method == "POST" || method == "PUT" {
        bytes.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    bytes.push_str("\r\n");
    let mut bytes = bytes.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Bytes of a receive buffer, which the kernel doubles.
pub(crate) const NARROW: u32 = 64 * 1024;
