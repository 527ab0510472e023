//! The tables of `proxy.toml`, one file each: keys, types, defaults, reference text.
//!
//! [`Config`] is the whole file. The same definitions give the reading of the file, the effective
//! configuration as JSON (`Serialize`) and the [`reference`].

pub mod access;
pub mod access_log;
pub mod acme;
pub mod admin;
pub mod auth;
pub mod cache;
pub mod compress;
pub mod concurrency;
pub mod cors;
mod defaults;
pub mod discover;
pub mod endpoint;
pub mod error_page;
pub mod fault;
pub mod geo;
pub mod health;
mod include;
mod json_schema;
pub mod listener;
pub mod log;
pub mod maintenance;
pub mod oidc;
pub mod picker;
mod policy;
pub mod pool;
pub mod proxy;
pub mod rate_limit;
mod reference;
pub mod register;
pub mod retry;
pub mod rewrite;
pub mod rollout;
pub mod rollout_store;
pub mod route;
pub mod session;
pub mod shadow;
mod shared;
pub mod split;
pub mod test;
mod tls;
pub mod token;
mod tracing;

pub use access::{Access, AsnAccess, CountryAccess, Unknown};
pub use access_log::{
    AccessField, AccessFields, AccessFormat, AccessLog, LogRotation, LogTarget, Syslog,
    SyslogFacility,
};
pub use acme::{Acme, AcmeBinding, AcmeChallenge};
pub use admin::Admin;
pub use auth::{ApiKeyAuth, Auth, AuthStep, AuthSteps, BasicAuth, KeySource, MtlsAuth};
pub use cache::{Cache, CacheKey};
pub use compress::{Compress, Encoding};
pub use concurrency::{Concurrencies, Concurrency, ConcurrencyScope};
pub use cors::Cors;
pub use defaults::{Defaults, Preset};
pub use discover::{
    AbsentEndpoint, Discover, DiscoverConsul, DiscoverDns, DiscoverEtcd, DiscoverEureka,
    DiscoverFile, DiscoverHttp, DiscoverKubernetes, DiscoverSource, DiscoverZooKeeper, DnsFamily,
    DnsTtl, DnsType,
};
pub use endpoint::Endpoint;
pub use error_page::{ErrorPage, ErrorPages, PagesOf};
pub use fault::RouteFault;
pub use geo::Geo;
pub use health::{Ejection, GrpcProbe, Health, HttpProbe, ProbeKind, TcpProbe};
pub use include::Include;
pub use json_schema::json_schema;
pub use listener::{
    Listener, ListenerLimits, ListenerProtocol, ListenerTimeouts, ProxyProtocol, Underscores,
};
pub use log::{Log, LogFormat, LogLevel, Metrics};
pub use maintenance::Maintenance;
pub use oidc::{OidcAuth, OidcSession, OwnPath, SealSecrets};
pub use picker::Hashing;
pub use policy::{Policies, Policy, Taken};
pub use pool::{Breaker, Pool, PoolLimits, PoolTimeouts, RetryBudget, Zone};
pub use proxy::{DebugHeader, Drain, Proxy, ProxyLimits, Workers};
pub use rate_limit::{RateLimit, RateLimits, RateStore, RedisStore};
pub use reference::{ReferencePage, reference};
pub use register::{
    Register, RegisterCheck, RegisterCheckKind, RegisterConsul, RegisterEtcd, RegisterEureka,
    RegisterHttpCheck, RegisterTcpCheck, RegisterZooKeeper, Registry,
};
pub use retry::{Backoff, Hedge, Retry};
pub use rewrite::{HeaderChanges, PathRewrite, Rewrite};
pub use rollout::{
    OnFailure, Rollout, RolloutGate, RolloutLatency, RolloutNotify, RolloutPin, RolloutStep,
    RolloutUnit,
};
pub use rollout_store::{RolloutConsul, RolloutEtcd, RolloutPlace, RolloutStore};
pub use route::{CertificateMatch, Destination, PathRule, Redirect, Respond, Route, RouteTimeouts};
pub use session::{SameSite, Session};
pub use shadow::{Shadow, ShadowBody, ShadowCompare};
pub use shared::{ConfigConsul, ConfigEtcd, ConfigSource, ConfigStore, ReloadGate, SharedConfig};
pub use split::{Pin, Split};
pub use test::{Expectation, RouteTest, TestCertificate, TestRequest};
pub use tls::{ClientAuth, KeyPair, ListenerTls, PoolTls, ServedCertificate, TlsVersion};
pub use token::{ForwardAuth, JwksSource, JwtAuth};
pub use tracing::{TraceAccept, TraceAlways, TracePropagation, Tracing};

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use super::setting::table;
use super::value::Name;
use crate::tls::Stamps;

table! {
    /// The whole of `proxy.toml`.
    pub struct Config: Default {
        /// Other files with tables, below the folder of this one: paths in which `*` and `?` stand for any text and letter, such as `["conf.d/*.toml"]`. They hold all but `[proxy]`, `[admin]`, `[config]` and `[log]`; each name stands once over all files. Relative paths in them are relative to this file. New, changed and removed files cause a reload.
        pub include: Include = Include::default(),
        /// Keys that routes, pools and listeners have unless they write them themselves.
        pub defaults: Option<Defaults> = None,
        /// The process as a whole.
        pub proxy: Proxy = Proxy::default(),
        /// The admin API; without this table there is none.
        pub admin: Option<Admin> = None,
        /// A configuration that many proxies share; without this table all of it is in this file.
        pub config: SharedConfig = SharedConfig::default(),
        /// The proxy's own log.
        pub log: Log = Log::default(),
        /// The access log: one line per request. Off without this table.
        pub access_log: Option<AccessLog> = None,
        /// Traces: context in headers, and spans for a collector. Off without this table.
        pub tracing: Option<Tracing> = None,
        /// The Prometheus metrics.
        pub metrics: Metrics = Metrics::default(),
        /// Databases with the country and the autonomous system of addresses.
        pub geo: Geo = Geo::default(),
        /// Sockets that accept traffic.
        pub listeners: BTreeMap<Name, Listener> = BTreeMap::new(),
        /// Filters under a name, for routes that name it in `use`.
        pub policies: Policies = Policies::default(),
        /// Rules that choose where a request goes. The most specific one wins, whatever their order.
        pub routes: BTreeMap<Name, Route> = BTreeMap::new(),
        /// Groups of endpoints that serve the same.
        pub pools: BTreeMap<Name, Pool> = BTreeMap::new(),
        /// Controlled changes of the version that users get.
        pub rollouts: BTreeMap<Name, Rollout> = BTreeMap::new(),
        /// Tests of the routing, run by `check` and before each reload.
        pub tests: BTreeMap<Name, RouteTest> = BTreeMap::new(),
    }
}

impl Config {
    /// Returns true if the value at this place came from the environment or a file, or is a secret.
    pub fn hides(&self, place: &[&str]) -> bool {
        let hidden = self.spans.hidden();
        hidden.is_some_and(|hidden| !hidden.at(place).is_empty())
    }

    /// Gives the files that values were read from, and how they looked then.
    pub fn named_files(&self) -> BTreeMap<PathBuf, Stamps> {
        let hidden = self.spans.hidden();
        hidden.map_or_else(BTreeMap::new, |hidden| hidden.files().clone())
    }

    /// Masks what must not be shown of it within every sentence of a value; a name by itself
    /// stays.
    pub fn mask_sentences(&self, value: &mut Value) {
        if let Some(hidden) = self.spans.hidden() {
            hidden.mask_sentences(value);
        }
    }

    /// Masks what must not be shown of it within a text.
    pub fn mask_text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.spans.hidden() {
            Some(hidden) => hidden.mask_text(text),
            None => Cow::Borrowed(text),
        }
    }
}
