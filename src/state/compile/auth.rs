//! `auth` of a route compiled.

use std::sync::Arc;

use http::{HeaderValue, uri::PathAndQuery};

use crate::{
    config::schema,
    filter::{
        ApiKeyAuth, AuthFilter, AuthMethod, AuthStep, BasicAuth, Credentials, ForwardAuth, JwtAuth,
        KeyRing, MtlsAuth, PasswordChecks, RemoteKeys, TokenKeys, TokenRules,
    },
    state::Registry,
};

use super::route::certificate_name;
use crate::config::value::CertificatePart;

/// Makes the filter; none without steps.
pub(super) fn build(
    registry: &mut Registry,
    route: &Arc<str>,
    written: &schema::Route,
) -> Option<AuthFilter> {
    let steps = &written.auth.as_ref()?.0.0;
    let mut one = |step: &schema::AuthStep| method(registry, route, written, step);
    let steps = steps.iter().filter_map(|step| match &step.value {
        schema::AuthStep::Any(any) => {
            let any = any.0.iter().filter_map(|step| one(&step.value)).collect();
            Some(AuthStep::Any(any))
        }
        step => one(step).map(AuthStep::One),
    });
    let steps: Vec<AuthStep> = steps.collect();
    (!steps.is_empty()).then(|| AuthFilter::new(steps))
}

fn method(
    registry: &mut Registry,
    route: &Arc<str>,
    whole: &schema::Route,
    written: &schema::AuthStep,
) -> Option<AuthMethod> {
    Some(match written {
        schema::AuthStep::Basic(basic) => {
            let realm = basic.realm.as_deref().unwrap_or(route);
            AuthMethod::Basic(BasicAuth {
                users: Arc::clone(&basic.file.content),
                checks: checks(registry),
                challenge: challenge("Basic", realm, ", charset=\"UTF-8\""),
                keep: basic.keep,
            })
        }
        schema::AuthStep::ApiKey(key) => {
            let credentials = credentials(&key.source);
            let scheme = match credentials == Credentials::AUTHORIZATION {
                true => "Bearer",
                false => "ApiKey",
            };
            AuthMethod::ApiKey(Box::new(ApiKeyAuth {
                keys: KeyRing::new(&key.file.content),
                credentials,
                keep: key.keep,
                challenge: challenge(scheme, route, ""),
            }))
        }
        schema::AuthStep::Jwt(jwt) => AuthMethod::Jwt(Box::new(token(registry, route, jwt)?)),
        schema::AuthStep::Forward(forward) => AuthMethod::Forward(Box::new(ForwardAuth {
            pool: forward.pool.shared(),
            // The check refuses one that is not.
            target: PathAndQuery::try_from(forward.path.as_str()).ok()?,
            timeout: forward.timeout,
            headers: forward.headers.clone(),
            user: forward.user.clone(),
        })),
        schema::AuthStep::Mtls(mtls) => {
            let dns = mtls.dns.iter().cloned();
            let dns = dns.map(|it| certificate_name(CertificatePart::Dns, it));
            AuthMethod::Mtls(MtlsAuth {
                subjects: mtls.subjects.clone(),
                dns: dns.collect(),
                uris: mtls.uris.clone(),
            })
        }
        schema::AuthStep::Oidc(oidc) => {
            AuthMethod::Oidc(Arc::new(super::oidc::build(registry, route, whole, oidc)?))
        }
        // Refused by the check.
        schema::AuthStep::Any(_) => return None,
    })
}

fn credentials(source: &schema::KeySource) -> Credentials {
    match source {
        schema::KeySource::Header(name) => Credentials::Header(name.clone()),
        schema::KeySource::Query(name) => Credentials::Query(name.as_str().into()),
        schema::KeySource::Cookie(name) => Credentials::Cookie(name.as_str().into()),
    }
}

fn token(registry: &mut Registry, route: &Arc<str>, written: &schema::JwtAuth) -> Option<JwtAuth> {
    let keys = match &written.jwks {
        schema::JwksSource::File(file) => TokenKeys::Fixed(Arc::clone(&file.content)),
        schema::JwksSource::Url(url) => {
            let ca = written.ca.clone();
            let identity = format!("{url} {:?} {:?}", ca, written.refresh).into();
            let make = || RemoteKeys::new(url.clone(), ca, written.refresh);
            TokenKeys::Remote(registry.filter(&"".into(), "token_keys", &identity, make))
        }
    };
    let source = written.source.as_ref();
    Some(JwtAuth {
        keys,
        rules: TokenRules {
            algorithms: written.counting(),
            issuer: written.issuer.clone(),
            audience: written.audience.clone(),
            claims: written.claims.clone(),
            leeway: written.leeway.as_secs_f64(),
        },
        credentials: source.map_or(Credentials::AUTHORIZATION, credentials),
        keep: written.keep,
        forward: written.forward.clone(),
        challenge: challenge("Bearer", route, ""),
        invalid: challenge("Bearer", route, ", error=\"invalid_token\""),
    })
}

/// The checks of passwords, for all routes.
fn checks(registry: &mut Registry) -> Arc<PasswordChecks> {
    let cores = registry.workers();
    let (owner, name) = ("".into(), "".into());
    registry.filter(&owner, "passwords", &name, || PasswordChecks::new(cores))
}

pub(super) fn challenge(scheme: &str, realm: &str, more: &str) -> HeaderValue {
    let challenge = format!("{scheme} realm=\"{realm}\"{more}");
    // The check refuses a realm that does not fit.
    HeaderValue::try_from(challenge).unwrap_or(HeaderValue::from_static("Basic"))
}
