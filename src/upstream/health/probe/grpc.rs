//! The gRPC check: `grpc.health.v1.Health/Check` over HTTP/2, by the gRPC health checking protocol.
//!
//! The two messages have one field each, so they are written and read here by hand: the request's
//! field 1 is the service's name, the response's field 1 the serving state.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::Instant;

use super::{
    BoxFuture, Dial, Probe, ProbeFailure, ProbeTarget,
    attentive::Attentive,
    get::{USER_AGENT, alongside, authority, told},
    until,
};

/// Passes when the server says that the service is `SERVING`.
pub struct GrpcProbe {
    message: Bytes,
    dial: Arc<dyn Dial>,
}

impl GrpcProbe {
    /// Returns a probe of this service; empty stands for the server as a whole.
    #[must_use]
    pub fn new(service: &str, dial: Arc<dyn Dial>) -> Self {
        Self {
            message: encode(service),
            dial,
        }
    }

    async fn ask(&self, target: &ProbeTarget) -> Result<(), ProbeFailure> {
        let (socket, heard) = Attentive::new(self.dial.dial(target).await?);
        let asked = self.ask_over(socket, target).await;
        asked.map_err(|failure| heard.explain(failure))
    }

    async fn ask_over(&self, socket: Attentive, target: &ProbeTarget) -> Result<(), ProbeFailure> {
        let host = authority(&target.host).unwrap_or(HeaderValue::from_static("localhost"));
        let uri = Uri::builder()
            .scheme(self.dial.scheme().as_str())
            .authority(host.as_bytes())
            .path_and_query(METHOD_PATH);
        let mut request = Request::new(Full::new(self.message.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.build().map_err(|_| ProbeFailure::Malformed)?;
        let headers = request.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/grpc"),
        );
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.insert(header::USER_AGENT, USER_AGENT);
        let connecting = conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket));
        let (mut sender, connection) = connecting.await.map_err(told)?;
        alongside(connection, async {
            judge(sender.send_request(request).await.map_err(told)?).await
        })
        .await
    }
}

impl Probe for GrpcProbe {
    fn probe<'a>(
        &'a self,
        target: &'a ProbeTarget,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<(), ProbeFailure>> {
        Box::pin(until(deadline, self.ask(target)))
    }
}

async fn judge(response: Response<Incoming>) -> Result<(), ProbeFailure> {
    if response.status() != http::StatusCode::OK {
        return Err(ProbeFailure::Status(response.status().as_u16()));
    }
    // An answer without a message carries its status in the head.
    check_status(response.headers())?;
    let mut body = response.into_body();
    let mut message = BytesMut::new();
    while let Some(frame) = body.frame().await {
        match frame.map_err(told)?.into_data() {
            Ok(piece) if message.len() + piece.len() <= MESSAGE_MAX => message.put(piece),
            Ok(_) => return Err(ProbeFailure::Malformed),
            Err(frame) => check_status(&frame.into_trailers().unwrap_or_default())?,
        }
    }
    match decode(message.freeze()).ok_or(ProbeFailure::Malformed)? {
        SERVING => Ok(()),
        NOT_SERVING => Err(ProbeFailure::NotServing),
        SERVICE_UNKNOWN => Err(ProbeFailure::ServiceUnknown),
        _ => Err(ProbeFailure::ServingUnknown),
    }
}

fn check_status(headers: &HeaderMap) -> Result<(), ProbeFailure> {
    let Some(status) = headers.get("grpc-status") else {
        return Ok(());
    };
    match status.to_str().ok().and_then(|status| status.parse().ok()) {
        Some(0) => Ok(()),
        Some(GRPC_NOT_FOUND) => Err(ProbeFailure::ServiceUnknown),
        Some(GRPC_UNIMPLEMENTED) => Err(ProbeFailure::Unimplemented),
        Some(status) => Err(ProbeFailure::GrpcStatus(status)),
        None => Err(ProbeFailure::Malformed),
    }
}

/// Frames a request message: no compression, length, then field 1 as a string unless it is empty.
fn encode(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(FIELD_1_BYTES);
        put_varint(&mut message, service.len() as u64);
        message.put_slice(service.as_bytes());
    }
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put(message);
    framed.freeze()
}

/// Reads field 1 of a framed response message; absent means 0. `None` if it is not such a message.
fn decode(mut framed: Bytes) -> Option<u64> {
    let compressed = framed.try_get_u8().ok()?;
    let length = usize::try_from(framed.try_get_u32().ok()?).ok()?;
    if compressed != 0 || framed.len() != length {
        return None;
    }
    let mut state = 0;
    while framed.has_remaining() {
        let key = get_varint(&mut framed)?;
        let skipped = match key & 0b111 {
            0 => {
                let value = get_varint(&mut framed)?;
                if key >> 3 == 1 {
                    state = value;
                }
                0
            }
            1 => 8,
            2 => usize::try_from(get_varint(&mut framed)?).ok()?,
            5 => 4,
            _ => return None,
        };
        if skipped > framed.len() {
            return None;
        }
        framed.advance(skipped);
    }
    Some(state)
}

fn put_varint(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.put_u8(u8::try_from(value).unwrap_or(0));
}

fn get_varint(bytes: &mut Bytes) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = bytes.try_get_u8().ok()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

const METHOD_PATH: &str = "/grpc.health.v1.Health/Check";
/// Field 1, length-delimited.
const FIELD_1_BYTES: u8 = 0x0a;
const SERVING: u64 = 1;
const NOT_SERVING: u64 = 2;
const SERVICE_UNKNOWN: u64 = 3;
const GRPC_NOT_FOUND: u32 = 5;
const GRPC_UNIMPLEMENTED: u32 = 12;
/// Maximum size of an answer: a health answer has two bytes; the rest is for future fields.
const MESSAGE_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_framed_as_protobuf_has_it() {
        assert_eq!(encode("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(encode("ab")[..], [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        let long = encode(&"s".repeat(300));
        assert_eq!(long[..8], [0, 0, 0, 1, 47, 0x0a, 0xac, 0x02]);
    }

    #[test]
    fn a_response_is_read_past_fields_of_a_later_version() {
        assert_eq!(
            decode(Bytes::from_static(&[0, 0, 0, 0, 2, 8, 1])),
            Some(SERVING)
        );
        assert_eq!(decode(Bytes::from_static(&[0, 0, 0, 0, 0])), Some(0));
        let more = [
            0, 0, 0, 0, 17, 0x12, 1, 7, 0x1d, 1, 2, 3, 4, 0x21, 1, 2, 3, 4, 5, 6, 7, 8, 8, 2,
        ];
        assert_eq!(decode(Bytes::copy_from_slice(&more[..22])), Some(0));
        let mut whole = more.to_vec();
        whole[4] = 19;
        assert_eq!(decode(whole.into()), Some(NOT_SERVING));
    }

    #[test]
    fn a_hostile_response_is_malformed_and_nothing_worse() {
        for bytes in [
            &[][..],
            &[0, 0, 0, 0],
            &[1, 0, 0, 0, 2, 8, 1],
            &[0, 0, 0, 0, 9, 8, 1],
            &[0, 0, 0, 0, 2, 8, 0x80],
            &[0, 0, 0, 0, 2, 0x0a, 0xff],
            &[
                0, 0, 0, 0, 11, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            ],
            &[0, 0, 0, 0, 1, 0x0b],
        ] {
            assert_eq!(decode(Bytes::copy_from_slice(bytes)), None, "{bytes:?}");
        }
    }
}
