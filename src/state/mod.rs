//! The compiled snapshot, and the registry of state that outlives it.

mod alt_svc;
mod arrival;
mod compile;
mod debug_header;
mod decision;
mod explain;
mod geo;
pub mod heads;
mod local;
mod maintenance;
mod registered;
mod registry;
mod route_metrics;
mod shadow;
mod snapshot;
mod under_way;

pub use crate::config::schema::Underscores;
pub use alt_svc::AltSvc;
pub use arrival::{ArrivalReason, Asked};
pub use compile::{
    BuildError, Lists, Source, TestFailure, TlsFiles, build, config_store, consul_target,
    rollout_agent, rollout_servers, run_tests,
};
pub use debug_header::DebugHeader;
pub use decision::{Decision, RequestView, route};
pub use explain::{
    Explained, ExplainedAction, ExplainedCandidate, ExplainedHedge, ExplainedPolicies,
    ExplainedRate, ExplainedRollout, ExplainedShadow, ExplainedSplit, ExplainedTimeouts,
    HealthKnown, explain,
};
pub use local::{LocalListener, LocalSnapshot};
pub use maintenance::{Closed, Closing};
pub use registered::Registered;
pub use registry::{RefusedConnections, Registry};
pub(crate) use route_metrics::RouteMetrics;
pub use shadow::Shadow;
pub use snapshot::{
    AcmeCertificate, Action, Drain, ExchangeTimeouts, Listener, ListenerTimeouts, Route, Snapshot,
};
pub use under_way::HolderFilter;
pub(crate) use under_way::{ExchangePlace, Holder, UnderWay};
