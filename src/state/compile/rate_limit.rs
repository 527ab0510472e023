//! The rules of `rate_limit` compiled, with the buckets that they had before.

use std::sync::Arc;

use http::HeaderValue;

use super::{Source, TlsFiles};
use crate::{
    config::{schema, value::RateKey},
    filter::{
        LocalRates, RateLimitFilter, RateRule, RateStore, RedisSettings, RedisStore, RemoteRates,
    },
    resilience::Gcra,
    state::Registry,
    tls::{ClientSettings, ClientTls, TlsFault},
};

/// The one whose rules they are.
#[derive(Clone, Copy)]
pub(super) enum Owner<'a> {
    /// A route.
    Route(&'a Arc<str>),
    /// A listener.
    Listener(&'a Arc<str>),
}

impl Owner<'_> {
    /// Its name among those of all owners: no route has a colon in its name.
    fn identity(self) -> Arc<str> {
        match self {
            Self::Route(name) => Arc::clone(name),
            Self::Listener(name) => format!("listener:{name}").into(),
        }
    }
}

/// Makes the filter of these rules; none without rules.
pub(super) fn build(
    source: &Source<'_>,
    registry: &mut Registry,
    owner: Owner<'_>,
    written: &schema::RateLimits,
) -> Result<Option<RateLimitFilter>, TlsFault> {
    if written.0.is_empty() {
        return Ok(None);
    }
    let rules = written.0.iter();
    let rules = rules.map(|rule| rule_of(source, registry, owner, rule));
    let rules = rules.collect::<Result<_, _>>()?;
    Ok(Some(RateLimitFilter::new(rules)))
}

fn rule_of(
    source: &Source<'_>,
    registry: &mut Registry,
    owner: Owner<'_>,
    written: &schema::RateLimit,
) -> Result<RateRule, TlsFault> {
    let label = written.label();
    let count = written.rate.count;
    let burst = u64::from(written.burst.unwrap_or(count));
    let period_ns = written.rate.period.seconds() * 1_000_000_000;
    let gcra = Gcra::new(count.into(), period_ns, burst);
    // Those of a constant are for all that name it.
    let (identity, name, keys_max) = match &written.key {
        RateKey::Constant(name) => ("".into(), format!("constant:{name}"), 1),
        RateKey::Route => (owner.identity(), label.clone(), 1),
        _ => (owner.identity(), label.clone(), written.keys_max),
    };
    let entry: Arc<str> = format!("{name}/{keys_max}").into();
    let make = || LocalRates::new(keys_max as usize, source.now);
    let rates = registry.filter(&identity, "rate_limit", &entry, make);
    let window = gcra.window_ns().div_ceil(1_000_000_000);
    let policy = format!("\"{label}\";q={burst};w={window}");
    let store = match &written.store {
        schema::RateStore::Local => RateStore::Local(rates),
        schema::RateStore::Redis(redis) => RateStore::Redis(RemoteRates {
            store: redis_store(source, registry, redis)?,
            // With the rate: proxies that disagree about it do not share a bucket.
            prefix: format!("{}:{identity}/{name}/{}:", redis.prefix, written.rate).into(),
            seen: rates,
        }),
    };
    let (of_listener, in_metrics) = match owner {
        Owner::Route(_) => (false, label.clone()),
        Owner::Listener(listener) => (true, format!("{listener}/{label}")),
    };
    Ok(RateRule {
        identity: format!("{identity}/{entry}").into(),
        name: label.into(),
        label: in_metrics.into(),
        key: written.key.clone(),
        rate: written.rate,
        burst,
        gcra,
        policy: HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("")),
        dry_run: written.dry_run,
        announce: written.announce && !written.dry_run && !of_listener,
        cost: written.cost.clone(),
        store,
    })
}

/// The store at an address, with its state; rules with the same settings share it.
fn redis_store(
    source: &Source<'_>,
    registry: &mut Registry,
    written: &schema::RedisStore,
) -> Result<Arc<RedisStore>, TlsFault> {
    let password = written.password.as_ref();
    let password = password.and_then(|it| it.reveal().ok()).map(str::to_owned);
    let tls = ClientSettings {
        server_name: None,
        ca: written.ca.clone(),
        client: None,
        verify: true,
    };
    let tls = match source.files {
        _ if !written.url.tls => None,
        TlsFiles::Read => Some(ClientTls::load(tls)?),
        TlsFiles::Left => Some(ClientTls::load(tls.without_files())?),
    };
    let settings = RedisSettings {
        url: written.url.clone(),
        username: written.username.clone(),
        password,
        tls,
        timeout: written.timeout,
    };
    let workers = registry.workers();
    let identity = settings.identity().into();
    let make = || RedisStore::new(settings, workers, source.now);
    Ok(registry.filter(&"".into(), "redis", &identity, make))
}
