//! Authentication of clients.
//!
//! A route has steps, which must all pass; a step is one method, or several of which one is enough.
//! A client learns that he may not pass, and how he could; the reason stands in the access log and
//! in `why` only. What a client sends is not an identity: credentials that were not checked do not
//! go to the endpoint.

mod api_key;
mod basic;
mod credentials;
mod denial;
mod forward;
mod jwt;
mod mtls;
mod password;

use std::sync::Arc;

use http::{HeaderName, HeaderValue};

#[doc(hidden)]
pub use self::{
    api_key::{ApiKeyAuth, KeyRing},
    basic::BasicAuth,
    credentials::Credentials,
    forward::ForwardAuth,
    jwt::{JwtAuth, RemoteKeys, TokenKeys, TokenRules},
    mtls::MtlsAuth,
    password::PasswordChecks,
};
use self::{
    denial::Denial,
    forward::{Cookies, Leave},
};
use super::Verdict;
use crate::{
    exchange::{Exchange, Identity, Request, Response},
    failure::Failure,
};

/// Authentication of a route.
#[derive(Debug)]
pub struct AuthFilter {
    steps: Box<[AuthStep]>,
}

/// A step that must pass.
#[derive(Debug)]
pub enum AuthStep {
    /// One method.
    One(AuthMethod),
    /// Several, of which one is enough.
    Any(Box<[AuthMethod]>),
}

/// A way to authenticate a client.
#[derive(Debug)]
pub enum AuthMethod {
    /// Name and password.
    Basic(BasicAuth),
    /// Key of a program.
    ApiKey(Box<ApiKeyAuth>),
    /// Signed token.
    Jwt(Box<JwtAuth>),
    /// Leave of a service.
    Forward(Box<ForwardAuth>),
    /// Verified certificate.
    Mtls(MtlsAuth),
}

/// Result of asking one method.
#[derive(Debug)]
enum Asked {
    /// The client may pass.
    Passed(Identity, Leave),
    /// He may not.
    Denied(Denial),
    /// He gets this answer of a service.
    Answered(Box<Response>),
}

impl Asked {
    /// The client of this name may pass.
    fn named(user: Option<Box<str>>) -> Self {
        let identity = Identity { user, claims: None };
        Self::Passed(identity, Leave::default())
    }
}

impl AuthFilter {
    /// Makes the filter of these steps.
    pub fn new(steps: Vec<AuthStep>) -> Self {
        Self {
            steps: steps.into(),
        }
    }

    pub(super) async fn on_request(
        &self,
        exchange: &mut Exchange,
        request: &mut Request,
    ) -> Result<Verdict, Failure> {
        let owned = self.methods().flat_map(AuthMethod::fields);
        for name in owned {
            request.headers.remove(name);
        }
        for step in &self.steps {
            let asked = match step {
                AuthStep::One(method) => method.ask(exchange, request).await,
                AuthStep::Any(methods) => ask_any(methods, exchange, request).await,
            };
            match asked {
                Asked::Passed(identity, leave) => {
                    exchange.identify(identity);
                    leave.apply(exchange, request);
                }
                Asked::Answered(response) => return Ok(Verdict::Reply(*response)),
                Asked::Denied(denial) => return Err(denial.refuse(exchange)),
            }
        }
        for (name, claim) in self.methods().flat_map(AuthMethod::claims) {
            let text = exchange
                .claim(claim)
                .map(|text| HeaderValue::from_str(&text));
            if let Some(Ok(value)) = text {
                request.headers.insert(name, &value);
            }
        }
        // Only now: two steps may read the same field.
        for method in self.methods() {
            if !method.keeps() {
                method.credentials().remove(request);
            }
        }
        Ok(Verdict::Continue)
    }

    /// Returns true if the endpoint must not take a field of this name from the client.
    pub(super) fn owns_of_request(&self, name: &[u8]) -> bool {
        let same = |field: &HeaderName| name.eq_ignore_ascii_case(field.as_str().as_bytes());
        let mut methods = self.methods();
        methods.any(|method| {
            method.fields().any(same)
                || (!method.keeps() && method.credentials().header().is_some_and(same))
        })
    }

    /// Names of the methods in their order, those of which one is enough with `|` between them.
    pub fn names(&self) -> Vec<String> {
        let steps = self.steps.iter().map(|step| match step {
            AuthStep::One(method) => method.name().to_owned(),
            AuthStep::Any(methods) => {
                let names: Vec<&str> = methods.iter().map(AuthMethod::name).collect();
                names.join(" | ")
            }
        });
        steps.collect()
    }

    pub(super) fn on_response(&self, exchange: &mut Exchange, response: &mut Response) {
        if let Some(cookies) = exchange.take_kept::<Cookies>() {
            cookies.give(response);
        }
    }

    /// Keys of tokens that are fetched.
    pub fn token_keys(&self) -> impl Iterator<Item = &Arc<RemoteKeys>> {
        self.methods().filter_map(|method| match method {
            AuthMethod::Jwt(jwt) => match &jwt.keys {
                TokenKeys::Remote(keys) => Some(keys),
                TokenKeys::Fixed(_) => None,
            },
            _ => None,
        })
    }

    fn methods(&self) -> impl Iterator<Item = &AuthMethod> {
        self.steps.iter().flat_map(|step| match step {
            AuthStep::One(method) => std::slice::from_ref(method),
            AuthStep::Any(methods) => methods,
        })
    }

    /// Returns a target with `***` in place of the keys in it, for log and `why`; none if it has none.
    pub(super) fn masked(&self, target: &str) -> Option<String> {
        self.methods().fold(None, |masked, method| {
            let target = masked.as_deref().unwrap_or(target);
            method.credentials().masked(target).or(masked)
        })
    }
}

impl AuthMethod {
    async fn ask(&self, exchange: &Exchange, request: &Request) -> Asked {
        match self {
            Self::Basic(basic) => basic.ask(exchange, request).await,
            Self::ApiKey(key) => key.ask(request),
            Self::Jwt(jwt) => jwt.ask(request).await,
            Self::Forward(forward) => forward.ask(exchange, request).await,
            Self::Mtls(mtls) => mtls.ask(exchange),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Basic(_) => "basic",
            Self::ApiKey(_) => "api_key",
            Self::Jwt(_) => "jwt",
            Self::Forward(_) => "forward",
            Self::Mtls(_) => "mtls",
        }
    }

    fn credentials(&self) -> &Credentials {
        match self {
            Self::Basic(_) => &Credentials::AUTHORIZATION,
            Self::ApiKey(key) => &key.credentials,
            Self::Jwt(jwt) => &jwt.credentials,
            Self::Forward(_) | Self::Mtls(_) => &Credentials::None,
        }
    }

    /// Returns true if the endpoint gets the credentials.
    fn keeps(&self) -> bool {
        match self {
            Self::Basic(basic) => basic.keep,
            Self::ApiKey(key) => key.keep,
            Self::Jwt(jwt) => jwt.keep,
            Self::Forward(_) | Self::Mtls(_) => true,
        }
    }

    /// Claims that the endpoint gets in fields.
    fn claims(&self) -> impl Iterator<Item = (&HeaderName, &str)> {
        let claims = match self {
            Self::Jwt(jwt) => &jwt.forward[..],
            _ => &[],
        };
        claims.iter().map(|(name, claim)| (name, &**claim))
    }

    /// Fields that the endpoint gets from this method only.
    fn fields(&self) -> impl Iterator<Item = &HeaderName> {
        let of_service = match self {
            Self::Forward(forward) => &forward.headers[..],
            _ => &[],
        };
        self.claims().map(|(name, _)| name).chain(of_service)
    }
}

/// Asks several methods until one passes. What the others would have had to check goes away: it may
/// be forged.
async fn ask_any(methods: &[AuthMethod], exchange: &Exchange, request: &mut Request) -> Asked {
    let mut denials = Vec::new();
    let mut answered = None;
    for method in methods {
        match method.ask(exchange, request).await {
            Asked::Denied(denial) => denials.push(denial),
            Asked::Answered(response) => answered = answered.or(Some(response)),
            Asked::Passed(identity, leave) => {
                let passed = method.credentials();
                let others = methods.iter().map(AuthMethod::credentials);
                for other in others.filter(|other| *other != passed) {
                    other.remove(request);
                }
                return Asked::Passed(identity, leave);
            }
        }
    }
    // A service knows best where to send a client who has no way in.
    match answered {
        Some(response) => Asked::Answered(response),
        None => Asked::Denied(Denial::of_all(denials)),
    }
}
