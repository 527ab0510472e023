//! Login at an OpenID provider: the authorization code flow with PKCE (OpenID Connect Core 1.0, RFC
//! 7636, RFC 9700).
//!
//! No session is stored here: it and each attempt to log in are sealed cookies, so that all proxies
//! with the same secret know them. Only ends of sessions are remembered. Requests for tokens run on the worker that needs them;
//! metadata and keys of the provider are fetched by control. A provider that is away keeps nobody
//! out who has a session, and lets nobody in who has none.

mod attempt;
mod back_channel;
mod cookie;
mod ended;
mod grants;
mod id_token;
mod login;
mod logout;
mod metadata;
mod navigation;
mod provider;
mod renewal;
mod seal;
mod session;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{HeaderName, HeaderValue, StatusCode};

use self::{
    cookie::Jar,
    provider::{NoTokens, form_of},
    seal::Purpose,
    session::Session,
};
pub use self::{
    metadata::Metadata,
    provider::{Provider, ProviderClient},
    seal::SealKeys,
};
use super::{
    Asked,
    credentials::Credentials,
    denial::Denial,
    fields::Leave,
    jwt::{fields_of, unmet},
};
use crate::{
    config::value::ValueMatch,
    exchange::{Body, Exchange, Identity, Reason, Request, Response, claim_text},
    semantics::{Known, date::unix_seconds, forwarded, path::normalise},
};
pub(super) use cookie::is_of;

/// Lets in who has logged in at a provider, and sends others there.
#[derive(Debug)]
pub struct OidcAuth {
    /// The provider, and what it knows the proxy by.
    pub client: ProviderClient,
    /// Keys of the cookies.
    pub keys: SealKeys,
    /// Name of the cookies.
    pub cookie: Box<str>,
    /// The cookies, which no endpoint gets.
    pub credentials: Credentials,
    /// Path at which a login ends.
    pub callback: Box<str>,
    /// Scheme and host of that path; none: those of the request.
    pub origin: Option<Box<str>>,
    /// Path that ends a session.
    pub logout: Box<str>,
    /// Path at which the provider ends sessions.
    pub back_channel: Option<Box<str>>,
    /// Place for who has logged out.
    pub logged_out: Option<Box<str>>,
    /// Scopes, with spaces between.
    pub scopes: Box<str>,
    /// More parameters of the redirect to the provider.
    pub parameters: Vec<(String, String)>,
    /// Conditions on claims.
    pub claims: Vec<(String, ValueMatch)>,
    /// Claims that the endpoint gets in fields.
    pub forward: Vec<(HeaderName, String)>,
    /// Claim with the name of the client.
    pub user: Box<str>,
    /// Time by which clocks may differ.
    pub leeway: Duration,
    /// Time after a login at which a session ends.
    pub lifetime: Duration,
    /// Value of `WWW-Authenticate`.
    pub challenge: HeaderValue,
}

impl OidcAuth {
    pub(super) async fn ask(self: &Arc<Self>, exchange: &Exchange, request: &Request) -> Asked {
        let jar = Jar::new(&self.cookie, exchange, request);
        if is_at(request, &self.callback) {
            return self.end_login(exchange, request, jar).await;
        }
        if is_at(request, &self.logout) {
            return self.log_out(exchange, request, jar);
        }
        let now = unix_now();
        let session = match self.open(jar, now) {
            Ok(session) => session,
            Err(detail) => return self.begin_login(exchange, request, jar, detail),
        };
        let (session, cookies) = match self.renewed(&session, now).await {
            Ok(None) => (session, Vec::new()),
            Ok(Some(new)) => {
                let cookies = self.cookies(jar, &new, now).unwrap_or_default();
                ((*new).clone(), cookies)
            }
            // What is known counts to its end.
            Err(_) if !session.is_over(now) => (session, Vec::new()),
            Err(NoTokens::Unavailable(why)) => return unavailable(&why),
            Err(NoTokens::Refused(_)) => {
                return self.begin_login(exchange, request, jar, "the session was not renewed");
            }
        };
        if session.is_over(now) {
            return self.begin_login(exchange, request, jar, "the session has expired");
        }
        self.pass(session, cookies)
    }

    /// Lets the client of a session in, if its claims are as the route wants them.
    fn pass(&self, session: Session, cookies: Vec<HeaderValue>) -> Asked {
        let claims = session.claims;
        if let Some(name) = unmet(&self.claims, &claims) {
            let detail = format!("oidc: the claim \"{name}\" is not as the route wants it");
            return Asked::Denied(Denial::forbidden(detail).cookies(cookies));
        }
        let leave = Leave {
            fields: fields_of(&self.forward, &claims),
            cookies,
        };
        let identity = Identity {
            user: claim_text(&claims, &self.user).map(Into::into),
            claims: Some(claims),
        };
        Asked::Passed(identity, leave)
    }

    /// Opens the session of a request.
    fn open(&self, jar: Jar<'_>, now: u64) -> Result<Session, &'static str> {
        let sealed = jar.session().ok_or("there is no session")?;
        let text = self.keys.open(Purpose::Session, &sealed);
        let session = text.and_then(|text| Session::read(&text));
        let session = session.ok_or("the cookie is no session of this route")?;
        let age = now.saturating_sub(session.written.began);
        if age >= self.lifetime.as_secs() {
            return Err("the session has lasted its time");
        }
        if self.client.provider.ended.has(&self.client.id, &session) {
            return Err("the session was ended by a logout");
        }
        Ok(session)
    }

    /// Lines that set the cookies of a session; none if it is too long for them.
    fn cookies(&self, jar: Jar<'_>, session: &Session, now: u64) -> Option<Vec<HeaderValue>> {
        let sealed = self.keys.seal(Purpose::Session, &session.write())?;
        jar.set_session(&sealed, session.kept_for(now, self.lifetime.as_secs()))
    }

    /// Scheme and host as the browser sees them.
    fn origin(&self, exchange: &Exchange, request: &Request) -> Option<String> {
        if let Some(origin) = &self.origin {
            return Some(origin.to_string());
        }
        let trusted = &exchange.snapshot.shared.trusted;
        let said = forwarded::client_host(exchange.trust, trusted, &request.headers);
        let said = said.as_ref().map(|said| said.as_str());
        let host = said.unwrap_or_else(|| exchange.host_port());
        (!host.is_empty()).then(|| format!("{}://{host}", exchange.scheme().as_str()))
    }
}

/// Returns true if a request is for this path, in whatever way it is written: routes match the same.
pub(super) fn is_at(request: &Request, path: &str) -> bool {
    normalise(request.uri.path().as_bytes()).is_ok_and(|asked| asked.as_str() == path)
}

fn unavailable(why: &str) -> Asked {
    let reason = Reason::new("destination_unavailable");
    Asked::Denied(Denial::unavailable(reason, format!("oidc: {why}")))
}

fn redirect(status: StatusCode, place: &str, cookies: &[HeaderValue]) -> Asked {
    let Ok(place) = HeaderValue::try_from(place) else {
        let detail = "oidc: a place to go to fits no header";
        return Asked::Denied(Denial::login(StatusCode::BAD_REQUEST, detail));
    };
    let mut response = Response::new(Body::Empty);
    response.status = status;
    response.headers.insert(Known::Location, place);
    answered(response, cookies)
}

fn answered(mut response: Response, cookies: &[HeaderValue]) -> Asked {
    let no_store = HeaderValue::from_static("no-store");
    response.headers.insert(Known::CacheControl, no_store);
    for cookie in cookies {
        response.headers.append(Known::SetCookie, cookie);
    }
    Asked::Answered(Box::new(response))
}

fn with_query(url: &str, parameters: &[(&str, &str)]) -> String {
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}{}", form_of(parameters))
}

fn unix_now() -> u64 {
    unix_seconds(SystemTime::now())
}

/// Time between two fetches of the metadata.
const METADATA_REFRESH: Duration = Duration::from_secs(3600);
/// Time between two fetches of the keys.
const KEYS_REFRESH: Duration = Duration::from_secs(600);
