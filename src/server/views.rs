//! Views of routes and pools for the admin API.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::{
    admin::model,
    filter::{AuthFilter, ConcurrencyFilter},
    resilience::breaker::BreakerView,
    rollout::shadow::ShadowResult,
    semantics::date::unix_seconds,
    state::{Action, ExplainedRate, Route, Shadow, Snapshot},
    upstream::{
        condition::Condition,
        discovery::SourceSpec,
        endpoint::Standing,
        pool::{Origin, Pool, ViewIndex},
        tier,
    },
    worker::{ConnectionView, HolderView, InFlight},
};

type Picks = HashMap<Arc<[Box<str>]>, u64>;

/// Returns all routes in the order of precedence; `config` is their masked table.
pub(super) fn routes(snapshot: &Snapshot, mut config: Map<String, Value>) -> Vec<model::Route> {
    let order = snapshot.table.in_order().into_iter();
    let routes = order.map(|index| &snapshot.routes[index.0 as usize]);
    routes
        .map(|route| {
            let config = config.remove(&*route.name).unwrap_or_default();
            route_view(snapshot, route, config)
        })
        .collect()
}

/// Makes the view of an open connection.
pub(super) fn connection(view: ConnectionView) -> model::Connection {
    model::Connection {
        id: view.id,
        listener: view.listener,
        client: view.client,
        protocol: view.protocol.to_owned(),
        tls_subject: view.tls_subject,
        age_ms: view.age_ms,
        requests: view.requests,
        in_flight: view.in_flight,
        closing: view.closing,
        generation: view.generation,
        exchanges: view.exchanges.into_iter().map(exchange).collect(),
    }
}

fn exchange(view: HolderView) -> model::ExchangeUnderWay {
    model::ExchangeUnderWay {
        age_ms: view.age_ms,
        generation: view.generation,
        route: view.route,
        pool: view.pool,
        endpoint: view.endpoint,
        version: view.version,
    }
}

/// Views of pools, and the data they are made from.
pub(super) struct PoolViews<'s> {
    snapshot: &'s Snapshot,
    config: Map<String, Value>,
    picks: Picks,
}

impl<'s> PoolViews<'s> {
    /// `config` is the masked table of pools; `picks` are counts by pool and endpoint.
    pub(super) fn new(snapshot: &'s Snapshot, config: Map<String, Value>, picks: Picks) -> Self {
        Self {
            snapshot,
            config,
            picks,
        }
    }

    /// Makes the view of one pool; call it once per pool.
    pub(super) fn of(&mut self, pool: &Pool) -> model::Pool {
        let panic = tier::is_in_panic(&self.snapshot.pools, pool, ViewIndex(0));
        let set = pool.endpoint_set();
        let picture = set.health.picture();
        let origin = Origin::of(pool);
        let absent = pool.shared.discovered.absent();
        let now = Instant::now();
        let now_secs = unix_seconds(SystemTime::now());
        let endpoints = set.endpoints.iter().zip(&picture.endpoints);
        let endpoints = endpoints.map(|(endpoint, view)| {
            let labels = [&*pool.name, &*endpoint.label].map(Box::from);
            let picks = self.picks.get(labels.as_slice()).copied();
            let left = |until: Instant| until.saturating_duration_since(now).as_millis();
            let condition = Condition::of(endpoint, view, panic);
            model::Endpoint {
                address: endpoint.label.to_string(),
                source: origin.word(&endpoint.label).to_owned(),
                down: match &endpoint.standing {
                    Standing::Up => None,
                    Standing::Down(why) | Standing::Leaving(why) => Some(why.to_string()),
                },
                absent: absent.contains(&endpoint.label),
                state: view.state.word().to_owned(),
                eligible: condition.serves,
                condition: condition.words.into_owned(),
                cause: view.cause.as_ref().map(ToString::to_string),
                ejected_for_ms: view
                    .ejected_until
                    .map(|until| u64::try_from(left(until)).unwrap_or(0)),
                ejections: view.ejections,
                starts_for_ms: view.recovered.and_then(|since| {
                    let left = pool.slow_start.checked_sub(now.duration_since(since))?;
                    u64::try_from(left.as_millis())
                        .ok()
                        .filter(|_| view.eligible)
                }),
                weight: endpoint.weight,
                version: endpoint.version_label.as_deref().map(str::to_owned),
                zone: endpoint.zone.as_deref().map(str::to_owned),
                priority: endpoint.priority,
                labels: endpoint.labels.clone(),
                picks: picks.or_else(|| (!self.folds(pool)).then_some(0)),
                in_flight: None,
                sessions: pool.sessions.as_ref().map(|_| {
                    let shared = pool.shared.endpoint(&endpoint.label);
                    shared.sessions.lately(now_secs)
                }),
            }
        });
        let endpoints = endpoints.collect();
        let written = self.config.get_mut(&*pool.name);
        let picker = written
            .and_then(|table| table.get_mut("picker"))
            .map(Value::take);
        model::Pool {
            name: pool.name.to_string(),
            picker: picker.unwrap_or_default(),
            panic,
            breaker: pool.shared.breaker.view(now).map(breaker_view),
            connections: pool.shared.connections.load(Ordering::Relaxed),
            retries_in_flight: pool.shared.budget.retries(),
            discovery: pool
                .discovery
                .as_ref()
                .map(|it| source_view(pool, &it.source)),
            endpoints,
        }
    }
}

impl PoolViews<'_> {
    /// Returns true if some endpoints of a pool have no counts of their own.
    fn folds(&self, pool: &Pool) -> bool {
        self.picks
            .contains_key([&*pool.name, "other"].map(Box::from).as_slice())
    }
}

/// Adds the requests in flight that workers report to the endpoints of a pool.
pub(super) fn count_in_flight(pool: &mut model::Pool, workers: &[InFlight]) {
    for endpoint in &mut pool.endpoints {
        let own = workers.iter().flatten();
        let own = own.filter(|(address, _)| **address == *endpoint.address);
        endpoint.in_flight = Some(own.map(|(_, count)| u64::from(*count)).sum());
    }
}

/// Adds the requests in flight that workers report to the endpoints of all pools.
pub(super) fn count_all_in_flight(
    pools: &mut [model::Pool],
    workers: &[Vec<(Arc<str>, InFlight)>],
) {
    let mut sums: HashMap<(&str, &str), u64> = HashMap::new();
    for (pool, endpoints) in workers.iter().flatten() {
        for (address, count) in endpoints {
            *sums.entry((pool, address)).or_default() += u64::from(*count);
        }
    }
    for pool in pools {
        for endpoint in &mut pool.endpoints {
            let sum = sums.get(&(&*pool.name, &*endpoint.address)).copied();
            endpoint.in_flight = Some(sum.unwrap_or_default());
        }
    }
}

fn breaker_view(view: BreakerView) -> model::PoolBreaker {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    model::PoolBreaker {
        state: view.state.word().to_owned(),
        cause: view.cause.map(|cause| cause.to_string()),
        lasted_ms: millis(view.lasted),
        refuses_for_ms: view.left.map(millis),
        calls: view.calls.total(),
        failed: view.calls.bad(),
    }
}

fn source_view(pool: &Pool, source: &SourceSpec) -> model::PoolDiscovery {
    let status = pool.shared.discovered.status();
    let time = |time: SystemTime| {
        let time = time.max(SystemTime::UNIX_EPOCH);
        humantime::format_rfc3339_millis(time).to_string()
    };
    let since = status.error.as_ref().map(|(_, since)| time(*since));
    model::PoolDiscovery {
        source: source.kind().to_owned(),
        from: source.to_string(),
        endpoints: status.endpoints,
        succeeded: status.succeeded.map(time),
        changed: status.changed.map(time),
        error: status.error.map(|(error, _)| error),
        error_since: since,
        trouble: status.trouble.as_ref().map(|(text, _)| text.clone()),
        trouble_since: status.trouble.as_ref().map(|(_, since)| time(*since)),
        restored: status.restored.map(time),
        held: status.held.map_or(0, |held| held.count),
        held_down: status.held.map_or(0, |held| held.down),
        held_since: status.held.map(|held| time(held.since)),
        held_until: status.held.map(|held| time(held.until)),
        absent: status.absent,
        skipped: status.skipped.count(),
        skipped_entries: status.skipped.first().to_vec(),
    }
}

fn concurrency_view(filter: &ConcurrencyFilter) -> model::Concurrency {
    let view = filter.view();
    model::Concurrency {
        per: view.per.to_owned(),
        limit: view.limit,
        in_use: view.now.in_use,
        waiting: view.now.waiting,
        refused: view.refused,
    }
}

fn shadow_view(shadow: &Shadow) -> model::Shadow {
    let state = &shadow.state;
    let results = ShadowResult::ALL.map(|result| (result.word().to_owned(), state.counted(result)));
    let mismatches = state.mismatches().into_iter().map(|it| {
        let time = humantime::format_rfc3339_millis(it.time);
        model::ShadowMismatch {
            time: time.to_string(),
            request_id: it.request_id,
            method: it.method,
            path: it.path,
            difference: it.difference,
            endpoint: it.endpoint,
        }
    });
    model::Shadow {
        pool: shadow.pool_name.to_string(),
        version: shadow.version.as_ref().map(ToString::to_string),
        share: shadow.share,
        in_flight: state.under_way(),
        results: results
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .collect(),
        mismatches: mismatches.collect(),
    }
}

fn route_view(snapshot: &Snapshot, route: &Route, config: Value) -> model::Route {
    let mut view = model::Route {
        name: route.name.to_string(),
        filters: route
            .filters
            .names()
            .into_iter()
            .map(str::to_owned)
            .collect(),
        from_policies: snapshot.config.policies.of_route(&route.name),
        pool: None,
        split: None,
        rollout: None,
        redirect: None,
        respond: None,
        auth: route.filters.auth().flat_map(AuthFilter::names).collect(),
        maintenance: route.filters.is_closed(),
        rate_limits: route.filters.rate_rules().map(ExplainedRate::of).collect(),
        concurrency: route.filters.concurrency().map(concurrency_view).collect(),
        shadow: route.shadow.as_deref().map(shadow_view),
        config,
    };
    match &route.action {
        Action::Pool(pool, _) => {
            view.pool = Some(snapshot.pools[pool.0 as usize].name.to_string());
        }
        Action::Split(split) => {
            let shares = split.shares();
            view.split = Some(
                shares
                    .map(|(arm, share)| (arm.name.to_string(), share))
                    .collect(),
            );
        }
        Action::Rollout(rollout) => {
            view.pool = Some(snapshot.pools[rollout.pool.0 as usize].name.to_string());
            view.rollout = Some(rollout.name.to_string());
        }
        Action::Redirect(redirect) => view.redirect = Some(redirect.status.as_u16()),
        Action::Respond(respond) => view.respond = Some(respond.status().as_u16()),
    }
    view
}
