//! Answers of the admin API as types: the server fills them in, the command line reads them, and
//! the OpenAPI document describes them from the same definition.
//!
//! Names of members are a contract. A command line may query an older proxy: a member that is added
//! later is `#[serde(default)]`, and unknown members are ignored.

mod cache;
mod change;
mod check;
mod connection;
mod listener;
mod maintenance;
mod origin;
mod overview;
mod pool;
mod process;
mod reload;
mod rollout;
mod route;
mod upgrade;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

pub use cache::{CacheDisk, CacheDiskState, Purge, Purged, RouteCache};
pub use change::{Draining, EndpointChange, Error};
pub use check::{Checked, Compared, Difference};
pub use connection::{Connection, ExchangeUnderWay};
pub use listener::{Acme, Listener, Registration};
pub use maintenance::{MaintenanceReport, MaintenanceRequest};
pub use origin::{Origin, Origins};
pub use overview::{Attempts, CertificateExpiry, Latency, Overview, RevocationList, Traffic};
pub use pool::{Endpoint, Pool, PoolBreaker, PoolDiscovery};
pub use process::{Live, Predecessor, ProcessState, Ready, Status};
pub use reload::{ReloadRefusal, ReloadReport, ReloadResult};
pub use rollout::{
    BothVersions, Counted, Rollout, RolloutEvidence, RolloutFleet, RolloutMember, RolloutStep,
    VersionFigures,
};
pub use route::{Concurrency, Route, Shadow, ShadowMismatch};
pub use upgrade::{UpgradeRefusal, UpgradeReport, UpgradeRequest, UpgradeResult};

pub use crate::{
    config::{Diff, FaultView},
    state::Explained,
    telemetry::{events::Event, recent::RecentExchange},
};

/// An answer of one path.
pub trait Resource: Serialize + DeserializeOwned + JsonSchema {
    /// The path, without parameters.
    const PATH: &'static str;
}

impl Resource for Live {
    const PATH: &'static str = "/live";
}

impl Resource for Ready {
    const PATH: &'static str = "/ready";
}

impl Resource for Status {
    const PATH: &'static str = "/status";
}

impl Resource for Vec<CertificateExpiry> {
    const PATH: &'static str = "/certificates";
}

impl Resource for Overview {
    const PATH: &'static str = "/overview";
}

impl Resource for Vec<Listener> {
    const PATH: &'static str = "/listeners";
}

impl Resource for Vec<Route> {
    const PATH: &'static str = "/routes";
}

impl Resource for Vec<Pool> {
    const PATH: &'static str = "/pools";
}

impl Resource for Vec<RouteCache> {
    const PATH: &'static str = "/cache";
}

impl Resource for Vec<Rollout> {
    const PATH: &'static str = "/rollouts";
}

impl Resource for Vec<Connection> {
    const PATH: &'static str = "/connections";
}

impl Resource for Vec<RecentExchange> {
    const PATH: &'static str = "/requests";
}
