//! `auth` of a route compiled.

use std::sync::Arc;

use http::HeaderValue;

use crate::{
    config::schema,
    filter::{
        ApiKeyAuth, AuthFilter, AuthMethod, AuthStep, BasicAuth, Credentials, KeyRing, MtlsAuth,
        PasswordChecks,
    },
    state::Registry,
};

use super::route::certificate_name;
use crate::config::value::CertificatePart;

/// Makes the filter; none without steps.
pub(super) fn build(
    registry: &mut Registry,
    route: &Arc<str>,
    written: Option<&schema::Auth>,
) -> Option<AuthFilter> {
    let steps = &written?.0.0;
    let mut one = |step: &schema::AuthStep| method(registry, route, step);
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
            let credentials = match &key.source {
                schema::KeySource::Header(name) => Credentials::Header(name.clone()),
                schema::KeySource::Query(name) => Credentials::Query(name.as_str().into()),
                schema::KeySource::Cookie(name) => Credentials::Cookie(name.as_str().into()),
            };
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
        schema::AuthStep::Mtls(mtls) => {
            let dns = mtls.dns.iter().cloned();
            let dns = dns.map(|it| certificate_name(CertificatePart::Dns, it));
            AuthMethod::Mtls(MtlsAuth {
                subjects: mtls.subjects.clone(),
                dns: dns.collect(),
                uris: mtls.uris.clone(),
            })
        }
        // Refused by the check.
        schema::AuthStep::Any(_) => return None,
    })
}

/// The checks of passwords, for all routes.
fn checks(registry: &mut Registry) -> Arc<PasswordChecks> {
    let cores = registry.workers();
    let (owner, name) = ("".into(), "".into());
    registry.filter(&owner, "passwords", &name, || PasswordChecks::new(cores))
}

fn challenge(scheme: &str, realm: &str, more: &str) -> HeaderValue {
    let challenge = format!("{scheme} realm=\"{realm}\"{more}");
    // The check refuses a realm that does not fit.
    HeaderValue::try_from(challenge).unwrap_or(HeaderValue::from_static("Basic"))
}
