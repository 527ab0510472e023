//! The end of a session that its owner asks for (OpenID Connect RP-Initiated Logout 1.0).

use http::{HeaderValue, Method, StatusCode};

use super::{
    super::{Asked, denial::Denial},
    OidcAuth, answered,
    cookie::Jar,
    redirect, unix_now, with_query,
};
use crate::{
    exchange::{Body, Exchange, Request, Response},
    semantics::Known,
};

impl OidcAuth {
    /// Ends a session here, and at the provider if that has a place for it.
    pub(super) fn log_out(&self, exchange: &Exchange, request: &Request, jar: Jar<'_>) -> Asked {
        let from = request.headers.get("sec-fetch-site");
        if from.is_some_and(|from| from.as_bytes() == b"cross-site") {
            let detail = "oidc: another site asks to log out";
            return Asked::Denied(Denial::forbidden(detail));
        }
        if !matches!(*exchange.method(), Method::GET | Method::POST) {
            let detail = "oidc: a logout is a GET or POST";
            return Asked::Denied(Denial::login(StatusCode::BAD_REQUEST, detail));
        }
        let cookies = jar.remove_all();
        let origin = self.origin(exchange, request).unwrap_or_default();
        let logged_out = self
            .logged_out
            .as_ref()
            .map(|place| match place.starts_with('/') {
                true => format!("{origin}{place}"),
                false => place.to_string(),
            });
        let session = self.open(jar, unix_now()).ok();
        let metadata = self.client.provider.metadata();
        let end = metadata.as_ref().and_then(|it| it.end_session.as_deref());
        if let (Some(end), Some(session)) = (end, session) {
            let mut parameters = vec![("client_id", &*self.client.id)];
            let token = &*session.written.id_token;
            if token.len() <= HINT_BYTES_MAX {
                parameters.push(("id_token_hint", token));
            }
            if let Some(place) = &logged_out {
                parameters.push(("post_logout_redirect_uri", &**place));
            }
            return redirect(
                StatusCode::SEE_OTHER,
                &with_query(end, &parameters),
                &cookies,
            );
        }
        if let Some(place) = logged_out {
            return redirect(StatusCode::SEE_OTHER, &place, &cookies);
        }
        let mut response = Response::new(Body::full("You are logged out.\n"));
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers.insert(Known::ContentType, text);
        answered(response, &cookies)
    }
}

/// Bytes of the ID token in the URL of a logout.
const HINT_BYTES_MAX: usize = 4096;
