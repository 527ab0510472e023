//! Compiles `[pools.NAME]`.

use std::{collections::HashMap, sync::Arc};

use http::header::{AUTHORIZATION, HeaderName};
use semver::VersionReq;

use super::{BuildError, Lists, Source, TlsFiles};
use crate::{
    config::{
        schema,
        value::{HttpUrl, PickerSpec, Secret},
    },
    fetch::Target,
    resilience::BreakerSettings,
    state::Registry,
    tls::ClientTls,
    upstream::{
        discovery::{
            Begun, ConsulSource, Discovered, EurekaSource, HttpSource, SourceSpec, Update,
            ZooKeeperSpec, arrange,
        },
        endpoint::Endpoint,
        endpoint_set::{EndpointSet, EndpointSlot, SetRules},
        health::{CheckKind, CheckSettings, EjectionSettings, HealthSettings},
        picker::TableKind,
        pool::{Pool, PoolDiscovery, PoolIndex, PoolLimits},
        session::{Carrier, Sessions},
    },
};

pub(super) fn build(
    source: &Source<'_>,
    registry: &mut Registry,
    indices: &HashMap<&str, PoolIndex>,
    name: &Arc<str>,
    written: &schema::Pool,
    requirements: &[VersionReq],
) -> Result<Arc<Pool>, BuildError> {
    let failover = written
        .failover
        .iter()
        .filter_map(|other| indices.get(&***other).copied())
        .collect::<Vec<_>>();
    if let Some(same) = unchanged(source, name, written, requirements, &failover) {
        return Ok(same);
    }
    let tls = match &written.tls {
        None => None,
        Some(tls) => Some(build_tls(source, name, tls)?),
    };
    check_picker(source, name, &written.picker)?;
    let sessions = match &written.session {
        None => None,
        Some(session) => Some(sessions(name, session)?),
    };
    let listed: Vec<Arc<Endpoint>> = written.endpoints.iter().map(endpoint).collect();
    let settings = health(written);
    let shared = registry.pool(name, &settings);
    let wanted = requirements.iter().cloned().map(Some);
    let zone = written.zone.as_ref();
    let rules = SetRules {
        requirements: std::iter::once(None).chain(wanted).collect(),
        zone: zone.map(|zone| zone.prefer.as_str().into()),
        workers: registry.workers(),
        table: TableKind::of(&written.picker),
    };
    let discovery = discovery(source, written, &shared.discovered);
    let found = found(discovery.as_ref(), &shared.discovered);
    let endpoints = arrange(&[], listed.iter().cloned().chain(found)).endpoints;
    let addresses = EndpointSet::addresses(&endpoints);
    let view = shared.health.view(&addresses, source.now);
    let before = last_set(source, name);
    let first = EndpointSet::new(1, endpoints, &rules, view, before.as_deref());
    let limits = &written.limits;
    Ok(Arc::new(Pool {
        name: Arc::clone(name),
        picker: written.picker.clone(),
        protocol: written.protocol,
        proxy_protocol: written.proxy_protocol,
        security: tls.as_ref().map_or(0, |tls| tls.fingerprint()),
        tls,
        connect_timeout: written.timeouts.connect,
        idle_timeout: written.timeouts.idle,
        lifetime: written.timeouts.lifetime,
        limits: PoolLimits {
            connections: limits.connections.map(|max| max as usize),
            requests: limits.requests as usize,
            per_endpoint: limits.per_endpoint as usize,
            queue: limits.queue as usize,
            queue_timeout: limits.queue_timeout,
        },
        sessions,
        failover,
        endpoints: EndpointSlot::new(first),
        rules,
        listed,
        discovery,
        shared,
        health_settings: settings,
        panic_threshold: written.panic_threshold.get(),
        slow_start: written.slow_start,
        breaker: written.breaker.as_ref().map(breaker),
        retry_ratio: written.retry_budget.ratio.get(),
        retry_minimum: written.retry_budget.minimum,
    }))
}

/// Returns the endpoints that the pool of this name has now.
fn last_set(source: &Source<'_>, name: &str) -> Option<Arc<EndpointSet>> {
    let last = source.last.and_then(|last| last.pool(name));
    last.map(|pool| pool.endpoint_set())
}

fn sessions(name: &Arc<str>, written: &schema::Session) -> Result<Sessions, BuildError> {
    let carrier = match (&written.cookie, &written.header) {
        (Some(cookie), _) => Carrier::Cookie {
            name: cookie.clone(),
            attributes: format!(
                "; Path={}; HttpOnly; SameSite={}",
                written.path,
                match written.same_site {
                    schema::SameSite::Strict => "Strict",
                    schema::SameSite::Lax => "Lax",
                    schema::SameSite::None => "None",
                }
            ),
            needs_secure: written.same_site == schema::SameSite::None,
        },
        (None, Some(header)) => Carrier::Header(header.clone()),
        (None, None) => {
            return Err(no_sessions(
                name,
                "neither a cookie nor a header carries them",
            ));
        }
    };
    // The check refuses a missing secret wherever traffic is served. Where a file is only looked
    // at, any will do that nobody can guess.
    let unguessed = || format!("{:032x}", rand::random::<u128>());
    let secret = written.secret.reveal();
    let secret = secret.map_or_else(|_| unguessed(), str::to_owned);
    let sessions = Sessions::new(name, carrier, written.ttl, &secret);
    sessions.ok_or_else(|| no_sessions(name, "no key can be made from the secret"))
}

fn no_sessions(name: &Arc<str>, why: &str) -> BuildError {
    BuildError::Pool(Arc::clone(name), format!("no sessions: {why}"))
}

/// Returns the endpoints that a pool begins with besides those listed.
fn found(discovery: Option<&PoolDiscovery>, known: &Discovered) -> Vec<Arc<Endpoint>> {
    match discovery.map(|discovery| &discovery.first) {
        Some(Some(Ok(Update::List(list)))) if !list.endpoints.is_empty() => {
            list.endpoints.iter().cloned().map(Arc::new).collect()
        }
        Some(Some(Ok(_) | Err(_)) | None) => known.list(),
        None => Vec::new(),
    }
}

/// Returns the discovery of a pool. A source that was not heard before is asked now, so that the
/// pool has its endpoints from the beginning.
fn discovery(
    source: &Source<'_>,
    written: &schema::Pool,
    known: &Discovered,
) -> Option<PoolDiscovery> {
    let discover = written.discover.as_ref()?;
    let from = source_spec(discover);
    let asked = source.lists == Lists::Read && !known.knows(&from);
    let first = asked.then(|| from.read()).flatten();
    Some(PoolDiscovery {
        source: from,
        hold: discover.hold_mass_removal,
        keeps_absent: match discover.absent {
            None => written.health.is_some(),
            Some(absent) => absent == schema::AbsentEndpoint::UntilCheckFails,
        },
        first: first.map(|list| list.map(Update::List)),
        begun: Begun::default(),
    })
}

fn source_spec(written: &schema::Discover) -> SourceSpec {
    match &written.source {
        schema::DiscoverSource::File(file) => SourceSpec::File(file.path.clone()),
        schema::DiscoverSource::Etcd(etcd) => super::etcd::source(etcd),
        schema::DiscoverSource::ZooKeeper(written) => SourceSpec::ZooKeeper(ZooKeeperSpec {
            servers: written.servers.clone(),
            path: written.path.clone(),
            login: written.user.clone().zip(written.password.clone()),
        }),
        schema::DiscoverSource::Dns(dns) => SourceSpec::Dns(Arc::new(super::discover::dns(dns))),
        schema::DiscoverSource::Kubernetes(written) => {
            SourceSpec::Kubernetes(Arc::new(super::discover::kubernetes(written)))
        }
        schema::DiscoverSource::Consul(consul) => consul_source(consul),
        schema::DiscoverSource::Eureka(eureka) => {
            let target = |url: &HttpUrl| Target {
                url: url.clone(),
                ca: eureka.ca.clone(),
                secrets: bearer(eureka.token.as_ref()),
            };
            SourceSpec::Eureka(EurekaSource {
                servers: eureka.servers.iter().map(target).collect(),
                app: eureka.app.clone(),
                interval: eureka.interval,
            })
        }
        schema::DiscoverSource::Http(http) => SourceSpec::Http(HttpSource {
            target: Target {
                url: http.url.clone(),
                ca: http.ca.clone(),
                secrets: bearer(http.token.as_ref()),
            },
            interval: http.interval,
        }),
    }
}

fn consul_source(written: &schema::DiscoverConsul) -> SourceSpec {
    SourceSpec::Consul(ConsulSource {
        target: Target {
            url: written.address.clone(),
            ca: written.ca.clone(),
            secrets: super::register::token(written.token.as_ref()),
        },
        service: written.service.clone(),
        tags: written.tags.clone(),
        datacenter: written.datacenter.clone(),
        near: written.near.clone(),
        filter: written.filter.clone(),
        passing: written.passing,
        stale: written.stale,
    })
}

pub(super) fn bearer(token: Option<&Secret>) -> Vec<(HeaderName, &'static str, Secret)> {
    let token = token.map(|token| (AUTHORIZATION, "Bearer ", token.clone()));
    token.into_iter().collect()
}

fn build_tls(
    source: &Source<'_>,
    name: &Arc<str>,
    written: &schema::PoolTls,
) -> Result<Arc<ClientTls>, BuildError> {
    let settings = super::client_settings(written);
    let loaded = match source.files {
        TlsFiles::Read => ClientTls::load(settings),
        TlsFiles::Left => ClientTls::load(settings.without_files()),
    };
    let loaded = loaded.map_err(|fault| BuildError::Pool(Arc::clone(name), fault.to_string()))?;
    Ok(Arc::new(loaded))
}

/// Returns the pool of the last snapshot, if it is unchanged.
fn unchanged(
    source: &Source<'_>,
    name: &str,
    written: &schema::Pool,
    requirements: &[VersionReq],
    failover: &[PoolIndex],
) -> Option<Arc<Pool>> {
    let last = source.last?;
    let pool = last.pool(name)?;
    let before = last.config.pools.get(name)?;
    let views = pool.rules.requirements.iter().skip(1);
    let same = before == written
        && pool.failover == failover
        && views.map(Option::as_ref).eq(requirements.iter().map(Some));
    same.then(|| Arc::clone(pool))
}

fn check_picker(
    source: &Source<'_>,
    name: &Arc<str>,
    picker: &PickerSpec,
) -> Result<(), BuildError> {
    let built = crate::upstream::picker::AnyPicker::build(picker, 0, &source.registered.pickers);
    match built {
        Ok(_) => Ok(()),
        Err(error) => Err(BuildError::Pool(Arc::clone(name), error.to_string())),
    }
}

fn endpoint(written: &schema::Endpoint) -> Arc<Endpoint> {
    let address = written.address.clone();
    Arc::new(Endpoint {
        weight: written.weight,
        zone: written.zone.as_deref().map(Into::into),
        priority: written.priority,
        labels: written.labels.clone(),
        ..Endpoint::new(address, written.version.clone())
    })
}

fn breaker(written: &schema::Breaker) -> BreakerSettings {
    BreakerSettings {
        failure_ratio: written.failure_ratio.get(),
        volume_min: written.volume_min,
        window: written.window,
        open: written.open,
        consecutive: written.consecutive,
        slow: Some(written.slow).filter(|slow| !slow.is_zero()),
    }
}

fn health(written: &schema::Pool) -> HealthSettings {
    HealthSettings {
        check: written.health.as_ref().map(|health| CheckSettings {
            kind: match &health.probe {
                schema::ProbeKind::Http(http) => CheckKind::Http {
                    path: http.path.to_string(),
                    status: http.status.clone(),
                    host: http.host.clone(),
                },
                schema::ProbeKind::Tcp(_) => CheckKind::Tcp,
                schema::ProbeKind::Grpc(grpc) => CheckKind::Grpc {
                    service: grpc.service.clone(),
                },
            },
            interval: health.interval,
            interval_down: health.interval_down,
            timeout: health.timeout,
            rise: health.rise,
            fall: health.fall,
        }),
        ejection: written.ejection.as_ref().map(|ejection| EjectionSettings {
            consecutive: ejection.consecutive,
            failure_ratio: ejection.failure_ratio.get(),
            volume_min: ejection.volume_min,
            interval: ejection.interval,
            base: ejection.base,
            max: ejection.max,
            share_max: ejection.share_max.get(),
        }),
    }
}
