//! Compiles `shadow` of a route.

use std::sync::Arc;

use semver::VersionReq;

use super::{BuildError, route::Places, route::view_of};
use crate::{
    config::{Config, schema, value},
    filter::Chain,
    resilience::{Backoff, Conditions, RetryPolicy},
    rollout::shadow::{BodyRule, CompareRules, JsonPath, ShadowState},
    state::{Action, ExchangeTimeouts, Registry, Route, Shadow},
};

/// Returns the pool that gets the copies; none if the route names no single one.
pub(super) fn pool_of<'a>(
    config: &'a Config,
    route: &'a schema::Route,
    shadow: &'a schema::Shadow,
) -> Option<&'a value::Name> {
    if let Some(pool) = &shadow.pool {
        return Some(&pool.value);
    }
    match &route.destination {
        schema::Destination::Pool(pool) => Some(&pool.value),
        schema::Destination::Rollout(name) => {
            let rollout = config.rollouts.get(&name.value)?;
            Some(&rollout.pool.value)
        }
        _ => None,
    }
}

/// Returns the results of the shadow of a route, which outlive reloads that leave its target alone.
pub(super) fn state_of(
    registry: &mut Registry,
    route: &Arc<str>,
    pool: &str,
    version: Option<&VersionReq>,
) -> Arc<ShadowState> {
    let target = match version {
        Some(version) => format!("{pool} {version}"),
        None => pool.to_owned(),
    };
    registry.filter(route, "shadow", &target.into(), ShadowState::default)
}

/// Makes the shadow of a route.
pub(super) fn build(
    config: &Config,
    registry: &mut Registry,
    places: &Places<'_>,
    name: &Arc<str>,
    route: &schema::Route,
    written: &schema::Shadow,
) -> Result<Arc<Shadow>, BuildError> {
    let wrong = |message: String| BuildError::Route(Arc::clone(name), message);
    let pool_name = pool_of(config, route, written)
        .ok_or_else(|| wrong("its shadow names no pool".to_owned()))?;
    let pool = places.indices.get(&**pool_name).copied();
    let pool = pool.ok_or_else(|| wrong(format!("pool \"{pool_name}\" is not defined")))?;
    let compiled = &places.pools[pool.0 as usize];
    let view = view_of(compiled, written.version.as_ref());
    let body_max = usize::try_from(written.body_max.bytes()).unwrap_or(usize::MAX);
    let compare = written.compare.as_ref();
    let compare = compare.map(|compare| rules(compare, body_max)).transpose();
    Ok(Arc::new(Shadow {
        pool,
        pool_name: Arc::clone(&compiled.name),
        view,
        version: written.version.clone(),
        share: written.share.get(),
        methods: written.methods.clone(),
        compare: compare.map_err(wrong)?,
        in_flight_max: written.in_flight_max,
        body_max,
        route: Route {
            name: Arc::clone(name),
            action: Action::Pool(pool, view),
            timeouts: ExchangeTimeouts {
                total: written.timeout,
                attempt: written.timeout,
                idle: written.timeout,
            },
            retry: Arc::new(once()),
            filters: Chain::default(),
            // They are bounded by its own `body_max`.
            bounds_bodies: false,
            deadlines: false,
            grpc_web: false,
            logged: false,
            shadow: None,
            version_header: None,
        },
        state: state_of(registry, name, pool_name, written.version.as_ref()),
    }))
}

fn rules(written: &schema::ShadowCompare, body_max: usize) -> Result<CompareRules, String> {
    let paths = || {
        let paths = written.json_ignore.iter();
        let parsed = paths.map(|path| {
            let parsed = JsonPath::parse(path);
            parsed.map_err(|why| format!("shadow.compare.json_ignore: \"{path}\": {why}"))
        });
        parsed.collect::<Result<Vec<_>, _>>()
    };
    Ok(CompareRules {
        status: written.status,
        headers: written.headers.clone(),
        body: match written.body {
            None => BodyRule::Any,
            Some(schema::ShadowBody::Bytes) => BodyRule::Bytes,
            Some(schema::ShadowBody::Json) => BodyRule::Json(paths()?),
        },
        body_max,
    })
}

/// Retries of a copy: none.
fn once() -> RetryPolicy {
    RetryPolicy {
        attempts: 1,
        uncounted_max: 0,
        on: Conditions::default(),
        backoff: Backoff {
            base: std::time::Duration::ZERO,
            max: std::time::Duration::ZERO,
        },
        body_max: 0,
        idempotency_key: false,
        hedge: None,
    }
}
