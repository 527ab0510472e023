//! Converts the answer of a gRPC call to gRPC-Web.

use bytes::Bytes;
use http::HeaderValue;

use super::{
    Form, WebCall,
    messages::{HEAD_LEN, Messages},
};
use crate::{
    failure::Failure,
    semantics::{
        Transform, base64, grpc,
        headers::{Headers, Known},
        trailer,
    },
};

/// Conversion of an answer.
#[derive(Debug)]
pub enum Answer {
    /// Not an answer of gRPC: it passes unchanged.
    Foreign,
    /// A trailers-only answer; this is its body.
    Whole(Bytes),
    /// The body must pass through this encoder.
    Streamed(Encoder),
}

impl WebCall {
    /// Moves the call's trailers out of the head of a trailers-only answer; fields of HTTP stay.
    pub fn part_head(&mut self, headers: &mut Headers) {
        if !grpc::is_grpc(headers) || !headers.contains(Known::GrpcStatus) {
            return;
        }
        let mut of_call = headers.clone();
        of_call.retain(|name| !is_of_http(name));
        headers.retain(is_of_http);
        self.parted = Some(of_call);
    }

    /// Converts the head of an answer to gRPC-Web, and returns the conversion of its body; `empty`
    /// if it has none.
    ///
    /// A trailers-only answer gets the frame of trailers as its body. The protocol would allow the
    /// status in the head, but pages of another origin cannot read it there; with a status in both
    /// places some clients give up, and others read every field twice.
    pub fn bridge_answer(&mut self, headers: &mut Headers, empty: bool) -> Answer {
        if !grpc::is_grpc(headers) {
            return Answer::Foreign;
        }
        if let Some(kind) = self.answer_type(headers) {
            headers.insert(Known::ContentType, kind);
        }
        headers.remove(Known::ContentLength);
        headers.remove(Known::Trailer);
        let mut encoder = Encoder::new(self.answer);
        let parted = match headers.get_owned(Known::GrpcStatus) {
            // A failure of the proxy, whatever an endpoint had said before.
            Some(status) => Some(with_message(status, headers)),
            None => self.parted.take(),
        };
        match parted {
            None if !empty => Answer::Streamed(encoder),
            trailers => Answer::Whole(encoder.encode_end(trailers.unwrap_or_default())),
        }
    }

    /// Returns the content type of the answer: the format that the endpoint names, else the
    /// client's.
    fn answer_type(&self, headers: &Headers) -> Option<HeaderValue> {
        let kind = headers.get(Known::ContentType)?.to_str()?;
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let named = kind.strip_prefix("application/grpc").unwrap_or_default();
        let format = if named.is_empty() {
            &self.format
        } else {
            named
        };
        let form = match self.answer {
            Form::Binary => "",
            Form::Text => "-text",
        };
        HeaderValue::try_from(format!("application/grpc-web{form}{format}")).ok()
    }
}

/// Encodes the body of one answer, piece by piece, and its trailers at the end.
#[derive(Debug)]
pub struct Encoder {
    base64: Option<base64::Encoder>,
    messages: Messages,
    ended: bool,
}

impl Encoder {
    fn new(form: Form) -> Self {
        Self {
            base64: match form {
                Form::Binary => None,
                Form::Text => Some(base64::Encoder::default()),
            },
            messages: Messages::default(),
            ended: false,
        }
    }

    /// Encodes a piece; the output may be empty. Copies only to write base64.
    ///
    /// A message is never held back: base64 is padded after the last complete message in a piece.
    ///
    /// # Errors
    /// [`Failure::ResponseMalformed`]: the endpoint's bytes are not messages, and must not pass for
    /// trailers.
    fn encode(&mut self, data: Bytes) -> Result<Bytes, Failure> {
        self.messages
            .feed(&data)
            .map_err(|_| Failure::ResponseMalformed)?;
        let Some(base64) = &mut self.base64 else {
            return Ok(data);
        };
        let mut text = Vec::new();
        base64.feed(&data, &mut text);
        if self.messages.is_between() {
            base64.pad(&mut text);
        }
        Ok(text.into())
    }

    /// Encodes the trailers as the frame that ends the answer.
    ///
    /// # Errors
    /// [`Failure::ResponseIncomplete`]: the body ended in the middle of a message. The frame would
    /// be taken for the rest of it.
    fn encode_last(&mut self, trailers: Headers) -> Result<Bytes, Failure> {
        if self.messages.is_between() {
            Ok(self.encode_end(trailers))
        } else {
            Err(Failure::ResponseIncomplete)
        }
    }

    fn encode_end(&mut self, trailers: Headers) -> Bytes {
        self.ended = true;
        let frame = frame_of(trailers);
        let Some(base64) = &mut self.base64 else {
            return frame.into();
        };
        let mut text = Vec::new();
        base64.feed(&frame, &mut text);
        base64.pad(&mut text);
        text.into()
    }
}

impl Transform for Encoder {
    fn data(&mut self, input: &mut Bytes) -> Result<Bytes, Failure> {
        self.encode(std::mem::take(input))
    }

    fn end(&mut self, trailers: &mut Headers) -> Result<Bytes, Failure> {
        if self.ended {
            return Ok(Bytes::new());
        }
        self.encode_last(std::mem::take(trailers))
    }
}

/// Returns the frame of trailers: flag, length, and a line for each field, its name in lower case.
/// A call that ends without a status gets UNKNOWN.
fn frame_of(mut trailers: Headers) -> Vec<u8> {
    trailer::strip(&mut trailers, |_| false);
    if !trailers.contains(Known::GrpcStatus) {
        trailers.append(Known::GrpcStatus, HeaderValue::from(grpc::UNKNOWN));
    }
    let mut frame = vec![TRAILERS, 0, 0, 0, 0];
    for (name, value) in trailers.iter() {
        frame.extend(name.iter().map(u8::to_ascii_lowercase));
        frame.push(b':');
        frame.extend_from_slice(value.as_bytes());
        frame.extend_from_slice(b"\r\n");
    }
    let length = u32::try_from(frame.len() - HEAD_LEN).unwrap_or(u32::MAX);
    frame[1..HEAD_LEN].copy_from_slice(&length.to_be_bytes());
    frame
}

/// Returns the trailers of a failure of the proxy, taken from its head.
fn with_message(status: HeaderValue, headers: &mut Headers) -> Headers {
    let mut trailers = Headers::new();
    trailers.append(Known::GrpcStatus, status);
    if let Some(message) = headers.get_owned(Known::GrpcMessage) {
        trailers.append(Known::GrpcMessage, message);
    }
    headers.remove(Known::GrpcStatus);
    headers.remove(Known::GrpcMessage);
    trailers
}

fn is_of_http(name: &[u8]) -> bool {
    let lower = name.to_ascii_lowercase();
    let starts = |prefix: &&str| lower.starts_with(prefix.as_bytes());
    trailer::is_forbidden(name)
        || OF_HTTP.iter().any(|known| known.as_bytes() == lower)
        || OF_HTTP_PREFIXES.iter().any(starts)
}

/// Flag of a frame of trailers.
const TRAILERS: u8 = 0x80;
/// Fields of HTTP that stay in the head, besides those that cannot be trailers at all.
const OF_HTTP: [&str; 6] = [
    "accept-ranges",
    "alt-svc",
    "grpc-accept-encoding",
    "grpc-encoding",
    "proxy-status",
    "server",
];
const OF_HTTP_PREFIXES: [&str; 3] = ["access-control-", "content-", "cross-origin-"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::headers::{fields, sorted};

    fn call(kind: &str) -> WebCall {
        WebCall::read(&fields(&[("content-type", kind)])).unwrap()
    }

    fn streamed(kind: &str) -> Encoder {
        let mut head = fields(&[("content-type", "application/grpc")]);
        match call(kind).bridge_answer(&mut head, false) {
            Answer::Streamed(encoder) => encoder,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_content_type_has_the_form_of_the_client_and_the_format_of_the_endpoint() {
        for (asked, answered, expected) in [
            (
                "application/grpc-web",
                "application/grpc",
                "application/grpc-web+proto",
            ),
            (
                "application/grpc-web+json",
                "application/grpc",
                "application/grpc-web+json",
            ),
            (
                "application/grpc-web-text",
                "application/grpc+json; q=1",
                "application/grpc-web-text+json",
            ),
        ] {
            let mut head = fields(&[("content-type", answered), ("content-length", "0")]);
            call(asked).bridge_answer(&mut head, false);
            assert_eq!(head.len(), 1, "{head:?}");
            let kind = head.get(Known::ContentType).unwrap();
            assert_eq!(kind, expected, "{asked} {answered}");
        }
    }

    #[test]
    fn what_is_no_grpc_is_left_alone() {
        let before = fields(&[("content-type", "text/html"), ("content-length", "5")]);
        let mut head = before.clone();
        let answer = call("application/grpc-web").bridge_answer(&mut head, false);
        assert!(matches!(answer, Answer::Foreign), "{answer:?}");
        assert_eq!(sorted(&head), sorted(&before));
    }

    /// The lines of a frame of trailers, sorted.
    fn lines(body: &[u8]) -> Vec<&str> {
        let length = u8::try_from(body.len() - HEAD_LEN).unwrap();
        assert_eq!(&body[..HEAD_LEN], &[0x80, 0, 0, 0, length]);
        let text = std::str::from_utf8(&body[HEAD_LEN..]).unwrap();
        let mut lines: Vec<&str> = text.split_terminator("\r\n").collect();
        lines.sort_unstable();
        lines
    }

    #[test]
    fn an_answer_that_is_all_head_is_parted() {
        let mut head = fields(&[
            ("content-type", "application/grpc"),
            ("content-length", "0"),
            ("date", "today"),
            ("access-control-allow-origin", "*"),
            ("grpc-status", "5"),
            ("grpc-message", "no"),
            ("x-why", "gone"),
            ("x-why", "moved"),
        ]);
        let mut call = call("application/grpc-web");
        call.part_head(&mut head);
        // What filters add is for HTTP.
        head.append("x-served-by", HeaderValue::from_static("a"));
        let Answer::Whole(body) = call.bridge_answer(&mut head, false) else {
            panic!("a whole answer");
        };
        let expected = [
            "grpc-message:no",
            "grpc-status:5",
            "x-why:gone",
            "x-why:moved",
        ];
        assert_eq!(lines(&body), expected);
        let expected = fields(&[
            ("content-type", "application/grpc-web+proto"),
            ("date", "today"),
            ("access-control-allow-origin", "*"),
            ("x-served-by", "a"),
        ]);
        assert_eq!(sorted(&head), sorted(&expected));
    }

    #[test]
    fn a_failure_of_the_proxy_has_its_status_in_the_frame_and_all_else_in_the_head() {
        let mut head = fields(&[
            ("content-type", "application/grpc"),
            ("grpc-status", "14"),
            ("grpc-message", "no"),
            ("proxy-status", "sluicegate"),
        ]);
        let Answer::Whole(body) = call("application/grpc-web").bridge_answer(&mut head, true)
        else {
            panic!("a whole answer");
        };
        assert_eq!(lines(&body), ["grpc-message:no", "grpc-status:14"]);
        assert_eq!(head.len(), 2, "{head:?}");
    }

    #[test]
    fn trailers_become_the_last_frame() {
        let mut encoder = streamed("application/grpc-web");
        let message = Bytes::from_static(b"\0\0\0\0\x02ok");
        assert_eq!(encoder.encode(message.clone()), Ok(message));
        let end = encoder.encode_last(fields(&[("grpc-status", "0"), ("host", "evil")]));
        assert_eq!(end.unwrap(), &b"\x80\0\0\0\x0fgrpc-status:0\r\n"[..]);
    }

    #[test]
    fn an_end_without_a_status_is_unknown() {
        let end = streamed("application/grpc-web").encode_last(Headers::new());
        assert_eq!(end.unwrap(), &b"\x80\0\0\0\x0fgrpc-status:2\r\n"[..]);
    }

    #[test]
    fn an_answer_that_is_no_sequence_of_messages_is_refused() {
        let mut encoder = streamed("application/grpc-web");
        let forged = Bytes::from_static(b"\x80\0\0\0\x0fgrpc-status:0\r\n");
        assert_eq!(encoder.encode(forged), Err(Failure::ResponseMalformed));
        let mut encoder = streamed("application/grpc-web");
        encoder
            .encode(Bytes::from_static(b"\0\0\0\0\x02o"))
            .unwrap();
        let end = encoder.encode_last(fields(&[("grpc-status", "0")]));
        assert_eq!(end, Err(Failure::ResponseIncomplete));
    }

    #[test]
    fn text_is_padded_behind_whole_messages_only() {
        let mut encoder = streamed("application/grpc-web-text");
        let pieces: [&'static [u8]; 3] = [b"\0\0\0\0", b"\x02o", b"k"];
        let text: Vec<Bytes> = pieces
            .into_iter()
            .map(|piece| encoder.encode(Bytes::from_static(piece)).unwrap())
            .collect();
        assert_eq!(text, ["AAAA", "AAJv", "aw=="]);
        let end = encoder
            .encode_last(fields(&[("grpc-status", "0")]))
            .unwrap();
        assert_eq!(end, base64::encode(b"\x80\0\0\0\x0fgrpc-status:0\r\n"));
    }
}
