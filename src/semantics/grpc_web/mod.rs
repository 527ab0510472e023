//! gRPC-Web, the form of gRPC for browsers, and the conversion in both directions.
//!
//! The messages are the same in both; gRPC-Web needs neither HTTP/2 nor trailers: these are a last
//! frame after the messages, and the whole body may be base64. Source: "gRPC Web" (PROTOCOL-WEB)
//! and "gRPC over HTTP/2" of the gRPC documentation.

mod answer;
mod messages;
mod request;

use http::HeaderValue;

use super::{
    headers::{Headers, Known, Names, Value},
    token::members,
};

pub use answer::{Answer, Encoder};
pub use request::Decoder;

/// Encoding of the messages in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As bytes.
    Binary,
    /// As base64.
    Text,
}

/// A call in gRPC-Web: the form of its body and of its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebCall {
    request: Form,
    answer: Form,
    /// Format of the messages, such as `+proto`.
    format: Box<str>,
    /// Trailers from the head of the answer.
    parted: Option<Headers>,
}

impl WebCall {
    /// Reads the head of a request; none if it is not a call in gRPC-Web.
    ///
    /// The answer has the form that `accept` names first, else that of the request.
    pub fn read(headers: &Headers) -> Option<Self> {
        let (request, format) = media_type(headers.get(Known::ContentType)?)?;
        let accepted = headers.get_all(Known::Accept);
        let accepted = accepted.flat_map(|value| members(value.as_bytes()));
        let answer = accepted.filter_map(parse_media_type).next();
        Some(Self {
            request,
            answer: answer.map_or(request, |(form, _)| form),
            format: if format.is_empty() {
                PROTO.into()
            } else {
                format.into()
            },
            parted: None,
        })
    }

    /// Converts the head of the request to that of a gRPC call.
    ///
    /// The length is removed, as it is that of another body, and so are `accept` and
    /// `accept-encoding`, which concern the proxy.
    pub fn bridge_head(&self, headers: &mut Headers) {
        headers.remove_all(Names::of(&[
            Known::ContentLength,
            Known::Accept,
            Known::AcceptEncoding,
        ]));
        if let Ok(kind) = HeaderValue::try_from(format!("application/grpc{}", self.format)) {
            headers.insert(Known::ContentType, kind);
        }
        headers.insert(Known::Te, Value::from_static("trailers"));
    }

    /// Makes the decoder that turns the body of the request into that of a gRPC call.
    pub fn decoder(&self) -> Decoder {
        Decoder::new(self.request)
    }
}

fn media_type(value: Value<'_>) -> Option<(Form, String)> {
    parse_media_type(value.as_bytes())
}

/// Parses form and format of a media type of gRPC-Web; parameters are ignored.
fn parse_media_type(value: &[u8]) -> Option<(Form, String)> {
    let name = value.split(|byte| *byte == b';').next()?;
    let name = std::str::from_utf8(name).ok()?.trim().to_ascii_lowercase();
    let rest = name.strip_prefix("application/grpc-web")?;
    let (form, format) = match rest.strip_prefix("-text") {
        Some(format) => (Form::Text, format),
        None => (Form::Binary, rest),
    };
    let is_format = format.is_empty() || format.starts_with('+');
    is_format.then(|| (form, format.to_owned()))
}

/// Default format.
const PROTO: &str = "+proto";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::headers::{fields, sorted};

    fn call(kind: &str, accept: &[&str]) -> Option<WebCall> {
        let mut headers = fields(&[("content-type", kind)]);
        for line in accept {
            headers.append(Known::Accept, HeaderValue::from_str(line).unwrap());
        }
        WebCall::read(&headers)
    }

    #[test]
    fn calls_are_told_by_their_content_type() {
        for (kind, expected) in [
            ("application/grpc-web", Some((Form::Binary, "+proto"))),
            ("application/grpc-web+json", Some((Form::Binary, "+json"))),
            ("application/grpc-web-text", Some((Form::Text, "+proto"))),
            (
                "Application/GRPC-Web-Text+Proto; charset=utf-8",
                Some((Form::Text, "+proto")),
            ),
            ("application/grpc", None),
            ("application/grpc+proto", None),
            ("application/grpc-webby", None),
            ("application/grpc-web-texts", None),
            ("text/plain", None),
        ] {
            let told = call(kind, &[]).map(|call| (call.request, call.format));
            let told = told.as_ref().map(|(form, format)| (*form, &**format));
            assert_eq!(told, expected, "{kind}");
        }
    }

    #[test]
    fn the_answer_has_the_form_that_is_accepted_first() {
        let (binary, text) = ("application/grpc-web+proto", "application/grpc-web-text");
        for (kind, accept, expected) in [
            (binary, &[][..], Form::Binary),
            (text, &[], Form::Text),
            (text, &["*/*"], Form::Text),
            (binary, &[text], Form::Text),
            (text, &[binary], Form::Binary),
            (
                binary,
                &["text/html, application/grpc-web-text"],
                Form::Text,
            ),
            (text, &["text/html", binary, text], Form::Binary),
        ] {
            let told = call(kind, accept).unwrap();
            assert_eq!(told.answer, expected, "{kind} {accept:?}");
        }
    }

    #[test]
    fn the_head_becomes_that_of_a_grpc_call() {
        let mut headers = fields(&[
            ("content-type", "application/grpc-web-text+json"),
            ("content-length", "8"),
            ("accept", "application/grpc-web-text"),
            ("accept-encoding", "gzip, br"),
            ("x-user-agent", "grpc-web-javascript/0.1"),
            ("grpc-timeout", "1S"),
        ]);
        WebCall::read(&headers).unwrap().bridge_head(&mut headers);
        let expected = fields(&[
            ("content-type", "application/grpc+json"),
            ("grpc-timeout", "1S"),
            ("te", "trailers"),
            ("x-user-agent", "grpc-web-javascript/0.1"),
        ]);
        assert_eq!(sorted(&headers), sorted(&expected));
    }
}
