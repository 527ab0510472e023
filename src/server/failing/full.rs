//! Limits that refuse requests now, and retry budgets that are used up.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use crate::{
    state::Snapshot,
    telemetry::metrics::{Metrics, names},
};

/// Memory of limits that refused.
#[derive(Debug, Default)]
pub(super) struct Full {
    limits: BTreeMap<Limit, Refusing>,
    /// False before the first look: counts from before, as by the process before an upgrade, are not of now.
    has_looked: bool,
}

/// A limit, with the route or pool that has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Limit {
    /// `limits` of a pool, with the key in it.
    Pool(Box<str>, Box<str>),
    /// `retry_budget` of a pool.
    Budget(Box<str>),
    /// `concurrency` of a route: of all requests, or of each client.
    Route(Arc<str>, &'static str),
    /// `limits` of a listener on connections, with the key in it.
    Listener(Arc<str>, &'static str),
}

#[derive(Debug)]
struct Refusing {
    /// Requests refused until now.
    seen: u64,
    /// Its value; none: it is not known.
    limit: Option<u64>,
    /// The first and the last time at which it refused, while it does.
    refuses: Option<(SystemTime, SystemTime)>,
}

impl Full {
    /// Looks at all limits. Limits that left are forgotten.
    pub(super) fn look(&mut self, snapshot: &Snapshot, metrics: &Metrics, now: SystemTime) {
        let mut known = std::mem::take(&mut self.limits);
        for route in &snapshot.routes {
            for limit in route.filters.concurrency() {
                let view = limit.view();
                let key = Limit::Route(Arc::clone(&route.name), view.per);
                // What it refused before the first look is not of now.
                let mut it = known
                    .remove(&key)
                    .unwrap_or_else(|| Refusing::of(view.refused));
                it.look(view.refused, Some(view.limit.into()), now);
                self.limits.insert(key, it);
            }
        }
        for listener in &snapshot.listeners {
            let refused = &listener.refused;
            let limits = [
                ("connections", listener.connections_max, &refused.of_all),
                (
                    "connections_per_client",
                    listener.connections_per_client,
                    &refused.of_client,
                ),
            ];
            for (key, limit, refused) in limits {
                let key = Limit::Listener(Arc::clone(&listener.name), key);
                let refused = refused.load(Ordering::Relaxed);
                let mut it = known.remove(&key).unwrap_or_else(|| Refusing::of(refused));
                it.look(refused, u64::try_from(limit).ok(), now);
                self.limits.insert(key, it);
            }
        }
        let pools: HashMap<&str, _> = snapshot.pools.iter().map(|it| (&*it.name, it)).collect();
        for (labels, refused) in metrics.totals(&names::POOL_REFUSED_TOTAL) {
            let [name, key] = &labels[..] else { continue };
            let Some(pool) = pools.get(&**name) else {
                continue;
            };
            let limit = match &**key {
                "connections" => pool.limits.connections,
                "requests" => Some(pool.limits.requests),
                _ => Some(pool.limits.per_endpoint),
            };
            let limit = limit.and_then(|limit| u64::try_from(limit).ok());
            let key = Limit::Pool(name.clone(), key.clone());
            self.count(&mut known, key, refused, limit, now);
        }
        for (labels, refused) in metrics.totals(&names::BUDGET_EXHAUSTED_TOTAL) {
            if let [name] = &labels[..]
                && pools.contains_key(&**name)
            {
                let key = Limit::Budget(name.clone());
                self.count(&mut known, key, refused, None, now);
            }
        }
        self.has_looked = true;
    }

    /// Takes in a counter: one that is new since the last look has counted from 0.
    fn count(
        &mut self,
        known: &mut BTreeMap<Limit, Refusing>,
        key: Limit,
        refused: u64,
        limit: Option<u64>,
        now: SystemTime,
    ) {
        let mut it = known.remove(&key).unwrap_or_else(|| {
            let before = if self.has_looked { 0 } else { refused };
            Refusing::of(before)
        });
        it.look(refused, limit, now);
        self.limits.insert(key, it);
    }

    /// A line for each that refuses.
    pub(super) fn lines(&self) -> Vec<String> {
        let lines = self.limits.iter().filter_map(|(of, it)| {
            let since = humantime::format_rfc3339_seconds(it.refuses?.0);
            if let Limit::Budget(_) = of {
                return Some(format!(
                    "{of} is used up: failed requests are not tried again since {since}"
                ));
            }
            let limit = it.limit.map_or_else(String::new, |it| format!(" at {it}"));
            let what = match of {
                Limit::Listener(..) => "connections",
                _ => "requests",
            };
            Some(format!(
                "{of} is full{limit} and refuses {what} since {since}"
            ))
        });
        lines.collect()
    }
}

impl Refusing {
    fn of(seen: u64) -> Self {
        Self {
            seen,
            limit: None,
            refuses: None,
        }
    }

    fn look(&mut self, refused: u64, limit: Option<u64>, now: SystemTime) {
        self.limit = limit;
        let before = std::mem::replace(&mut self.seen, refused);
        if refused > before {
            let since = self.refuses.map_or(now, |(since, _)| since);
            self.refuses = Some((since, now));
        } else if let Some((_, last)) = self.refuses
            && now.duration_since(last).is_ok_and(|calm| calm >= CALM)
        {
            self.refuses = None;
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pool(pool, key) => write!(f, "pool {pool}: its `limits.{key}`"),
            Self::Budget(pool) => write!(f, "pool {pool}: its `retry_budget`"),
            Self::Route(route, "route") => write!(f, "route {route}: its `concurrency`"),
            Self::Listener(listener, key) => write!(f, "listener {listener}: its `limits.{key}`"),
            Self::Route(route, _) => write!(f, "route {route}: its `concurrency` of a client"),
        }
    }
}

/// Time without a refusal after which a limit is calm.
const CALM: Duration = Duration::from_secs(10);
