//! Fixed reply of a route.

use bytes::Bytes;
use http::StatusCode;

use super::{Form, Said, Scope, render};
use crate::{
    config::value::Template,
    exchange::{Body, Exchange, Request, Response},
    failure::{BadRequest, Failure},
    semantics::{Headers, Known, Value, accept::Spoken},
};

/// Answers without an endpoint.
#[derive(Clone, Debug)]
pub struct Respond {
    status: StatusCode,
    headers: Headers,
    body: Bytes,
    /// The body, where it has something to fill in.
    made: Option<Template>,
}

impl Respond {
    /// Makes the reply; plain text unless the headers say otherwise.
    pub fn new(status: StatusCode, mut headers: Headers, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        if !body.is_empty() && !headers.contains(Known::ContentType) {
            let plain = Value::from_static("text/plain; charset=utf-8");
            headers.insert(Known::ContentType, plain);
        }
        Self {
            status,
            headers,
            body,
            made: None,
        }
    }

    /// Makes the reply with a text in which placeholders are filled in.
    pub fn of_text(status: StatusCode, headers: Headers, text: &str) -> Self {
        let template = Template::of_text(text);
        let made = template.constant().is_none().then_some(template);
        Self {
            made,
            ..Self::new(status, headers, text.to_owned())
        }
    }

    /// The status of the reply.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The header fields of the reply.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Makes the reply to a request.
    pub(crate) fn reply(
        &self,
        exchange: &Exchange,
        request: &Request,
    ) -> Result<Response, Failure> {
        let body = match &self.made {
            None => self.body.clone(),
            Some(template) => self.fill(template, exchange, request)?,
        };
        Ok(Response {
            status: self.status,
            headers: self.headers.clone(),
            body: Body::full(body),
        })
    }

    #[cold]
    fn fill(
        &self,
        template: &Template,
        exchange: &Exchange,
        request: &Request,
    ) -> Result<Bytes, Failure> {
        let scope = Scope {
            path: request.uri.path(),
            query: request.uri.query(),
            method: request.method.as_str(),
            said: Said::Fields(&request.headers),
        };
        let form = Form::Body(self.kind());
        let body = render(template, exchange, scope, form).ok_or(BadRequest::HeadTooLarge)?;
        Ok(body.into())
    }

    /// The kind of text; one that is not known is taken for HTML, in which most is escaped.
    fn kind(&self) -> Spoken {
        let kind = self.headers.get(Known::ContentType);
        let kind = kind.map_or(&b""[..], |kind| kind.as_bytes());
        let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default();
        let kind = kind.trim_ascii().to_ascii_lowercase();
        match kind.as_slice() {
            b"text/plain" => Spoken::Plain,
            kind if kind.ends_with(b"json") => Spoken::Json,
            _ => Spoken::Html,
        }
    }
}
