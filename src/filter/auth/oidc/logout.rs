//! The end of a session that its owner asks for (OpenID Connect RP-Initiated Logout 1.0).
//!
//! A link or an image of another page must not log anybody out. A POST counts if it comes from a page
//! of the same origin. A GET counts if the browser says that a user has opened it, or a page of
//! the same origin; any other is answered by a page that asks.

use std::sync::Arc;

use http::{HeaderValue, Method, StatusCode};

use super::{
    super::{Asked, denial::Denial},
    OidcAuth, answered,
    cookie::Jar,
    ended::Whose,
    navigation::is_prefetch,
    redirect,
    session::Session,
    unix_now, with_query,
};
use crate::{
    exchange::{Body, Exchange, Request, Response},
    semantics::{Headers, Known},
    task,
};

/// Origin of the wish to log out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// The user, or a page of the same origin.
    Own,
    /// Not known, or another page: the user is asked.
    Unsure,
    /// Another page, with a form of its own.
    Foreign,
}

impl OidcAuth {
    /// Ends a session here, and at the provider if that has a place for it.
    pub(super) fn log_out(
        self: &Arc<Self>,
        exchange: &Exchange,
        request: &Request,
        jar: Jar<'_>,
    ) -> Asked {
        let method = exchange.method();
        if !matches!(*method, Method::GET | Method::POST) {
            let detail = "oidc: a logout is a GET or POST";
            return Asked::Denied(Denial::method("GET, POST", detail));
        }
        let origin = self.origin(exchange, request).unwrap_or_default();
        match wish_of(method, &request.headers, &origin) {
            Wish::Own => {}
            Wish::Unsure => return confirmation(),
            Wish::Foreign => {
                let detail = "oidc: another site asks to log out";
                return Asked::Denied(Denial::forbidden(detail));
            }
        }
        let cookies = jar.remove_all();
        let logged_out = self
            .logged_out
            .as_ref()
            .map(|place| match place.starts_with('/') {
                true => format!("{origin}{place}"),
                false => place.to_string(),
            });
        let session = self.open(jar, unix_now()).ok();
        if let Some(session) = &session {
            self.end(session);
        }
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

    /// Ends a session for copies of its cookie, too, and revokes its refresh token in the background:
    /// the provider cannot hold up a logout.
    fn end(self: &Arc<Self>, session: &Session) {
        let (client, written) = (&self.client, &session.written);
        let now = unix_now();
        if let Some(login) = &written.login {
            let ended = &client.provider.ended;
            ended.end(&client.id, Whose::Login(login), now, now);
        }
        let Some(token) = &written.refresh_token else {
            return;
        };
        // One that was just renewed counts no longer.
        let newer = client.provider.renewals.known(token);
        let newer = newer.and_then(|session| session.written.refresh_token.clone());
        let token = newer.unwrap_or_else(|| token.clone());
        let auth = Arc::clone(self);
        task::spawn_local("oidc revocation", async move {
            Box::pin(auth.client.revoke(&token)).await;
        });
    }
}

/// Tells by whom a logout is wished. Browsers of today send `Sec-Fetch-Site` over TLS and to the own
/// machine, and `Origin` with each POST.
fn wish_of(method: &Method, headers: &Headers, origin: &str) -> Wish {
    let value = |name: &str| headers.get(name).map(|value| value.as_bytes());
    let site = value("sec-fetch-site");
    if *method == Method::POST {
        let is_own = match (site, value("origin")) {
            (Some(site), _) => matches!(site, b"same-origin" | b"none"),
            (None, Some(from)) => from.eq_ignore_ascii_case(origin.as_bytes()),
            // No browser.
            (None, None) => true,
        };
        return if is_own { Wish::Own } else { Wish::Foreign };
    }
    // An image, a frame or a prefetch of a page is not what its user wants.
    let is_meant = matches!(value("sec-fetch-dest"), Some(b"document" | b"empty"));
    match site {
        Some(b"same-origin" | b"none") if is_meant && !is_prefetch(headers) => Wish::Own,
        _ => Wish::Unsure,
    }
}

/// A page that asks whether to log out. No other page can show it in a frame.
fn confirmation() -> Asked {
    let mut response = Response::new(Body::full(CONFIRMATION));
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", POLICY),
        ("x-frame-options", "DENY"),
    ] {
        response
            .headers
            .insert(name, HeaderValue::from_static(value));
    }
    answered(response, &[])
}

/// Bytes of the ID token in the URL of a logout.
const HINT_BYTES_MAX: usize = 4096;
const CONFIRMATION: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
    <meta name=\"viewport\" content=\"width=device-width\">\n<title>Log out</title>\n\
    <form method=\"post\">\n<p>Do you want to log out?</p>\n<button>Log out</button>\n</form>\n</html>\n";
/// Without `form-action`: it would hold for the redirect to the provider, too.
const POLICY: &str = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::headers::fields;

    #[test]
    fn only_a_user_and_the_own_pages_log_out() {
        let (user, own) = (
            ("sec-fetch-site", "none"),
            ("sec-fetch-site", "same-origin"),
        );
        let (near, far) = (
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "cross-site"),
        );
        let (page, script) = (("sec-fetch-dest", "document"), ("sec-fetch-dest", "empty"));
        let (same, other) = (
            ("origin", "https://a.example"),
            ("origin", "https://b.example"),
        );
        for (method, lines, expected) in [
            (Method::GET, &[user, page][..], Wish::Own),
            (Method::GET, &[own, page], Wish::Own),
            (Method::GET, &[own, script], Wish::Own),
            (
                Method::GET,
                &[own, script, ("sec-purpose", "prefetch")],
                Wish::Unsure,
            ),
            (
                Method::GET,
                &[own, ("sec-fetch-dest", "image")],
                Wish::Unsure,
            ),
            (
                Method::GET,
                &[own, ("sec-fetch-dest", "iframe")],
                Wish::Unsure,
            ),
            (Method::GET, &[near, page], Wish::Unsure),
            (Method::GET, &[far, page], Wish::Unsure),
            (Method::GET, &[page], Wish::Unsure),
            (Method::GET, &[same], Wish::Unsure),
            (Method::GET, &[], Wish::Unsure),
            (Method::POST, &[own, same], Wish::Own),
            (Method::POST, &[near, other], Wish::Foreign),
            (Method::POST, &[far], Wish::Foreign),
            (Method::POST, &[far, same], Wish::Foreign),
            (Method::POST, &[same], Wish::Own),
            (Method::POST, &[other], Wish::Foreign),
            (Method::POST, &[("origin", "null")], Wish::Foreign),
            (Method::POST, &[], Wish::Own),
        ] {
            let wish = wish_of(&method, &fields(lines), "https://a.example");
            assert_eq!(wish, expected, "{method} {lines:?}");
        }
    }
}
