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
mod fields;
mod forward;
mod jwt;
mod mtls;
mod oidc;
mod password;
mod remote;
mod withhold;

use std::sync::Arc;

use http::HeaderName;

pub(super) use self::jwt::unmet;
#[doc(hidden)]
pub use self::{
    api_key::{ApiKeyAuth, KeyRing},
    basic::BasicAuth,
    credentials::Credentials,
    forward::ForwardAuth,
    jwt::{JwtAuth, TokenKeys, TokenRules},
    mtls::MtlsAuth,
    oidc::{Metadata, OidcAuth, Provider, ProviderClient, SealKeys},
    password::PasswordChecks,
    remote::{Remote, RemoteKeys},
    withhold::WithholdCookies,
};
use self::{
    denial::Denial,
    fields::{Cookies, Fields, Leave},
};
use super::Verdict;
use crate::{
    exchange::{Exchange, Identity, Request, Response},
    failure::Failure,
    semantics::variable,
};

/// Authentication of a route.
#[derive(Debug)]
pub struct AuthFilter {
    steps: Box<[AuthStep]>,
    /// Fields that the endpoint gets from the methods only.
    owned: Box<[HeaderName]>,
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
    /// Login at a provider.
    Oidc(Arc<OidcAuth>),
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
        let methods = steps.iter().flat_map(AuthStep::methods);
        let owned = methods.flat_map(AuthMethod::fields).cloned().collect();
        Self {
            steps: steps.into(),
            owned,
        }
    }

    pub(super) async fn on_request(
        &self,
        exchange: &mut Exchange,
        request: &mut Request,
    ) -> Result<Verdict, Failure> {
        // What the provider asks for carries no credentials of a client.
        if let Some(oidc) = self.back_channel(request) {
            return match Box::pin(oidc.end_sessions(exchange, request)).await {
                Asked::Answered(response) => Ok(Verdict::Reply(*response)),
                Asked::Denied(denial) => Err(denial.refuse(exchange)),
                Asked::Passed(..) => Ok(Verdict::Continue),
            };
        }
        let mut fields = Fields::new(&self.owned);
        for step in &self.steps {
            match step.ask(exchange, request, &fields).await {
                StepAsked::Passed(method, identity, mut leave) => {
                    exchange.identify(identity);
                    leave.keep_cookies(exchange);
                    fields.pass(method, leave.fields);
                }
                StepAsked::Answered(response) => return Ok(Verdict::Reply(*response)),
                StepAsked::Denied(denial) => return Err(denial.refuse(exchange)),
            }
        }
        fields.apply(self.methods(), request);
        Ok(Verdict::Continue)
    }

    /// Returns true if the endpoint must not take a field of this name from the client.
    pub(super) fn owns_of_request(&self, name: &[u8]) -> bool {
        let same = |field: &HeaderName| variable::is_same(name, field.as_str().as_bytes());
        let mut methods = self.methods();
        let of_credentials = |method: &AuthMethod| method.credentials().header().is_some_and(same);
        self.owned.iter().any(same) || methods.any(of_credentials)
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
    pub fn token_keys(&self) -> impl Iterator<Item = Arc<RemoteKeys>> {
        self.methods().filter_map(|method| match method {
            AuthMethod::Jwt(jwt) => match &jwt.keys {
                TokenKeys::Remote(keys) => Some(Arc::clone(keys)),
                TokenKeys::Fixed(_) => None,
            },
            AuthMethod::Oidc(oidc) => oidc.client.provider.keys(),
            _ => None,
        })
    }

    /// Providers at which clients log in.
    pub fn providers(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.methods().filter_map(|method| match method {
            AuthMethod::Oidc(oidc) => Some(&oidc.client.provider),
            _ => None,
        })
    }

    /// The method whose provider ends sessions at the path of a request.
    fn back_channel(&self, request: &Request) -> Option<Arc<OidcAuth>> {
        let mut all = self.methods().filter_map(|method| match method {
            AuthMethod::Oidc(oidc) => Some(oidc),
            _ => None,
        });
        let is_asked = |path: &str| oidc::is_at(request, path);
        let found = all.find(|oidc| oidc.back_channel.as_deref().is_some_and(is_asked));
        found.map(Arc::clone)
    }

    fn methods(&self) -> impl Iterator<Item = &AuthMethod> {
        self.steps.iter().flat_map(AuthStep::methods)
    }
}

impl AuthMethod {
    async fn ask(&self, exchange: &Exchange, request: &Request, fields: &Fields<'_>) -> Asked {
        match self {
            Self::Basic(basic) => basic.ask(exchange, request).await,
            Self::ApiKey(key) => key.ask(request),
            Self::Jwt(jwt) => jwt.ask(request).await,
            Self::Forward(forward) => forward.ask(exchange, request, fields).await,
            Self::Mtls(mtls) => mtls.ask(exchange),
            Self::Oidc(oidc) => Box::pin(oidc.ask(exchange, request)).await,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Basic(_) => "basic",
            Self::ApiKey(_) => "api_key",
            Self::Jwt(_) => "jwt",
            Self::Forward(_) => "forward",
            Self::Mtls(_) => "mtls",
            Self::Oidc(_) => "oidc",
        }
    }

    fn credentials(&self) -> &Credentials {
        match self {
            Self::Basic(_) => &Credentials::AUTHORIZATION,
            Self::ApiKey(key) => &key.credentials,
            Self::Jwt(jwt) => &jwt.credentials,
            Self::Oidc(oidc) => &oidc.credentials,
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
            Self::Oidc(_) => false,
        }
    }

    /// Fields that the endpoint gets from this method only.
    fn fields(&self) -> impl Iterator<Item = &HeaderName> {
        let (of_claims, of_service) = match self {
            Self::Jwt(jwt) => (&jwt.forward[..], &[][..]),
            Self::Oidc(oidc) => (&oidc.forward[..], &[][..]),
            Self::Forward(forward) => (&[][..], &forward.headers[..]),
            Self::Basic(_) | Self::ApiKey(_) | Self::Mtls(_) => (&[][..], &[][..]),
        };
        of_claims.iter().map(|(name, _)| name).chain(of_service)
    }
}

/// Result of asking a step.
#[derive(Debug)]
enum StepAsked<'a> {
    /// This method lets the client pass.
    Passed(&'a AuthMethod, Identity, Leave),
    /// He may not pass.
    Denied(Denial),
    /// He gets this answer of a service.
    Answered(Box<Response>),
}

impl AuthStep {
    fn methods(&self) -> &[AuthMethod] {
        match self {
            Self::One(method) => std::slice::from_ref(method),
            Self::Any(methods) => methods,
        }
    }

    /// Asks its methods until one passes.
    async fn ask(
        &self,
        exchange: &Exchange,
        request: &Request,
        fields: &Fields<'_>,
    ) -> StepAsked<'_> {
        let mut denials = Vec::new();
        let mut answered = None;
        for method in self.methods() {
            match method.ask(exchange, request, fields).await {
                Asked::Denied(denial) => denials.push(denial),
                Asked::Answered(response) => answered = answered.or(Some(response)),
                Asked::Passed(identity, leave) => {
                    return StepAsked::Passed(method, identity, leave);
                }
            }
        }
        // A service knows best where to send a client who has no way in.
        match answered {
            Some(response) => StepAsked::Answered(response),
            None => StepAsked::Denied(Denial::of_all(denials)),
        }
    }
}
