//! Interface between the admin API and the proxy: one object-safe trait, implemented by `server`.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;

use schemars::JsonSchema;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::model::{
    Checked, Compared, Connection, Draining, EndpointChange, Explained, Listener, Pool, Ready,
    RecentExchange, ReloadRefusal, ReloadReport, Route, Status,
};
use crate::{config::Secrets, tls::ClientCertificate};

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The proxy as the admin API sees it.
///
/// All but the futures and the two probes are called on a thread that may block for
/// a moment. A future is always driven to its end, even if the client went away.
pub trait Operations: Send + Sync + 'static {
    /// Returns true if the process works at all.
    fn live(&self) -> bool;
    /// Returns the readiness for traffic; always with its reasons.
    fn ready(&self) -> Ready;
    /// All metrics in the Prometheus text format 0.0.4.
    fn metrics(&self) -> String;
    /// The process as a whole.
    fn status(&self) -> Status;
    /// Configuration in effect, secrets masked.
    fn config(&self) -> Map<String, Value>;
    /// Listeners with their sockets and connections.
    fn listeners(&self) -> Vec<Listener>;
    /// Routes in the order of their precedence.
    fn routes(&self) -> Vec<Route>;
    /// Pools with the state of their endpoints.
    fn pools(&self) -> Vec<Pool>;
    /// One pool, if there is one of that name.
    fn pool(&self, name: &str) -> Option<Pool>;
    /// Downstream connections, and which generation they hold on to.
    fn connections(&self) -> Vec<Connection>;
    /// The last exchanges, newest first.
    fn requests(&self, last: usize) -> Vec<RecentExchange>;
    /// The record of one exchange, if it is still kept.
    fn request(&self, id: &str) -> Option<RecentExchange>;
    /// Explains the destination of a request.
    ///
    /// # Errors
    /// A sentence when the request is not one that the proxy could get.
    fn explain(&self, request: ExplainRequest) -> Result<Explained, String>;
    /// All faults of a configuration given as text; `secrets` says what the caller may have read.
    fn check(&self, text: String, secrets: Secrets) -> Checked;
    /// Returns the changes that a reload with this configuration would make.
    fn diff(&self, text: String, secrets: Secrets) -> Compared;
    /// Reloads from the file; the report either way.
    fn reload(&self) -> BoxFuture<'_, Result<ReloadReport, ReloadRefusal>>;
    /// Begins to drain the whole proxy; returns when draining has begun, or says why not.
    fn drain(&self) -> BoxFuture<'_, Result<Draining, String>>;
    /// Changes the state of one endpoint by hand.
    ///
    /// # Errors
    /// When there is no such pool or endpoint, or it must not be done now.
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
    /// Method; GET when left out.
    #[serde(default = "get")]
    pub method: String,
    /// Scheme, host, path and query.
    pub url: String,
    /// Names and values, in order; a name may come more than once. Written as an object,
    /// or as a list of pairs.
    #[serde(default, deserialize_with = "pairs")]
    #[schemars(with = "Fields")]
    pub headers: Vec<(String, String)>,
    /// Listener that it would come in by; none: the one that scheme and port say.
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
    /// Let it finish what it has, send it nothing new.
    Drain,
    /// Take back a drain or an ejection.
    Enable,
    /// Take it out as if it had failed too often.
    Eject,
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
    /// An object, where no name comes twice.
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
