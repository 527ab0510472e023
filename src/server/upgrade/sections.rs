//! The state that goes over, in sections of which each has its own version.
//!
//! Whoever receives takes up what it understands and passes over the rest: a section that it
//! does not know, or one of a version that it does not know, costs only what stands in it. To
//! add one: a name and a version below, what collects it and what takes it up.

use std::collections::BTreeMap;

use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;

use super::{
    carried,
    message::{Section, Sections},
};
use crate::{
    server::rollouts,
    state::Snapshot,
    telemetry::metrics::{Counts, Metrics},
    tls::{PassedKeys, TicketKeys},
    upstream::health::CarriedEndpoint,
};

/// State of the endpoints of each pool.
type Endpoints = BTreeMap<Box<str>, Vec<CarriedEndpoint>>;

/// Source of sections in the old process, and their target in the new one.
#[derive(Clone, Copy, Debug)]
pub(super) struct State<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) metrics: &'a Metrics,
    pub(super) tickets: &'a TicketKeys,
}

impl State<'_> {
    /// All that the new process begins with; the counts are those given.
    pub(super) fn collect(&self, counts: &Counts) -> Sections {
        let now = Instant::now();
        let pools = self.snapshot.pools.iter().map(|pool| {
            let carried = pool.shared.health.carried(now);
            (Box::from(&*pool.name), carried)
        });
        let endpoints: Endpoints = pools.filter(|(_, known)| !known.is_empty()).collect();
        let mut sections = Sections::new();
        put(&mut sections, COUNTERS, counts);
        put(&mut sections, TICKET_KEYS, &self.tickets.pass(now));
        put(&mut sections, ENDPOINTS, &endpoints);
        let snapshot = self.snapshot;
        put(&mut sections, BREAKERS, &carried::breakers(snapshot, now));
        put(&mut sections, RATE_LIMITS, &carried::buckets(snapshot, now));
        put(&mut sections, SESSIONS, &carried::sessions(snapshot));
        put(&mut sections, CONCURRENCY, &carried::limits(snapshot));
        put(&mut sections, ROLLOUTS, &rollouts::kept(self.snapshot));
        sections
    }

    /// Returns the sections of counts added while the old process drains.
    pub(super) fn additions(counts: &Counts) -> Sections {
        let mut sections = Sections::new();
        if !counts.is_empty() {
            put(&mut sections, COUNTERS, counts);
        }
        sections
    }

    /// Takes up what it understands.
    pub(super) fn take_up(&self, mut sections: Sections) {
        let now = Instant::now();
        if let Some(mut counts) = take::<Counts>(&mut sections, COUNTERS) {
            counts.retain(|value_of| self.has(value_of));
            self.metrics.carry(counts);
        }
        if let Some(keys) = take::<PassedKeys>(&mut sections, TICKET_KEYS) {
            self.tickets.take(&keys, now);
        }
        if let Some(endpoints) = take::<Endpoints>(&mut sections, ENDPOINTS) {
            for (pool, carried) in &endpoints {
                if let Some(pool) = self.snapshot.pool(pool) {
                    pool.shared.health.take_over(carried, now);
                }
            }
        }
        if let Some(breakers) = take(&mut sections, BREAKERS) {
            carried::take_breakers(self.snapshot, &breakers, now);
        }
        if let Some(buckets) = take(&mut sections, RATE_LIMITS) {
            carried::take_buckets(self.snapshot, buckets, now);
        }
        if let Some(sessions) = take(&mut sections, SESSIONS) {
            carried::take_sessions(self.snapshot, &sessions);
        }
        if let Some(limits) = take(&mut sections, CONCURRENCY) {
            carried::take_limits(self.snapshot, &limits, now);
        }
        if let Some(kept) = take::<rollouts::AllKept>(&mut sections, ROLLOUTS) {
            rollouts::take_up(self.snapshot, &kept);
        }
        for name in sections.keys() {
            tracing::warn!(
                section = name,
                "the process before knew something that this version does not understand"
            );
        }
    }

    /// Returns true if this configuration has the objects that a series belongs to.
    fn has(&self, value_of: &dyn Fn(&str) -> Option<String>) -> bool {
        let config = &self.snapshot.config;
        // Empty: of none.
        let known = |name: &str, has: &dyn Fn(&str) -> bool| {
            value_of(name).is_none_or(|value| value.is_empty() || value == OTHER || has(&value))
        };
        let endpoint = value_of("pool").is_none_or(|pool| match self.snapshot.pool(&pool) {
            None => true,
            Some(pool) => known("endpoint", &|it| pool.endpoint_set().find(it).is_some()),
        });
        known("route", &|name| config.routes.contains_key(name))
            && known("listener", &|name| config.listeners.contains_key(name))
            && known("pool", &|name| config.pools.contains_key(name))
            && endpoint
    }
}

fn put<T: Serialize>(sections: &mut Sections, (name, version): (&str, u32), content: &T) {
    match serde_json::to_value(content) {
        Ok(content) => {
            sections.insert(name.to_owned(), Section { version, content });
        }
        Err(error) => tracing::error!(section = name, %error, "a part of the state stays behind"),
    }
}

fn take<T: DeserializeOwned>(sections: &mut Sections, (name, version): (&str, u32)) -> Option<T> {
    let section = sections.remove(name)?;
    if section.version != version {
        tracing::warn!(
            section = name,
            version = section.version,
            understood = version,
            "the process before tells a part of its state in another version: not taken up"
        );
        return None;
    }
    match serde_json::from_value(section.content) {
        Ok(content) => Some(content),
        // Its content may be a secret: the error, which may show it, is not told.
        Err(_) => {
            tracing::warn!(
                section = name,
                "a part of the state is malformed: not taken up"
            );
            None
        }
    }
}

/// Counters and histograms.
const COUNTERS: (&str, u32) = ("counters", 1);
/// Keys of TLS session tickets.
const TICKET_KEYS: (&str, u32) = ("ticket_keys", 1);
/// Health, ejections and what operators said, by pool and endpoint.
const ENDPOINTS: (&str, u32) = ("endpoints", 1);
/// Breakers that are not closed, by pool.
const BREAKERS: (&str, u32) = ("breakers", 1);
/// Buckets of rate limits.
const RATE_LIMITS: (&str, u32) = ("rate_limits", 1);
/// Sessions given lately.
const SESSIONS: (&str, u32) = ("sessions", 1);
/// Limits on requests at once that have adapted.
const CONCURRENCY: (&str, u32) = ("concurrency", 1);
/// Progress of rollouts, by name.
const ROLLOUTS: (&str, u32) = ("rollouts", 1);
/// The label value of what is over a bound.
const OTHER: &str = "other";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_section_of_another_version_or_shape_costs_only_itself() {
        let mut sections = Sections::new();
        put(&mut sections, COUNTERS, &json!({}));
        put(&mut sections, ENDPOINTS, &json!([1, 2]));
        sections.insert(
            TICKET_KEYS.0.to_owned(),
            Section {
                version: 2,
                content: json!({ "later": true }),
            },
        );
        assert!(take::<Counts>(&mut sections, COUNTERS).is_some());
        assert!(take::<PassedKeys>(&mut sections, TICKET_KEYS).is_none());
        assert!(take::<Endpoints>(&mut sections, ENDPOINTS).is_none());
        assert!(sections.is_empty());
    }
}
