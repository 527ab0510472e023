//! State that limits have learned and counted, for the next process.
//!
//! Requests under way and waiting stay in the old process, which ends them.

use std::{collections::BTreeMap, time::SystemTime};

use tokio::time::Instant;

use crate::{
    filter::{CarriedBuckets, LocalRates},
    resilience::{CarriedBreaker, concurrency::CarriedGradient},
    semantics::date::unix_seconds,
    state::Snapshot,
};

/// Breakers that are not closed, by pool.
pub(super) type Breakers = BTreeMap<Box<str>, CarriedBreaker>;
/// Buckets of rate limits, by the identity of the rule.
pub(super) type Buckets = BTreeMap<Box<str>, CarriedBuckets>;
/// Sessions given lately, by pool and endpoint.
pub(super) type Sessions = BTreeMap<Box<str>, BTreeMap<Box<str>, [u64; 3]>>;
/// Limits on requests at once that have adapted, by route.
pub(super) type Limits = BTreeMap<Box<str>, CarriedGradient>;

pub(super) fn breakers(snapshot: &Snapshot, now: Instant) -> Breakers {
    let pools = snapshot.pools.iter();
    let carried = pools.filter_map(|pool| {
        let breaker = pool.shared.breaker.carried(now)?;
        Some((Box::from(&*pool.name), breaker))
    });
    carried.collect()
}

pub(super) fn take_breakers(snapshot: &Snapshot, carried: &Breakers, now: Instant) {
    for (pool, carried) in carried {
        if let Some(pool) = snapshot.pool(pool) {
            pool.shared.breaker.take_over(*carried, now);
        }
    }
}

/// The buckets of all rules; of each the fullest, and all together no more than [`KEYS_MAX`].
pub(super) fn buckets(snapshot: &Snapshot, now: Instant) -> Buckets {
    let mut carried = Buckets::new();
    let mut left = KEYS_MAX;
    for_each_rule(snapshot, |identity, rates, gcra| {
        if !carried.contains_key(identity) && left > 0 {
            let buckets = rates.carried(gcra, left.min(KEYS_OF_RULE_MAX), now);
            left -= buckets.len();
            carried.insert(identity.into(), buckets);
        }
    });
    carried
}

pub(super) fn take_buckets(snapshot: &Snapshot, mut carried: Buckets, now: Instant) {
    for_each_rule(snapshot, |identity, rates, gcra| {
        if let Some(buckets) = carried.remove(identity) {
            rates.take_over(gcra, &buckets, now);
        }
    });
}

fn for_each_rule(
    snapshot: &Snapshot,
    mut see: impl FnMut(&str, &LocalRates, crate::resilience::Gcra),
) {
    let of_routes = snapshot.routes.iter();
    let of_routes = of_routes.flat_map(|route| route.filters.rate_rules());
    for rule in snapshot.listener_rates().chain(of_routes) {
        see(&rule.identity, rule.local(), rule.gcra);
    }
}

pub(super) fn sessions(snapshot: &Snapshot) -> Sessions {
    let now_secs = unix_seconds(SystemTime::now());
    let pools = snapshot.pools.iter().filter(|pool| pool.sessions.is_some());
    let pools = pools.map(|pool| {
        let endpoints = pool.endpoint_set();
        let given = endpoints.endpoints.iter().filter_map(|endpoint| {
            let shared = pool.shared.endpoint(&endpoint.label);
            let given = shared.sessions.carried(now_secs)?;
            Some((Box::from(&*endpoint.label), given))
        });
        (Box::from(&*pool.name), given.collect())
    });
    pools.collect()
}

pub(super) fn take_sessions(snapshot: &Snapshot, carried: &Sessions) {
    let now_secs = unix_seconds(SystemTime::now());
    for (pool, endpoints) in carried {
        let Some(pool) = snapshot.pool(pool) else {
            continue;
        };
        let set = pool.endpoint_set();
        for (address, given) in endpoints {
            let endpoint = set.find(address).and_then(|it| set.endpoint(it));
            if let Some(endpoint) = endpoint {
                let shared = pool.shared.endpoint(&endpoint.label);
                shared.sessions.take_over(*given, now_secs);
            }
        }
    }
}

pub(super) fn limits(snapshot: &Snapshot) -> Limits {
    let routes = snapshot.routes.iter();
    let carried = routes.filter_map(|route| {
        let mut limits = route.filters.concurrency();
        let carried = limits.find_map(|limit| limit.adaptive.as_ref()?.carried())?;
        Some((Box::from(&*route.name), carried))
    });
    carried.collect()
}

pub(super) fn take_limits(snapshot: &Snapshot, carried: &Limits, now: Instant) {
    for route in &snapshot.routes {
        let Some(carried) = carried.get(&*route.name) else {
            continue;
        };
        for limit in route.filters.concurrency() {
            if let Some(adaptive) = &limit.adaptive {
                adaptive.take_over(*carried, limit.max, now);
            }
        }
    }
}

/// Keys of one rule that go over: those that have used most.
const KEYS_OF_RULE_MAX: usize = 10_000;
/// Keys of all rules that go over.
const KEYS_MAX: usize = 100_000;
