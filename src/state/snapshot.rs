//! Compiled configuration: immutable, swapped as a whole.

use std::{sync::Arc, time::Duration};

use http::HeaderName;

use super::{AltSvc, DebugHeader, RefusedConnections, Shadow};
use crate::{
    acme::{Order, Standing},
    config::{
        Config,
        schema::Underscores,
        value::{BindAddress, BodyBound, ByteSize, FieldSource},
    },
    filter::{
        AuthFilter, Chain, ErrorPages, Provider, RateLimitFilter, RateRule, RedisStore, RemoteKeys,
    },
    http1::HeadLimits,
    resilience::{ClientTable, RetryPolicy},
    rollout::{Rollout, Split},
    route::{RouteIndex, RouteTable},
    semantics::{forwarded::TrustedProxies, secret_names::SecretNames},
    socket::bind::BindOptions,
    telemetry::{access_log::AccessLogSettings, trace::TraceSettings},
    tls::{Certificate, Challenges, ServerTls},
    upstream::{
        HashInput,
        pool::{Pool, PoolIndex, ViewIndex},
        registration::RegistrationSpec,
        shared::Padded,
    },
};

/// One generation of the configuration, ready for use.
///
/// An exchange takes one at its start and keeps it to its end.
#[derive(Debug)]
pub struct Snapshot {
    /// Number of the configuration; 1 is the one that the process started with.
    pub generation: u64,
    /// The listeners; [`Listener::index`] is an index into them.
    pub listeners: Vec<Arc<Listener>>,
    /// The routes; `RouteIndex` is an index into them.
    pub routes: Vec<Route>,
    /// Finds the route of a request.
    pub table: RouteTable,
    /// The pools; [`PoolIndex`] is an index into them.
    pub pools: Vec<Arc<Pool>>,
    /// The rollouts, in the order of their names.
    pub rollouts: Vec<Arc<Rollout>>,
    /// Stores outside the process that rate limits ask, each once.
    pub rate_stores: Vec<Arc<RedisStore>>,
    /// Peers whose forwarding fields are trusted.
    pub trusted: TrustedProxies,
    /// Settings of a shutdown.
    pub drain: Drain,
    /// Maximum number of open downstream connections, over all workers.
    pub connections_max: usize,
    /// Settings of the access log; none: there is none.
    pub access_log: Option<AccessLogSettings>,
    /// Settings of tracing; none: it is off.
    pub tracing: Option<Arc<TraceSettings>>,
    /// Header with which operators ask about a request; none: nobody may.
    pub debug_header: Option<Arc<DebugHeader>>,
    /// Added fields of the access log, with their sources.
    pub logged: Vec<(String, FieldSource)>,
    /// Challenges of CAs, which each listener without TLS answers; none: no certificate is proved
    /// that way.
    pub challenges: Option<Arc<Challenges>>,
    /// Names of headers and parameters whose values are neither shown nor kept.
    pub secrets: Arc<SecretNames>,
    /// Configuration that it was compiled from.
    pub config: Arc<Config>,
    /// Counts the snapshots that are still in memory.
    pub(super) alive: Arc<()>,
}

impl Snapshot {
    /// Returns the pool of this name.
    pub fn pool(&self, name: &str) -> Option<&Arc<Pool>> {
        // They are in the order of their names, as the configuration has them.
        let place = self.pools.binary_search_by(|pool| (*pool.name).cmp(name));
        place.ok().map(|place| &self.pools[place])
    }

    /// Keys of tokens that are fetched; the same may come more than once.
    pub fn token_keys(&self) -> impl Iterator<Item = Arc<RemoteKeys>> {
        let auth = self.routes.iter().flat_map(|route| route.filters.auth());
        auth.flat_map(AuthFilter::token_keys)
    }

    /// Providers at which clients log in; the same may come more than once.
    pub fn providers(&self) -> impl Iterator<Item = &Arc<Provider>> {
        let auth = self.routes.iter().flat_map(|route| route.filters.auth());
        auth.flat_map(AuthFilter::providers)
    }

    /// Rules of the listeners on the rate of requests.
    pub fn listener_rates(&self) -> impl Iterator<Item = &RateRule> {
        let listeners = self.listeners.iter().filter_map(|it| it.rates.as_ref());
        listeners.flat_map(|rates| rates.rules())
    }

    /// Rules on the rate of requests by route, with none for those of the listeners, and label.
    pub fn rate_rules(&self) -> impl Iterator<Item = [&str; 2]> {
        let of_routes = self.routes.iter().flat_map(|route| {
            let rules = route.filters.rate_rules();
            rules.map(|rule| [&*route.name, &*rule.label])
        });
        let of_listeners = self.listener_rates().map(|rule| ["", &*rule.label]);
        of_listeners.chain(of_routes)
    }

    /// Limits on requests at once by route, and by the requests that share them.
    pub fn concurrency(&self) -> impl Iterator<Item = [&str; 2]> {
        self.routes.iter().flat_map(|route| {
            let limits = route.filters.concurrency();
            limits.map(|limit| [&*route.name, limit.per()])
        })
    }

    /// Returns the rollout of this name.
    pub fn rollout(&self, name: &str) -> Option<&Arc<Rollout>> {
        let place = self.rollouts.binary_search_by(|it| (*it.name).cmp(name));
        place.ok().map(|place| &self.rollouts[place])
    }

    /// Number of snapshots in memory: the newest, and those held by exchanges under way.
    pub fn generations_held(&self) -> usize {
        Arc::strong_count(&self.alive) - 1
    }

    /// Returns the part needed at the end of an exchange that was decided long ago: the route, as
    /// the only one, and these pools in this order.
    pub(super) fn only(&self, route: RouteIndex, pools: &[PoolIndex]) -> Self {
        let place_of = |pool: PoolIndex| {
            let place = pools.iter().position(|it| *it == pool);
            PoolIndex(
                place
                    .and_then(|place| u32::try_from(place).ok())
                    .unwrap_or(0),
            )
        };
        let route = self.routes.get(route.0 as usize).map(|route| Route {
            name: Arc::clone(&route.name),
            action: match &route.action {
                Action::Pool(pool, view) => Action::Pool(place_of(*pool), *view),
                other => other.clone(),
            },
            timeouts: route.timeouts,
            retry: Arc::clone(&route.retry),
            // It has been led through them.
            filters: Chain::default(),
            bounds_bodies: route.bounds_bodies,
            deadlines: route.deadlines,
            grpc_web: route.grpc_web,
            logged: route.logged,
            shadow: None,
            version_header: route.version_header.clone(),
        });
        let pools = pools
            .iter()
            .filter_map(|pool| self.pools.get(pool.0 as usize));
        Self {
            generation: self.generation,
            rate_stores: Vec::new(),
            rollouts: Vec::new(),
            listeners: Vec::new(),
            routes: route.into_iter().collect(),
            table: RouteTable::build(&[], &[]),
            pools: pools.cloned().collect(),
            trusted: TrustedProxies::default(),
            drain: self.drain,
            connections_max: self.connections_max,
            access_log: self.access_log.clone(),
            tracing: self.tracing.clone(),
            debug_header: self.debug_header.clone(),
            logged: self.logged.clone(),
            challenges: None,
            secrets: Arc::clone(&self.secrets),
            config: Arc::default(),
            alive: Arc::new(()),
        }
    }

    /// Returns the certificates that are presented now, to clients and to endpoints.
    pub fn certificates(&self) -> Vec<Arc<Certificate>> {
        let listeners = self.listeners.iter().filter_map(|it| it.tls.as_ref());
        let shown = listeners.flat_map(|tls| tls.certificates());
        let pools = self.pools.iter().filter_map(|it| it.tls.as_ref());
        shown
            .chain(pools.filter_map(|tls| tls.certificate()))
            .collect()
    }
}

/// Settings of a shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// Readiness fails, but connections are still accepted.
    pub grace: Duration,
    /// After this the rest is cut.
    pub timeout: Duration,
}

/// A socket that accepts traffic; its identity is the address.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Its name in logs and metrics.
    pub name: Arc<str>,
    /// Its index in the snapshot.
    pub index: u32,
    /// Address that it listens on.
    pub address: BindAddress,
    /// Options of its socket.
    pub socket: BindOptions,
    /// True if HTTP/1.1 is spoken.
    pub http1: bool,
    /// True if HTTP/2 is spoken.
    pub http2: bool,
    /// True if HTTP/3 is spoken, on the UDP port of the same number.
    pub http3: bool,
    /// Value of `Alt-Svc` in answers over HTTP/1.1 and HTTP/2; none where HTTP/3 was never spoken.
    pub alt_svc: Option<AltSvc>,
    /// Peers that must send a PROXY protocol header.
    pub proxy_protocol: Option<TrustedProxies>,
    /// Timeouts for clients.
    pub timeouts: ListenerTimeouts,
    /// Header names with an underscore.
    pub underscores: Underscores,
    /// Size limits of a request head.
    pub head: HeadLimits,
    /// Maximum number of open connections, over all workers; 0: no limit.
    pub connections_max: usize,
    /// Connections open at once of one client; 0: no limit.
    pub connections_per_client: usize,
    /// Connections of each client, while they are limited; outlives reloads.
    pub clients: Arc<ClientTable<()>>,
    /// Maximum number of requests on one connection; 0: no limit.
    pub requests_per_connection: u64,
    /// Maximum number of open streams on one connection, over HTTP/2 and HTTP/3.
    pub streams_max: u32,
    /// TLS; none: plain HTTP.
    pub tls: Option<Arc<ServerTls>>,
    /// Certificate that a CA issues for it.
    pub acme: Option<Arc<AcmeCertificate>>,
    /// Form of answers to requests without a route.
    pub error_pages: Option<Arc<ErrorPages>>,
    /// Limits on the rate of its requests, whichever route they have.
    pub rates: Option<Arc<RateLimitFilter>>,
    /// Its entry in a registry.
    pub registration: Option<Arc<RegistrationSpec>>,
    /// Number of open connections, over all workers; outlives reloads.
    pub open: Arc<Padded>,
    /// Connections that its limits have refused; outlives reloads.
    pub refused: Arc<RefusedConnections>,
}

/// A certificate that a CA issues, and its standing, which outlives reloads.
#[derive(Clone, Debug)]
pub struct AcmeCertificate {
    /// The certificate as configured.
    pub order: Order,
    /// Its standing.
    pub standing: Arc<Standing>,
}

/// Timeouts of a listener for its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerTimeouts {
    /// From the accept to the start of the first request: PROXY protocol header and TLS handshake.
    pub handshake: Duration,
    /// From the first byte of a request to the end of its head.
    pub head: Duration,
    /// Between two requests on a connection.
    pub idle: Duration,
    /// Maximum lifetime of a connection; zero: unlimited.
    pub lifetime: Duration,
    /// Without a byte of a request body received, or of a response sent.
    pub body_idle: Duration,
}

/// A rule that chooses a destination, with its policies.
///
/// Takes two cache lines: with many routes, that of a request is seldom in the cache.
#[derive(Debug)]
#[repr(align(64))]
pub struct Route {
    /// Its identity.
    pub name: Arc<str>,
    /// Destination.
    pub action: Action,
    /// Timeouts of its exchanges.
    pub timeouts: ExchangeTimeouts,
    /// Retry policy; one for all routes with the same rules.
    pub retry: Arc<RetryPolicy>,
    /// Filters for requests and responses.
    pub filters: Chain,
    /// True if bodies on the way to its pools have the default bound: it writes none.
    pub bounds_bodies: bool,
    /// True if clients may shorten the total time, and endpoints are told what is left of it.
    pub deadlines: bool,
    /// True if calls in gRPC-Web are turned into gRPC.
    pub grpc_web: bool,
    /// True if its requests are written to the access log.
    pub logged: bool,
    /// Header by which a client asks for a version.
    pub version_header: Option<Box<HeaderName>>,
    /// Copies of its requests.
    pub shadow: Option<Arc<Shadow>>,
}

impl Route {
    /// Maximum size of a request body; of calls of gRPC only if it is written.
    pub fn body_max(&self) -> Option<ByteSize> {
        let default = self.bounds_bodies.then_some(BodyBound::DEFAULT);
        self.filters.body_max().map(ByteSize).or(default)
    }
}

/// Destination of a route's requests.
#[derive(Clone, Debug)]
pub enum Action {
    /// A pool, or those of its endpoints that belong to a view.
    Pool(PoolIndex, ViewIndex),
    /// One of several pools, by weight.
    Split(Arc<Split>),
    /// One of two versions in a pool, by a rollout.
    Rollout(Arc<Rollout>),
    /// A redirect to another URL.
    Redirect(Box<crate::filter::Redirect>),
    /// A fixed reply of the proxy.
    Respond(Box<crate::filter::Respond>),
}

impl Action {
    /// Returns the pool and the view of it that a request goes to; none if it goes to no pool, or to
    /// one of several by a cookie that its user is still to get.
    pub(super) fn home(&self, input: &HashInput<'_>) -> Option<(PoolIndex, ViewIndex)> {
        match self {
            Self::Pool(pool, view) => Some((*pool, *view)),
            Self::Split(split) => {
                let arm = split.choose(&split.users.known(input)?)?;
                Some((arm.pool, arm.view))
            }
            Self::Rollout(rollout) => {
                let arm = match rollout.pinned(input.headers) {
                    Some(arm) => arm,
                    None => {
                        let user = rollout.users.known(input)?;
                        rollout.choose(&user, input.headers).arm
                    }
                };
                Some((rollout.pool, rollout.view(arm)))
            }
            Self::Redirect(_) | Self::Respond(_) => None,
        }
    }
}

/// Timeouts of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeTimeouts {
    /// All attempts together, until a response head.
    pub total: Duration,
    /// One attempt, until its response head.
    pub attempt: Duration,
    /// Without a byte of the response received.
    pub idle: Duration,
}

const _: () = assert!(size_of::<Route>() <= 128, "two cache lines");
