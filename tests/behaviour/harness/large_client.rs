//! Client that uploads and downloads bodies of any size without holding them.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use h2::RecvStream;

use super::h2_client::H2Client;
use super::large_backend::{h1_pour, h2_body, h2_pour};
use super::message::Fields;
use super::pattern::Check;
use super::protocol::{Io, Protocol};
use super::wire::{End, Framing, Wire, answer_framing, split};

/// One connection.
pub(crate) struct LargeClient {
    speaker: Speaker,
    sent: Arc<AtomicU64>,
}

enum Speaker {
    Http1(Wire<Io>, Protocol),
    Http2(H2Client),
}

/// An answer whose head has been read and whose body has not.
pub(crate) enum Coming {
    Http1(Framing),
    Http2(RecvStream),
}

impl LargeClient {
    /// Makes a client for this protocol over an existing connection.
    pub(crate) async fn over(io: Io, protocol: Protocol) -> Self {
        let speaker = if protocol.is_http2() {
            let mut settings = h2::client::Builder::new();
            settings
                .initial_window_size(WINDOW)
                .initial_connection_window_size(4 * WINDOW);
            Speaker::Http2(H2Client::over(io, &settings).await)
        } else {
            Speaker::Http1(Wire::over(io), protocol)
        };
        Self {
            speaker,
            sent: Arc::default(),
        }
    }

    /// Number of body bytes that it could hand on so far.
    pub(crate) fn sent(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.sent)
    }

    /// Sends a body of this length; returns the endpoint's description of it.
    pub(crate) async fn upload(&mut self, target: &str, length: u64) -> Result<String, String> {
        let coming = match &mut self.speaker {
            Speaker::Http1(wire, protocol) => {
                let framing = match protocol {
                    Protocol::Http1 => format!("content-length: {length}"),
                    _ => "transfer-encoding: chunked".to_owned(),
                };
                let head =
                    format!("PUT {target} HTTP/1.1\r\nhost: shop.example\r\n{framing}\r\n\r\n");
                let chunked = *protocol != Protocol::Http1;
                // That the other side has ended it all shows in the answer.
                let _ = wire.send(head.as_bytes()).await;
                let sending = h1_pour(wire, length, chunked, &self.sent).await;
                let coming = h1_head(wire).await;
                sending.map_err(|error| format!("{error} while sending, then {coming:?}"))?;
                Coming::Http1(coming?.1)
            }
            Speaker::Http2(client) => {
                let opened = client.open("PUT", target, &[], false).await;
                let (response, mut stream) = opened.map_err(|fault| format!("{fault:?}"))?;
                let sending = h2_pour(&mut stream, length, &self.sent).await;
                let response = response.await;
                sending.map_err(|error| format!("{error} while sending, then {response:?}"))?;
                Coming::Http2(response.map_err(|error| error.to_string())?.into_body())
            }
        };
        let mut text = Vec::new();
        self.read(coming, &mut |bytes| text.extend_from_slice(bytes))
            .await?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Asks for a body and reads the head of the answer.
    pub(crate) async fn ask(&mut self, target: &str) -> Result<Coming, String> {
        match &mut self.speaker {
            Speaker::Http1(wire, _) => {
                let head = format!("GET {target} HTTP/1.1\r\nhost: shop.example\r\n\r\n");
                let _ = wire.send(head.as_bytes()).await;
                Ok(Coming::Http1(h1_head(wire).await?.1))
            }
            Speaker::Http2(client) => {
                let opened = client.open("GET", target, &[], true).await;
                let (response, _) = opened.map_err(|fault| format!("{fault:?}"))?;
                let response = response.await.map_err(|error| error.to_string())?;
                if response.status() != 200 {
                    return Err(format!("{response:?}"));
                }
                Ok(Coming::Http2(response.into_body()))
            }
        }
    }

    /// Reads a body to its end and describes it.
    pub(crate) async fn check(&mut self, coming: Coming) -> Result<String, String> {
        let mut check = Check::default();
        self.read(coming, &mut |bytes| check.take(bytes))
            .await
            .map_err(|end| format!("{end} after {}", check.verdict()))?;
        Ok(check.verdict())
    }

    /// Requests a body, reads it and describes it.
    pub(crate) async fn download(&mut self, target: &str) -> Result<String, String> {
        let coming = self.ask(target).await?;
        self.check(coming).await
    }

    async fn read(&mut self, coming: Coming, sink: &mut impl FnMut(&[u8])) -> Result<(), String> {
        match (coming, &mut self.speaker) {
            (Coming::Http1(framing), Speaker::Http1(wire, _)) => {
                match wire.pour(framing, sink).await.1 {
                    End::Complete => Ok(()),
                    other => Err(format!("the answer was {other:?}")),
                }
            }
            (Coming::Http2(mut body), _) => {
                let read = h2_body(&mut body, sink).await;
                read.map_err(|error| format!("the answer ended with: {error}"))
            }
            (Coming::Http1(_), Speaker::Http2(_)) => unreachable!("an answer of another client"),
        }
    }
}

async fn h1_head(wire: &mut Wire<Io>) -> Result<(Fields, Framing), String> {
    let head = wire.head().await.map_err(|end| format!("{end:?}"))?;
    let (_, status, _, fields) = split(&head).map_err(|end| format!("{end:?}"))?;
    if status != "200" {
        return Err(format!("{status} {fields:?}"));
    }
    let framing = answer_framing("GET", 200, &fields);
    Ok((fields, framing))
}

const WINDOW: u32 = 1 << 20;
