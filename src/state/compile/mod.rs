//! Compiles a checked configuration to a snapshot, as a whole or not at all.
//!
//! Parts unchanged since the last snapshot are reused as the same object, so that workers keep
//! their state for them.

mod acme;
mod auth;
mod cache;
mod discover;
mod etcd;
mod filter;
mod geo;
mod listener;
mod oidc;
mod pool;
mod rate_limit;
mod register;
mod rollout;
mod route;
mod secret_names;
mod shadow;
mod tests_table;
mod trace;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use tokio::time::Instant;

use super::{DebugHeader, Drain, Listener, Registry, Route, Snapshot};
use crate::{
    config::{
        Config,
        schema::{self, LogTarget},
        value::{BindAddress, FieldSource},
    },
    filter::RedisStore,
    route::{RouteSpec, RouteTable},
    semantics::{forwarded::TrustedProxies, secret_names::SecretNames},
    state::Registered,
    telemetry::access_log::{
        AccessLogSettings, Format, Redaction, Rotation, Sample, SinkTarget, SyslogAddress,
        SyslogTarget,
    },
    tls::{ClientSettings, TlsFault},
    upstream::pool::PoolIndex,
};

pub use etcd::{config_store, rollout_servers};
pub use register::{consul_target, rollout_agent};
pub use tests_table::{TestFailure, run as run_tests};

/// Reasons why a checked configuration could not be compiled.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A fault of a route.
    #[error("route \"{0}\": {1}")]
    Route(Arc<str>, String),
    /// A fault of a listener.
    #[error("listener \"{0}\": {1}")]
    Listener(Arc<str>, TlsFault),
    /// A fault of a pool.
    #[error("pool \"{0}\": {1}")]
    Pool(Arc<str>, String),
    /// A fault of a rollout.
    #[error("rollout \"{0}\": {1}")]
    Rollout(Arc<str>, String),
    /// A fault of the access log.
    #[error("access_log: {0}")]
    AccessLog(String),
    /// Failed tests of the file.
    #[error("{}", list(.0))]
    Tests(Vec<TestFailure>),
}

/// TLS towards servers, as settings of its client.
fn client_settings(written: &schema::PoolTls) -> ClientSettings {
    ClientSettings {
        server_name: written.server_name.clone(),
        ca: written.ca.clone(),
        client: written.client.as_ref().map(listener::key_pair),
        verify: written.verify,
    }
}

/// Source of a snapshot.
#[derive(Debug)]
pub struct Source<'a> {
    /// The configuration.
    pub config: Arc<Config>,
    /// Parts that an embedding program added.
    pub registered: &'a Registered,
    /// The snapshot in use, whose unchanged parts are reused.
    pub last: Option<&'a Snapshot>,
    /// Treatment of certificate files.
    pub files: TlsFiles,
    /// Treatment of files that list endpoints.
    pub lists: Lists,
    /// Number of the new snapshot.
    pub generation: u64,
    /// Current time.
    pub now: Instant,
}

/// Treatment of the files of certificates and keys: read or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFiles {
    /// They are read.
    Read,
    /// They are not read: for questions about routing, which must not need private keys.
    Left,
}

/// Treatment of files that list endpoints: read or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lists {
    /// They are read.
    Read,
    /// They are not read: for configurations sent for a check, whose sender must not learn the
    /// content of the disk.
    Left,
}

/// Compiles a configuration and runs the tests in it.
///
/// # Errors
/// The first fault, or the tests that fail; the registry has at most gained entries that nothing
/// uses.
pub fn build(source: &Source<'_>, registry: &mut Registry) -> Result<Snapshot, BuildError> {
    compile(source, registry).map_err(|error| error.masked(&source.config))
}

impl BuildError {
    /// Masks hidden values.
    fn masked(self, config: &Config) -> Self {
        let mask = |text: String| config.mask_text(&text).into_owned();
        match self {
            Self::Route(name, text) => Self::Route(name, mask(text)),
            Self::Listener(name, fault) => Self::Listener(name, fault),
            Self::Pool(name, text) => Self::Pool(name, mask(text)),
            Self::Rollout(name, text) => Self::Rollout(name, mask(text)),
            Self::AccessLog(text) => Self::AccessLog(mask(text)),
            Self::Tests(failures) => {
                let masked = failures.into_iter().map(|failure| TestFailure {
                    message: mask(failure.message),
                    ..failure
                });
                Self::Tests(masked.collect())
            }
        }
    }
}

fn compile(source: &Source<'_>, registry: &mut Registry) -> Result<Snapshot, BuildError> {
    let config = &source.config;
    let indices: HashMap<&str, PoolIndex> = (0_u32..)
        .zip(config.pools.keys())
        .map(|(index, name)| (&**name, PoolIndex(index)))
        .collect();
    let requirements = route::requirements(config);
    let mut pools = Vec::with_capacity(config.pools.len());
    for (name, written) in &config.pools {
        let wanted = requirements.get(&**name).map_or(&[][..], Vec::as_slice);
        pools.push(pool::build(
            source,
            registry,
            &indices,
            &name.shared(),
            written,
            wanted,
        )?);
    }
    let listeners = (0_u32..)
        .zip(&config.listeners)
        .map(|(index, (name, written))| {
            listener::build(source, registry, index, &name.shared(), written)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let rollouts = rollout::build_all(config, registry, &indices, &pools)?;
    let mut routes = Vec::with_capacity(config.routes.len());
    let mut policies = HashSet::new();
    let mut specs: Vec<RouteSpec> = Vec::with_capacity(config.routes.len());
    let places = route::Places {
        indices: &indices,
        pools: &pools,
        rollouts: &rollouts,
    };
    for (name, written) in &config.routes {
        specs.push(route::spec(&name.shared(), written)?);
        routes.push(route::build(
            source,
            registry,
            &places,
            &mut policies,
            &name.shared(),
            written,
        )?);
    }
    let names: Vec<Arc<str>> = config.listeners.keys().map(|name| name.shared()).collect();
    let secrets = Arc::new(secret_names::compile(config));
    let snapshot = Snapshot {
        rate_stores: rate_stores(&listeners, &routes),
        generation: source.generation,
        listeners,
        routes,
        table: RouteTable::build(&specs, &names),
        pools,
        rollouts,
        trusted: TrustedProxies::new(config.proxy.trusted_proxies.iter().copied()),
        drain: Drain {
            grace: config.proxy.drain.grace,
            timeout: config.proxy.drain.timeout,
        },
        connections_max: config.proxy.limits.connections as usize,
        access_log: access_log(config, &secrets)?,
        tracing: trace::settings(config, &secrets).map(Arc::new),
        debug_header: DebugHeader::compile(config).map(Arc::new),
        logged: logged(config),
        challenges: acme::challenges(config, registry),
        secrets,
        config: Arc::clone(config),
        alive: registry.alive(),
    };
    let failed = run_tests(&snapshot);
    if failed.is_empty() {
        Ok(snapshot)
    } else {
        Err(BuildError::Tests(failed))
    }
}

/// The added fields of the access log, with their sources.
fn logged(config: &Config) -> Vec<(String, FieldSource)> {
    let added = config.access_log.iter().flat_map(|log| &log.fields.add);
    added
        .map(|(name, source)| (name.clone(), source.clone()))
        .collect()
}

/// The stores that rate limits ask, each once.
fn rate_stores(listeners: &[Arc<Listener>], routes: &[Route]) -> Vec<Arc<RedisStore>> {
    let mut stores: Vec<Arc<RedisStore>> = Vec::new();
    let of_listeners = listeners.iter().filter_map(|it| it.rates.as_ref());
    let of_listeners = of_listeners.flat_map(|rates| rates.stores());
    let of_routes = routes.iter().flat_map(|route| route.filters.rate_stores());
    for store in of_listeners.chain(of_routes) {
        if !stores.iter().any(|known| Arc::ptr_eq(known, store)) {
            stores.push(Arc::clone(store));
        }
    }
    stores
}

fn access_log(
    config: &Config,
    secrets: &Arc<SecretNames>,
) -> Result<Option<AccessLogSettings>, BuildError> {
    let Some(written) = &config.access_log else {
        return Ok(None);
    };
    let format = Format::parse(&written.format.to_string());
    Ok(Some(AccessLogSettings {
        target: log_target(written),
        format: format.map_err(|error| BuildError::AccessLog(error.to_string()))?,
        redaction: Redaction::new(Arc::clone(secrets), &written.fields.redact)
            .with_headers(written.fields.add.iter().filter_map(shown_header)),
        sample: Sample::new(written.sample.get()),
    }))
}

fn log_target(written: &schema::AccessLog) -> SinkTarget {
    if let Some(syslog) = &written.syslog {
        return SinkTarget::Syslog(SyslogTarget {
            address: match &syslog.address {
                BindAddress::Unix(path) => SyslogAddress::Unix(path.clone()),
                BindAddress::Tcp(address) => SyslogAddress::Udp(*address),
            },
            facility: syslog.facility.number(),
            app: syslog.app.clone(),
        });
    }
    match &written.path {
        LogTarget::Stdout => SinkTarget::Stdout,
        LogTarget::File(path) => {
            let rotation = written.rotate.as_ref().map(|it| Rotation {
                size: it.size.bytes(),
                keep: it.keep,
            });
            SinkTarget::File(path.clone(), rotation)
        }
    }
}

/// Returns an added field with the header that it shows; none if it shows no header.
fn shown_header((field, source): (&String, &FieldSource)) -> Option<(Box<str>, Box<str>)> {
    let (FieldSource::RequestHeader(name) | FieldSource::ResponseHeader(name)) = source else {
        return None;
    };
    Some((field.as_str().into(), name.as_str().into()))
}

fn list(failures: &[TestFailure]) -> String {
    let lines: Vec<String> = failures.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
