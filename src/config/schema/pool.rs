//! `[pools.NAME]`: endpoints that serve the same, and how they are used.

use std::time::Duration;

use super::discover::Discover;
use super::endpoint::Endpoint;
use super::health::{Ejection, Health};
use super::session::Session;
use super::tls::PoolTls;
use crate::config::setting::{Spanned, table, words_of};
use crate::config::value::{Name, PickerSpec, PoolProtocol, Ratio};
use crate::proxy_protocol;

table! {
    /// A group of endpoints that serve the same, and how they are used.
    pub struct Pool {
        /// Picker: `"random"`, `"round_robin"`, `"weighted_round_robin"`, `"least_requests"`, `"power_of_two"`, `"peak_ewma"`, `{ ring_hash = { key = … } }`, `{ maglev = { key = … } }`, or a name registered by an embedding program.
        pub picker: PickerSpec = PickerSpec::WeightedRoundRobin,
        /// Endpoints, each an address or a table. At least one, unless `discover` finds them.
        pub endpoints: Vec<Endpoint> = Vec::new(),
        /// Source of further endpoints; without this the pool has those of `endpoints` only.
        pub discover: Option<Discover> = None,
        /// Protocol spoken to the endpoints. NTLM and Negotiate need `http/1.1` here and at the client: a connection that they authenticate serves that client alone, and HTTP/2 connections are shared.
        pub protocol: PoolProtocol = PoolProtocol::Http1,
        /// TLS; without this table the endpoints get plain text.
        pub tls: Option<PoolTls> = None,
        /// Version of the PROXY protocol by which each endpoint is told the client's address, before TLS. Such connections carry one request each; health checks send `LOCAL`.
        pub proxy_protocol: Option<proxy_protocol::Version> = None,
        /// Active health checks; without this there are none.
        pub health: Option<Health> = None,
        /// Passive removal of endpoints that fail. `false`: never.
        pub ejection: Option<Ejection> = Some(Ejection::default()),
        /// Time in which an endpoint that joined, or came back, gets a growing part of its share of requests, from 10 % on. 0: it gets its whole share at once.
        pub slow_start: Duration = Duration::ZERO,
        /// Breaker: after too many failed calls the pool is left alone for a while. Without this table there is none.
        pub breaker: Option<Breaker> = None,
        /// Share of healthy endpoints below which a tier (priority, zone) is passed over. If no other tier and no pool of `failover` has enough of them, health is ignored. By default a tier with a healthy endpoint is used (1 % with more than 100 endpoints). `"0%"`: never ignored.
        pub panic_threshold: Ratio = Ratio::percent(1),
        /// Limits on what is sent to the pool.
        pub limits: PoolLimits = PoolLimits::default(),
        /// Limit on retries as a share of the load.
        pub retry_budget: RetryBudget = RetryBudget::default(),
        /// Timeouts of connections to the endpoints.
        pub timeouts: PoolTimeouts = PoolTimeouts::default(),
        /// Sessions: a client stays with the endpoint that served it first; without this table each request is picked by itself.
        pub session: Option<Session> = None,
        /// Pools that are tried in this order when no endpoint here can serve.
        pub failover: Vec<Spanned<Name>> = Vec::new(),
        /// Preference for nearby endpoints.
        pub zone: Option<Zone> = None,
    }
}

words_of! {
    PoolProtocol { Http1 = "http/1.1", Http2 = "h2", Auto = "auto" }
    later { "h3" }
}

words_of! {
    proxy_protocol::Version { V1 = "v1", V2 = "v2" }
}

table! {
    /// Limits on what is sent to a pool. 0: no limit.
    pub struct PoolLimits: Default {
        /// Connections open at once, over all workers, idle ones included. At the limit the idle connection that was used least recently is closed. If none is idle, the unanswered request whose client has sent nothing of its body for longest, at least 500 ms, loses its connection, or its stream of one, and is answered with 408; a request whose body has not begun waits for it, and takes nobody's place. Not set: 1024, or 2 for each endpoint and worker if that is more.
        pub connections: Option<u32> = None,
        /// Requests at once.
        pub requests: u32 = 0,
        /// Requests at once per endpoint.
        pub per_endpoint: u32 = 0,
        /// Requests that may wait for a place; one more is answered with 503. Here 0 means none.
        pub queue: u32 = 0,
        /// Time that a request may wait.
        pub queue_timeout: Duration = Duration::from_secs(1),
    }
}

table! {
    /// Breaker of a pool: it opens after too many failed calls, and a trial closes it again.
    pub struct Breaker: Default {
        /// Share of failed calls in the window that opens it.
        pub failure_ratio: Ratio = Ratio::percent(50),
        /// Calls in the window from which on the share counts.
        pub volume_min: u32 = 20,
        /// Length of the window.
        pub window: Duration = Duration::from_secs(10),
        /// Time that it stays open; then one request at a time is the trial that decides.
        pub open: Duration = Duration::from_secs(5),
        /// Failed calls in a row that open it. 0: not used.
        pub consecutive: u32 = 0,
        /// Time to the head of an answer from which on a call counts as failed. 0: not used.
        pub slow: Duration = Duration::ZERO,
    }
}

table! {
    /// Limit on retries as a share of the load.
    pub struct RetryBudget: Default {
        /// Retries at once, as a share of the requests at once.
        pub ratio: Ratio = Ratio::percent(20),
        /// Retries at once that are always allowed.
        pub minimum: u32 = 3,
    }
}

table! {
    /// Timeouts of connections to the endpoints.
    pub struct PoolTimeouts: Default {
        /// Time for look-up, connection and TLS handshake.
        pub connect: Duration = Duration::from_secs(1),
        /// Time that an unused connection is kept.
        pub idle: Duration = Duration::from_secs(60),
        /// Age up to which a connection is used again.
        pub lifetime: Duration = Duration::from_secs(3600),
    }
}

table! {
    /// Preference for nearby endpoints.
    pub struct Zone {
        /// Zone that is preferred while enough of its endpoints are healthy.
        pub prefer: String,
    }
}
