//! Compiles `[routes.NAME]`.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use semver::VersionReq;

use super::{BuildError, Source, filter, shadow};
use crate::{
    config::{Config, schema, value},
    filter::{Chain, Redirect, Respond},
    resilience::{Backoff, Conditions, HedgePolicy, RetryPolicy, UNCOUNTED_MAX},
    rollout::{Rollout, Split, SplitArm, UserRules, cohort::Arm},
    route::{PathMatch, RouteSpec},
    semantics::{Headers, Known, Value},
    state::{Action, ExchangeTimeouts, Registry, Route},
    upstream::{
        endpoint::stable_hash,
        pool::{Pool, PoolIndex, ViewIndex},
    },
};

/// Returns the version requirements of routes on each pool, and on its failover pools.
pub(super) fn requirements(config: &Config) -> HashMap<String, Vec<VersionReq>> {
    let mut wanted: HashMap<String, Vec<VersionReq>> = HashMap::new();
    for route in config.routes.values() {
        let Some(requirement) = &route.version else {
            continue;
        };
        let own = route.destination.pools(config);
        let named = own.iter().filter_map(|name| config.pools.get(&***name));
        let standby = named.flat_map(|pool| &pool.failover);
        for name in own.iter().chain(standby) {
            let list = wanted.entry(name.to_string()).or_default();
            if !list.contains(requirement) {
                list.push(requirement.clone());
            }
        }
    }
    for route in config.routes.values() {
        let Some(shadow) = &route.shadow else {
            continue;
        };
        if let (Some(version), Some(pool)) =
            (&shadow.version, shadow::pool_of(config, route, shadow))
        {
            let list = wanted.entry(pool.to_string()).or_default();
            if !list.contains(version) {
                list.push(version.clone());
            }
        }
    }
    for rollout in config.rollouts.values() {
        let own = config.pools.get(&**rollout.pool);
        let standby = own.map_or(&[][..], |pool| &pool.failover);
        for name in std::iter::once(&rollout.pool).chain(standby) {
            let list = wanted.entry(name.to_string()).or_default();
            for requirement in [&rollout.baseline, &rollout.candidate] {
                if !list.contains(requirement) {
                    list.push(requirement.clone());
                }
            }
        }
    }
    wanted
}

/// Makes the spec of a route: the conditions on a request.
pub(super) fn spec(name: &Arc<str>, written: &schema::Route) -> Result<RouteSpec, BuildError> {
    let wrong =
        |error: &dyn std::fmt::Display| BuildError::Route(Arc::clone(name), error.to_string());
    let path = match &written.path {
        None => PathMatch::Any,
        Some(rule) => rule.matcher().map_err(|error| wrong(&error))?,
    };
    let listeners = &written.listeners;
    Ok(RouteSpec {
        name: Arc::clone(name),
        listeners: (!listeners.is_empty())
            .then(|| listeners.iter().map(|listener| listener.shared()).collect()),
        hosts: written.hosts.clone(),
        path,
        methods: written.methods.clone(),
        preflights: written.cors.is_some(),
        headers: written.headers.clone(),
        query: written.query.clone(),
        cookies: written.cookies.clone(),
        source: written.source.clone(),
        client_certificate: written
            .client_certificate
            .iter()
            .flat_map(schema::CertificateMatch::conditions)
            .map(certificate_part)
            .collect(),
        priority: written.priority,
    })
}

/// Destinations of routes.
pub(super) struct Places<'a> {
    /// Index of each pool by its name.
    pub(super) indices: &'a HashMap<&'a str, PoolIndex>,
    /// The pools by index.
    pub(super) pools: &'a [Arc<Pool>],
    /// The rollouts.
    pub(super) rollouts: &'a [Arc<Rollout>],
}

/// Makes the compiled route: the treatment of a request.
pub(super) fn build(
    source: &Source<'_>,
    registry: &mut Registry,
    places: &Places<'_>,
    policies: &mut HashSet<Arc<RetryPolicy>>,
    name: &Arc<str>,
    written: &schema::Route,
) -> Result<Route, BuildError> {
    let find = |pool: &value::Name| {
        let Some(index) = places.indices.get(&**pool) else {
            let message = format!("pool \"{pool}\" is not defined");
            return Err(BuildError::Route(Arc::clone(name), message));
        };
        let view = view_of(&places.pools[index.0 as usize], written.version.as_ref());
        Ok((*index, view))
    };
    let action = match &written.destination {
        schema::Destination::Pool(pool) => {
            let (index, view) = find(pool)?;
            Action::Pool(index, view)
        }
        schema::Destination::Split(split) => {
            Action::Split(Arc::new(self::split(written, split, find)?))
        }
        schema::Destination::Rollout(wanted) => {
            let Some(rollout) = places.rollouts.iter().find(|it| *it.name == ***wanted) else {
                let message = format!("rollout \"{}\" is not defined", &***wanted);
                return Err(BuildError::Route(Arc::clone(name), message));
            };
            Action::Rollout(Arc::clone(rollout))
        }
        schema::Destination::Redirect(redirect) => Action::Redirect(Box::new(Redirect {
            to: redirect.to.clone(),
            status: redirect.status,
        })),
        schema::Destination::Respond(respond) => {
            let mut headers = Headers::from_iter(respond.headers.clone());
            let respond = match &respond.file {
                None => Respond::of_text(respond.status, headers, &respond.body),
                Some(file) => {
                    if !headers.contains(Known::ContentType) {
                        headers.insert(Known::ContentType, Value::from_static(file.media_type()));
                    }
                    Respond::new(respond.status, headers, file.bytes.clone())
                }
            };
            Action::Respond(Box::new(respond))
        }
    };
    Ok(Route {
        name: Arc::clone(name),
        action,
        timeouts: ExchangeTimeouts {
            total: written.timeouts.total,
            attempt: written.timeouts.attempt.unwrap_or(written.timeouts.total),
            idle: written.timeouts.idle,
        },
        retry: shared(policies, retry(written)),
        bounds_bodies: matches!(written.body_max, value::BodyBound::Default)
            && !written.destination.pools(&source.config).is_empty(),
        deadlines: written.timeouts.from_client,
        filters: Chain::new(filter::build(source, registry, name, written)?),
        grpc_web: written.grpc_web,
        logged: written.access_log,
        version_header: written.version_header.clone().map(Box::new),
        shadow: written
            .shadow
            .as_ref()
            .map(|it| shadow::build(&source.config, registry, places, name, written, it))
            .transpose()?,
    })
}

/// Returns the view of a pool with this requirement.
pub(super) fn view_of(pool: &Pool, wanted: Option<&VersionReq>) -> ViewIndex {
    let mut views = pool.rules.requirements.iter();
    let view = views.position(|requirement| requirement.as_ref() == wanted);
    ViewIndex(view.and_then(|view| u32::try_from(view).ok()).unwrap_or(0))
}

fn split(
    route: &schema::Route,
    written: &schema::Split,
    find: impl Fn(&value::Name) -> Result<(PoolIndex, ViewIndex), BuildError>,
) -> Result<Split, BuildError> {
    let arms = written.0.iter().map(|(name, weight)| {
        let (pool, view) = find(name)?;
        Ok(SplitArm {
            pool,
            view,
            name: name.shared(),
            arm: Arm {
                key: stable_hash(name.as_bytes()),
                weight: weight.value,
            },
        })
    });
    let pin = route.pin.clone().unwrap_or_default();
    Ok(Split {
        arms: arms.collect::<Result<_, _>>()?,
        users: UserRules {
            by: pin.by,
            cookie: pin.cookie,
        },
    })
}

/// Returns the equal one of these policies, if there is one.
fn shared(policies: &mut HashSet<Arc<RetryPolicy>>, policy: RetryPolicy) -> Arc<RetryPolicy> {
    if let Some(same) = policies.get(&policy) {
        return Arc::clone(same);
    }
    let policy = Arc::new(policy);
    policies.insert(Arc::clone(&policy));
    policy
}

fn retry(route: &schema::Route) -> RetryPolicy {
    let hedge = route.hedge.as_ref().map(|hedge| HedgePolicy {
        after: hedge.after,
        max: hedge.max,
    });
    let Some(written) = &route.retry else {
        return RetryPolicy {
            attempts: 1,
            uncounted_max: 0,
            on: Conditions::default(),
            backoff: Backoff {
                base: std::time::Duration::ZERO,
                max: std::time::Duration::ZERO,
            },
            body_max: 0,
            idempotency_key: false,
            hedge,
        };
    };
    RetryPolicy {
        attempts: written.attempts,
        uncounted_max: UNCOUNTED_MAX,
        on: written.on.iter().copied().collect(),
        backoff: Backoff {
            base: written.backoff.base,
            max: written.backoff.max,
        },
        body_max: written.body_max.bytes(),
        idempotency_key: written.idempotency_key,
        hedge,
    }
}

/// Makes a part of a certificate and its condition, in their stored form.
fn certificate_part(
    (part, wanted): (value::CertificatePart, &value::ValueMatch),
) -> (value::CertificatePart, value::ValueMatch) {
    (part, certificate_name(part, wanted.clone()))
}

/// Makes a condition on a name in a certificate, in its stored form.
pub(super) fn certificate_name(
    part: value::CertificatePart,
    wanted: value::ValueMatch,
) -> value::ValueMatch {
    match (part, wanted) {
        (value::CertificatePart::Dns, value::ValueMatch::Exact(name)) => {
            value::ValueMatch::Exact(name.to_ascii_lowercase().into())
        }
        (value::CertificatePart::Ip, value::ValueMatch::Exact(address)) => {
            let same = address.parse().map(|it: std::net::IpAddr| it.to_string());
            value::ValueMatch::Exact(same.map_or_else(|_| address.clone(), Into::into))
        }
        (_, wanted) => wanted,
    }
}
