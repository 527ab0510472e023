//! Reply that redirects a client.

use http::{HeaderValue, StatusCode};

use super::{Said, Scope, escape::Form, fill, render};
use crate::{
    config::value::{Piece, Placeholder, Template},
    exchange::{Body, Exchange, Request, Response},
    failure::{BadRequest, Failure},
    semantics::Known,
};

/// Redirects a client.
#[derive(Clone, Debug)]
pub struct Redirect {
    /// Target.
    pub to: Template,
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
}

impl Redirect {
    /// Makes the reply to a request.
    pub(crate) fn reply(
        &self,
        exchange: &Exchange,
        request: &Request,
    ) -> Result<Response, Failure> {
        let scope = Scope {
            path: request.uri.path(),
            query: request.uri.query(),
            method: request.method.as_str(),
            said: Said::Fields(&request.headers),
        };
        let target = render(&self.to, exchange, scope, Form::Target);
        let place = self.checked(target).ok_or(BadRequest::HeadTooLarge)?;
        let mut response = Response::new(Body::Empty);
        response.status = self.status;
        response.headers.insert(Known::Location, place);
        Ok(response)
    }

    /// Makes the target from values that `put` adds; none if it cannot be one.
    pub(crate) fn location(
        &self,
        put: impl FnMut(&Placeholder, &mut Vec<u8>),
    ) -> Option<HeaderValue> {
        self.checked(fill(&self.to, Form::Target, put))
    }

    /// A target on the same host stays there: `//name` would be another host.
    fn checked(&self, target: Option<Vec<u8>>) -> Option<HeaderValue> {
        let mut target = target?;
        let is_elsewhere = matches!(
            self.to.pieces().first(), Some(Piece::Text(text)) if text.starts_with("//")
        );
        if !is_elsewhere {
            let slashes = target.iter().take_while(|byte| **byte == b'/').count();
            target.drain(..slashes.saturating_sub(1));
        }
        HeaderValue::try_from(target).ok()
    }
}
