//! Interface between the admin API and the proxy: one object-safe trait, implemented by `server`.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;

use schemars::JsonSchema;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::figures::Figures;
use super::model::{
    CertificateExpiry, Checked, Compared, Connection, Draining, EndpointChange, Explained,
    Listener, MaintenanceReport, MaintenanceRequest, Origins, Pool, Purge, Purged, Ready,
    RecentExchange, ReloadRefusal, ReloadReport, Rollout, Route, RouteCache, Status,
    UpgradeRefusal, UpgradeReport, UpgradeRequest,
};
use crate::{
    config::Secrets,
    state::{
        HolderFilter,
        heads::{GateUse, TrafficUse},
    },
    telemetry::metrics::Exposition,
    tls::ClientCertificate,
};

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Interface of the proxy for the admin API.
///
/// All but the futures and the two probes are called on a thread that may block for a moment. A
/// future is always driven to its end, even if the client has left.
pub trait Operations: Send + Sync + 'static {
    /// Returns true if the process works at all.
    fn live(&self) -> bool;
    /// Returns the readiness for traffic; always with its reasons.
    fn ready(&self) -> Ready;
    /// All metrics, in this format.
    fn metrics(&self, exposition: Exposition) -> String;
    /// The process as a whole.
    fn status(&self) -> Status;
    /// Configuration in effect, secrets masked.
    fn config(&self) -> Map<String, Value>;
    /// Values of the configuration in effect at and below a place, with their origins; without
    /// those that are built in, if `only_written` says so.
    fn origins(&self, within: &str, only_written: bool) -> Origins;
    /// Listeners with their sockets and connections.
    fn listeners(&self) -> Vec<Listener>;
    /// Routes in the order of their precedence.
    fn routes(&self) -> Vec<Route>;
    /// Pools with the state of their endpoints.
    fn pools(&self) -> Vec<Pool>;
    /// One pool, if there is one of that name.
    fn pool(&self, name: &str) -> Option<Pool>;
    /// Pools as in [`Self::pools`], with the requests in flight of each endpoint; without these if
    /// there are more than `endpoints_max` endpoints.
    fn loaded_pools(&self, endpoints_max: usize) -> Vec<Pool>;
    /// Counts of requests and attempts.
    fn figures(&self) -> Figures;
    /// Certificates in use, the one that expires first in front.
    fn certificates(&self) -> Vec<CertificateExpiry>;
    /// Rollouts with their progress.
    fn rollouts(&self) -> Vec<Rollout>;
    /// One rollout, if there is one of that name.
    fn rollout(&self, name: &str) -> Option<Rollout>;
    /// Changes the course of a rollout by hand; returns when it holds for the whole fleet, if it is
    /// part of one, or the reason why not.
    fn change_rollout<'a>(
        &'a self,
        name: &'a str,
        action: RolloutAction,
    ) -> BoxFuture<'a, Result<Rollout, OperationError>>;
    /// The caches of routes.
    fn caches(&self) -> Vec<RouteCache>;
    /// Removes stored answers.
    ///
    /// # Errors
    /// If it does not say which, or the route has no cache.
    fn purge_cache(&self, what: &Purge) -> Result<Purged, OperationError>;
    /// Downstream connections with what they hold; those that hold what is asked for.
    fn connections(&self, filter: HolderFilter) -> Vec<Connection>;
    /// The last exchanges, newest first.
    fn requests(&self, last: usize) -> Vec<RecentExchange>;
    /// The record of one exchange, if it is still kept.
    fn request(&self, id: &str) -> Option<RecentExchange>;
    /// Explains the destination of a request.
    ///
    /// # Errors
    /// A message if the proxy could not receive such a request.
    fn explain(&self, request: ExplainRequest) -> Result<Explained, String>;
    /// All faults of a configuration given as text; `secrets` tells which values the caller may
    /// read.
    fn check(&self, text: String, secrets: Secrets, traffic: TrafficUse) -> Checked;
    /// Returns the changes that a reload with this configuration would make.
    fn diff(&self, text: String, secrets: Secrets, traffic: TrafficUse) -> Compared;
    /// Reloads from the file; returns the report in either case.
    fn reload(&self, gate: GateUse) -> BoxFuture<'_, Result<ReloadReport, ReloadRefusal>>;
    /// Hands over to a new process; returns when that one serves, or says why not.
    fn upgrade(
        &self,
        request: UpgradeRequest,
    ) -> BoxFuture<'_, Result<UpgradeReport, UpgradeRefusal>>;
    /// Closes routes for maintenance, or opens them again.
    fn maintenance(
        &self,
        request: MaintenanceRequest,
    ) -> BoxFuture<'_, Result<MaintenanceReport, OperationError>>;
    /// Begins to drain the whole proxy; returns once draining has begun, or the reason why it has
    /// not.
    fn drain(&self) -> BoxFuture<'_, Result<Draining, String>>;
    /// Changes the state of one endpoint by hand.
    ///
    /// # Errors
    /// If there is no such pool or endpoint, or the change is not possible now.
    fn endpoint(
        &self,
        pool: &str,
        address: &str,
        action: EndpointAction,
    ) -> Result<EndpointChange, OperationError>;
}

/// A request to be explained, not sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainRequest {
    /// Method; default GET.
    #[serde(default = "get")]
    pub method: String,
    /// Scheme, host, path and query.
    pub url: String,
    /// Names and values, in order; a name may occur more than once. Written as an object, or as a
    /// list of pairs.
    #[serde(default, deserialize_with = "pairs")]
    #[schemars(with = "Fields")]
    pub headers: Vec<(String, String)>,
    /// Listener that would accept it; none: the one of scheme and port.
    #[serde(default)]
    pub listener: Option<String>,
    /// Address that the request would come from.
    #[serde(default)]
    pub source: Option<IpAddr>,
    /// Content of the client's certificate; none: the client presents none.
    #[serde(default)]
    pub client_certificate: Option<ClientCertificate>,
}

/// Actions of an operator on an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointAction {
    /// Let it finish its requests, and send it no new ones.
    Drain,
    /// Undo a drain or an ejection.
    Enable,
    /// Eject it as if it had failed too often.
    Eject,
}

/// Actions of an operator on a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutAction {
    /// Stay at the present step.
    Pause,
    /// Go on; after a rollback, start again.
    Resume,
    /// End the present step now.
    Promote,
    /// Give all users to the old version now.
    Abort,
}

impl fmt::Display for RolloutAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Promote => "promote",
            Self::Abort => "abort",
        })
    }
}

/// Reasons why an operation was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    /// There is nothing of that name.
    #[error("{0}")]
    NotFound(String),
    /// It cannot be done in this state.
    #[error("{0}")]
    Conflict(String),
}

impl fmt::Display for EndpointAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Drain => "drain",
            Self::Enable => "enable",
            Self::Eject => "eject",
        })
    }
}

/// Forms in which header fields may be written.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum Fields {
    /// An object, in which each name occurs once.
    Object(BTreeMap<String, String>),
    /// A list of names and values.
    Pairs(Vec<(String, String)>),
}

fn get() -> String {
    "GET".to_owned()
}

fn pairs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, String)>, D::Error> {
    struct Pairs;

    impl<'de> Visitor<'de> for Pairs {
        type Value = Vec<(String, String)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of header values, or a list of [name, value]")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut pairs = Vec::new();
            while let Some(pair) = map.next_entry()? {
                pairs.push(pair);
            }
            Ok(pairs)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut pairs = Vec::new();
            while let Some(pair) = list.next_element()? {
                pairs.push(pair);
            }
            Ok(pairs)
        }
    }

    deserializer.deserialize_any(Pairs)
}
