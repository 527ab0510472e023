//! `health` and `ejection` of a pool: which endpoints are fit to be used.

use std::time::Duration;

use super::route::Path;
use crate::config::setting::{choice, table};
use crate::config::value::{Ratio, StatusSet};

table! {
    /// Active health checks.
    pub struct Health {
        /// Time between two checks of a healthy endpoint.
        pub interval: Duration = Duration::from_secs(5),
        /// Time between two checks of an unhealthy endpoint.
        pub interval_down: Duration = Duration::from_secs(1),
        /// Time for one check; at most the interval.
        pub timeout: Duration = Duration::from_secs(1),
        /// Passed checks in a row that make an endpoint healthy.
        pub rise: u32 = 2,
        /// Failed checks in a row that make it unhealthy.
        pub fall: u32 = 3,
    }
    choices {
        /// Kind of check: exactly one of these.
        pub probe: ProbeKind,
    }
}

choice! {
    /// Kind of health check.
    pub enum ProbeKind {
        /// Sends a GET, which must be answered with one of the statuses.
        "http" => Http(HttpProbe),
        /// Opens a connection, with TLS if the pool has it.
        "tcp" => Tcp(TcpProbe),
        /// Asks the gRPC health service, which must answer SERVING.
        "grpc" => Grpc(GrpcProbe),
    }
}

table! {
    /// Sends a GET, which must be answered with one of the statuses.
    pub struct HttpProbe: Default {
        /// Path of the request.
        pub path: Path = Path("/".to_owned()),
        /// Statuses of a healthy endpoint.
        pub status: StatusSet = StatusSet::success(),
        /// Host of the request; by default the address of the endpoint.
        pub host: Option<String> = None,
    }
}

table! {
    /// Opens a connection, with TLS if the pool has it.
    pub struct TcpProbe: Default {
    }
}

table! {
    /// Asks the gRPC health service, which must answer SERVING.
    pub struct GrpcProbe: Default {
        /// Service to ask about; empty: the server as a whole.
        pub service: String = String::new(),
    }
}

table! {
    /// Passive removal of endpoints that fail; the last one is never removed.
    pub struct Ejection: Default {
        /// Failed requests in a row that eject an endpoint. 0: not used.
        pub consecutive: u32 = 5,
        /// Share of failed requests in an interval that ejects it.
        pub failure_ratio: Ratio = Ratio::percent(85),
        /// Requests in an interval from which on the share counts.
        pub volume_min: u32 = 20,
        /// Length of the interval.
        pub interval: Duration = Duration::from_secs(10),
        /// Duration of the first ejection; each further one is longer by the same time.
        pub base: Duration = Duration::from_secs(30),
        /// Longest duration of an ejection.
        pub max: Duration = Duration::from_secs(300),
        /// Share of the pool that may be ejected at once.
        pub share_max: Ratio = Ratio::percent(50),
    }
}
