//! `health` and `ejection` of a pool: which endpoints are fit to be used.

use std::time::Duration;

use super::route::Path;
use crate::config::setting::{choice, table};
use crate::config::value::{Ratio, StatusSet};

table! {
    /// Active health checks.
    pub struct Health {
        /// Time between two probes of an endpoint that is up.
        pub interval: Duration = Duration::from_secs(5),
        /// Time between two probes of one that is down.
        pub interval_down: Duration = Duration::from_secs(1),
        /// How long a probe may take; at most the interval.
        pub timeout: Duration = Duration::from_secs(1),
        /// Successes in a row that bring an endpoint up.
        pub rise: u32 = 2,
        /// Failures in a row that take it down.
        pub fall: u32 = 3,
    }
    choices {
        /// What is asked: exactly one of these.
        pub probe: ProbeKind,
    }
}

choice! {
    /// What a health check asks.
    pub enum ProbeKind {
        /// A GET that must be answered with the right status.
        "http" => Http(HttpProbe),
        /// A connection that must come about.
        "tcp" => Tcp(TcpProbe),
        /// The gRPC health service, which must say SERVING.
        "grpc" => Grpc(GrpcProbe),
    }
}

table! {
    /// A GET that must be answered with the right status.
    pub struct HttpProbe: Default {
        /// The path asked for.
        pub path: Path = Path("/".to_owned()),
        /// The statuses that mean health.
        pub status: StatusSet = StatusSet::success(),
        /// The host asked for; the endpoint's address unless given.
        pub host: Option<String> = None,
    }
}

table! {
    /// A connection that must come about.
    pub struct TcpProbe: Default {
    }
}

table! {
    /// The gRPC health service, which must say SERVING.
    pub struct GrpcProbe: Default {
        /// The service asked about; empty is the server as a whole.
        pub service: String = String::new(),
    }
}

table! {
    /// Passive removal of endpoints that fail; the last one is never removed.
    pub struct Ejection: Default {
        /// Failures in a row that remove an endpoint. 0: do not look at this.
        pub consecutive: u32 = 5,
        /// Share of failures in an interval that removes it.
        pub failure_ratio: Ratio = Ratio::percent(85),
        /// Exchanges in an interval from which the share counts.
        pub volume_min: u32 = 20,
        /// Length of an interval.
        pub interval: Duration = Duration::from_secs(10),
        /// How long the first removal lasts; each further one is longer by as much.
        pub base: Duration = Duration::from_secs(30),
        /// How long any removal lasts at most.
        pub max: Duration = Duration::from_secs(300),
        /// Share of the pool that may be removed at once.
        pub share_max: Ratio = Ratio::percent(50),
    }
}
