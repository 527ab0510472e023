//! Limits on the rate of requests, by parts of these.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    net::IpAddr,
    sync::Arc,
};

use http::{HeaderValue, StatusCode};
use tokio::time::Instant;

use super::Verdict;
use crate::{
    config::value::RateKey,
    exchange::{Exchange, Reason, Refusal, Request},
    failure::Failure,
    resilience::{Buckets, Gcra},
    semantics::{Known, cookie, query},
};

/// The rules of a route, asked in their order until one refuses.
#[derive(Debug)]
pub struct RateLimitFilter(pub Vec<RateRule>);

/// A rule.
#[derive(Debug)]
pub struct RateRule {
    /// Its name in metrics and answers.
    pub name: Arc<str>,
    /// The part of a request that has a rate of its own.
    pub key: RateKey,
    /// The rate.
    pub gcra: Gcra,
    /// Its description in `RateLimit-Policy`.
    pub policy: HeaderValue,
    /// True if it only counts.
    pub dry_run: bool,
    /// Place of its buckets.
    pub store: RateStore,
}

/// The place of the buckets of a rule. A store outside the process is another variant here: the
/// rule asks it in [`RateStore::take`] and nowhere else.
#[derive(Debug)]
pub enum RateStore {
    /// In this process, shared by all workers.
    Local(Arc<LocalRates>),
}

/// Buckets in this process. The registry keeps them over reloads.
#[derive(Debug)]
pub struct LocalRates {
    since: Instant,
    hash: RandomState,
    buckets: Buckets,
}

impl LocalRates {
    /// Room for so many keys; times count from `now`.
    pub fn new(keys_max: usize, now: Instant) -> Self {
        Self {
            since: now,
            hash: RandomState::new(),
            buckets: Buckets::new(keys_max),
        }
    }
}

impl RateStore {
    /// Takes one request out of the bucket that `key` names.
    ///
    /// # Errors
    /// Nanoseconds after which there is room for one.
    fn take(&self, rule: &RateRule, key: &Key<'_>, now: Instant) -> Result<(), u64> {
        match self {
            Self::Local(rates) => {
                let mut hasher = rates.hash.build_hasher();
                match key {
                    Key::Bytes(bytes) => hasher.write(bytes),
                    Key::Ip(IpAddr::V4(ip)) => hasher.write(&ip.octets()),
                    Key::Ip(IpAddr::V6(ip)) => hasher.write(&ip.octets()[..8]),
                }
                let now = now.saturating_duration_since(rates.since).as_nanos();
                let now = u64::try_from(now).unwrap_or(u64::MAX);
                rates.buckets.take(rule.gcra, hasher.finish(), now)
            }
        }
    }
}

/// Owner of a bucket.
enum Key<'a> {
    Ip(IpAddr),
    Bytes(std::borrow::Cow<'a, [u8]>),
}

impl RateLimitFilter {
    pub(super) fn on_request(
        &self,
        exchange: &mut Exchange,
        request: &Request,
    ) -> Result<Verdict, Failure> {
        for rule in &self.0 {
            let Some(key) = key_of(&rule.key, exchange, request) else {
                continue;
            };
            let Err(wait_ns) = rule.store.take(rule, &key, exchange.started) else {
                continue;
            };
            count(exchange, rule);
            if !rule.dry_run {
                return Err(refuse(exchange, rule, wait_ns));
            }
        }
        Ok(Verdict::Continue)
    }
}

fn key_of<'a>(key: &RateKey, exchange: &Exchange, request: &'a Request) -> Option<Key<'a>> {
    Some(Key::Bytes(match key {
        RateKey::ClientIp => return Some(Key::Ip(exchange.client_ip().to_canonical())),
        RateKey::Header(name) => request.headers.get(name)?.as_bytes().into(),
        RateKey::Cookie(name) => cookie::find(&request.headers, name)?.into(),
        RateKey::Query(name) => {
            let query = request.uri.query().map(str::as_bytes);
            query::find(query, name)?.collect::<Vec<u8>>().into()
        }
        RateKey::Route | RateKey::Constant(_) => (&[][..]).into(),
    }))
}

/// Counts a request that a rule refuses, or would refuse.
fn count(exchange: &Exchange, rule: &RateRule) {
    let route = exchange.decision.map(|it| it.route.0 as usize);
    if let Some(route) = route.and_then(|route| exchange.snapshot.routes.get(route)) {
        route.count_limited(&rule.name, rule.dry_run);
    }
}

#[cold]
fn refuse(exchange: &mut Exchange, rule: &RateRule, wait_ns: u64) -> Failure {
    let wait = wait_ns.div_ceil(1_000_000_000).max(1);
    let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, Reason::DENIED)
        .sentence("too many requests")
        .header(Known::RetryAfter, HeaderValue::from(wait))
        .header("RateLimit-Policy", &rule.policy)
        .detail(format!("rate limit {}", rule.name));
    let left = HeaderValue::try_from(format!("\"{}\";r=0;t={wait}", rule.name));
    exchange.refuse(match left {
        Ok(left) => refusal.header("RateLimit", &left),
        Err(_) => refusal,
    })
}
