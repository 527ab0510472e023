//! Limits on the rate of requests, by parts of these.

mod answer;
mod local;
mod redis;

use std::{net::IpAddr, rc::Rc, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use http::{HeaderName, HeaderValue, StatusCode};

#[doc(hidden)]
pub use self::local::{CarriedBuckets, LocalRates};
#[doc(hidden)]
pub use self::redis::{RedisSettings, RedisStore};
use self::{
    answer::{Taken, Takings},
    redis::Asked,
};
use super::Verdict;
use crate::{
    config::value::{Rate, RateKey},
    exchange::{Exchange, Reason, Refusal, Request},
    failure::Failure,
    resilience::Gcra,
    semantics::{Known, address::client_network, cookie, query},
};

/// The rules of a route, asked in their order until one refuses.
#[derive(Debug)]
pub struct RateLimitFilter {
    rules: Vec<RateRule>,
    asks: bool,
}

/// A rule.
#[derive(Debug)]
pub struct RateRule {
    /// Identity of its buckets.
    pub identity: Box<str>,
    /// Its name in answers.
    pub name: Arc<str>,
    /// Its name in metrics; that of a listener's has the listener in front.
    pub label: Arc<str>,
    /// The part of a request that has a rate of its own.
    pub key: RateKey,
    /// The rate as it is written.
    pub rate: Rate,
    /// Requests that a full bucket is for.
    pub burst: u64,
    /// The bucket.
    pub gcra: Gcra,
    /// Its description in `RateLimit-Policy`.
    pub policy: HeaderValue,
    /// True if it only counts.
    pub dry_run: bool,
    /// True if answers tell what is left.
    pub announce: bool,
    /// Field of an answer that says what it has cost; none: each costs one request.
    pub cost: Option<HeaderName>,
    /// Place of its buckets.
    pub store: RateStore,
}

/// The place of the buckets of a rule.
#[derive(Debug)]
pub enum RateStore {
    /// In this process, shared by all workers.
    Local(Arc<LocalRates>),
    /// In a Redis server, shared by several proxies.
    Redis(RemoteRates),
}

/// Buckets in a Redis server, and what this process knows of them.
#[derive(Debug)]
pub struct RemoteRates {
    /// The server.
    pub store: Arc<RedisStore>,
    /// Beginning of the names of keys.
    pub prefix: Box<str>,
    /// The state of the buckets as far as this process has seen it: what the server would refuse
    /// anyway is not asked, and it decides while the server does not answer.
    pub seen: Arc<LocalRates>,
}

impl RemoteRates {
    /// Takes one request out of a bucket.
    ///
    /// # Errors
    /// Nanoseconds after which there is room for one.
    async fn take(
        &self,
        rule: &RateRule,
        key: &Key<'_>,
        exchange: &Exchange,
    ) -> Result<Taken, u64> {
        let (seen, gcra) = (&self.seen, rule.gcra);
        let (hash, now) = (seen.hash_of(key), seen.time(exchange.started));
        let wait = gcra.wait_ns(seen.buckets.used_ns(gcra, hash, now));
        if wait > 0 {
            return Err(wait);
        }
        let name = self.name_of(key);
        let asked = self.store.take(exchange.snapshot.worker, &name, gcra).await;
        note(exchange, rule, asked.word());
        match asked {
            Asked::Answered { passes, used_ns } => {
                seen.buckets.use_up_to_ns(gcra, hash, now, used_ns);
                if passes {
                    Ok(Taken { hash, used_ns })
                } else {
                    Err(gcra.wait_ns(used_ns).max(1))
                }
            }
            Asked::Late | Asked::Failed | Asked::Skipped => {
                let used_ns = seen.buckets.take(gcra, hash, now)?;
                Ok(Taken { hash, used_ns })
            }
        }
    }

    /// The name of a bucket in the server. Values of requests may be secrets, and long: their hash
    /// stands for them.
    fn name_of(&self, key: &Key<'_>) -> Vec<u8> {
        let mut name = self.prefix.as_bytes().to_vec();
        match key {
            Key::Ip(IpAddr::V4(ip)) => name.extend(ip.to_string().bytes()),
            Key::Ip(IpAddr::V6(network)) => name.extend(format!("{network}/64").bytes()),
            Key::Bytes(bytes) if bytes.is_empty() => name.push(b'-'),
            Key::Bytes(bytes) => {
                let hash = digest(&SHA256, bytes);
                for byte in &hash.as_ref()[..16] {
                    name.extend(format!("{byte:02x}").bytes());
                }
            }
        }
        name
    }
}

/// Owner of a bucket.
enum Key<'a> {
    /// A client, as [`client_network`] counts it.
    Ip(IpAddr),
    Bytes(std::borrow::Cow<'a, [u8]>),
}

impl RateRule {
    /// Its buckets in this process.
    pub fn local(&self) -> &LocalRates {
        match &self.store {
            RateStore::Local(rates) => rates,
            RateStore::Redis(remote) => &remote.seen,
        }
    }
}

impl RateLimitFilter {
    /// Makes the filter of these rules.
    pub fn new(rules: Vec<RateRule>) -> Self {
        let remote = |rule: &RateRule| matches!(rule.store, RateStore::Redis(_));
        Self {
            asks: rules.iter().any(remote),
            rules,
        }
    }

    /// Returns true if a rule asks a store outside the process.
    pub(super) fn asks(&self) -> bool {
        self.asks
    }

    /// The stores outside the process.
    pub fn stores(&self) -> impl Iterator<Item = &Arc<RedisStore>> {
        self.rules.iter().filter_map(|rule| match &rule.store {
            RateStore::Redis(remote) => Some(&remote.store),
            RateStore::Local(_) => None,
        })
    }

    /// Decides without waiting; only for rules whose buckets are in this process.
    pub(super) fn on_request(
        &self,
        exchange: &mut Exchange,
        request: &Request,
    ) -> Result<Verdict, Failure> {
        let mut takings = Takings::default();
        for (place, rule) in self.rules.iter().enumerate() {
            if let Some(key) = key_of(&rule.key, exchange, request)
                && let RateStore::Local(rates) = &rule.store
            {
                match rates.take(rule.gcra, &key, exchange.started) {
                    Ok(taken) => takings.add(place, rule, taken),
                    Err(wait_ns) => exceeded(exchange, rule, wait_ns)?,
                }
            }
        }
        takings.keep(exchange);
        Ok(Verdict::Continue)
    }

    /// Decides, and waits for stores outside the process.
    pub(super) async fn on_request_asking(
        &self,
        exchange: &mut Exchange,
        request: &Request,
    ) -> Result<Verdict, Failure> {
        let mut takings = Takings::default();
        for (place, rule) in self.rules.iter().enumerate() {
            let Some(key) = key_of(&rule.key, exchange, request) else {
                continue;
            };
            let taken = match &rule.store {
                RateStore::Local(rates) => rates.take(rule.gcra, &key, exchange.started),
                RateStore::Redis(remote) => remote.take(rule, &key, exchange).await,
            };
            match taken {
                Ok(taken) => takings.add(place, rule, taken),
                Err(wait_ns) => exceeded(exchange, rule, wait_ns)?,
            }
        }
        takings.keep(exchange);
        Ok(Verdict::Continue)
    }

    /// Decides on a request before it is routed: the rules of its listener.
    ///
    /// # Errors
    /// The refusal.
    pub async fn before_routing(exchange: &mut Exchange, request: &Request) -> Result<(), Failure> {
        let listener = Rc::clone(&exchange.listener);
        if let Some(rates) = &listener.rates {
            rates.on_request_asking(exchange, request).await?;
        }
        Ok(())
    }

    /// The rules.
    pub fn rules(&self) -> &[RateRule] {
        &self.rules
    }
}

/// Counts a request for which a rule has no room, and refuses it unless the rule only counts.
#[cold]
fn exceeded(exchange: &mut Exchange, rule: &RateRule, wait_ns: u64) -> Result<(), Failure> {
    count(exchange, rule);
    if rule.dry_run {
        Ok(())
    } else {
        Err(refuse(exchange, rule, wait_ns))
    }
}

fn key_of<'a>(key: &RateKey, exchange: &Exchange, request: &'a Request) -> Option<Key<'a>> {
    Some(Key::Bytes(match key {
        RateKey::ClientIp => return Some(Key::Ip(client_network(exchange.client_ip()))),
        RateKey::Header(name) => request.headers.get(name)?.as_bytes().into(),
        RateKey::Cookie(name) => cookie::find(&request.headers, name)?.into(),
        RateKey::Query(name) => {
            let query = request.uri.query().map(str::as_bytes);
            query::find(query, name)?.collect::<Vec<u8>>().into()
        }
        RateKey::Claim(name) => exchange.claim(name)?.into_owned().into_bytes().into(),
        RateKey::Route | RateKey::Constant(_) => (&[][..]).into(),
    }))
}

/// Counts a request that a rule refuses, or would refuse.
fn count(exchange: &Exchange, rule: &RateRule) {
    if let Some(route) = exchange.metrics() {
        route.count_limited(&rule.label, rule.dry_run);
    }
}

/// Counts the result of asking a store outside the process.
fn note(exchange: &Exchange, rule: &RateRule, result: &'static str) {
    if let Some(route) = exchange.metrics() {
        route.count_store(&rule.label, result);
    }
}

#[cold]
fn refuse(exchange: &mut Exchange, rule: &RateRule, wait_ns: u64) -> Failure {
    let wait = wait_ns.div_ceil(1_000_000_000).max(1);
    let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, Reason::DENIED)
        .sentence("too many requests")
        .header(Known::RetryAfter, HeaderValue::from(wait))
        .header("RateLimit-Policy", &rule.policy)
        .detail(format!("rate limit {}", rule.label));
    let left = HeaderValue::try_from(format!("\"{}\";r=0;t={wait}", rule.name));
    exchange.refuse(match left {
        Ok(left) => refusal.header("RateLimit", &left),
        Err(_) => refusal,
    })
}
