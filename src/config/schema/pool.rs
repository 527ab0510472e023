//! `[pools.NAME]`: endpoints that serve the same, and how they are used.

use std::time::Duration;

use super::endpoint::Endpoint;
use super::health::{Ejection, Health};
use super::picker::Picker;
use super::tls::PoolTls;
use crate::config::setting::{Spanned, table, words};
use crate::config::value::{Name, Ratio};

table! {
    /// Endpoints that serve the same, and how they are used.
    pub struct Pool {
        /// How an endpoint is picked: `"random"`, `"round_robin"`, `"weighted_round_robin"`, `"least_requests"`, `"power_of_two"`, `"peak_ewma"`, `{ ring_hash = { key = … } }`, `{ maglev = { key = … } }`, or a name registered by an embedding program.
        pub picker: Picker = Picker::WeightedRoundRobin,
        /// The endpoints, each an address or a table.
        pub endpoints: Vec<Endpoint>,
        /// The protocol spoken to them. NTLM and Negotiate authenticate a connection, which then serves that client alone: this takes `http/1.1` here and at the client, for over HTTP/2 requests share connections.
        pub protocol: PoolProtocol = PoolProtocol::Http1,
        /// TLS; without this table the endpoints are spoken to in the clear.
        pub tls: Option<PoolTls> = None,
        /// Tells each endpoint the client's address, in front of every connection and of TLS, by this version of the PROXY protocol. Such connections carry one exchange each; health checks say `LOCAL`.
        pub proxy_protocol: Option<Announce> = None,
        /// Active health checks; without this there are none.
        pub health: Option<Health> = None,
        /// Passive removal of endpoints that fail. `false`: never.
        pub ejection: Option<Ejection> = Some(Ejection::default()),
        /// A tier (priority, zone) with a smaller share of healthy endpoints than this is passed over; if no other tier and no pool of `failover` has enough of them, health is ignored there. By default that takes a tier without any healthy endpoint (among more than 100: under 1 %). `"0%"`: never.
        pub panic_threshold: Ratio = Ratio::percent(1),
        /// Bounds on what is sent there.
        pub limits: PoolLimits = PoolLimits::default(),
        /// Bound on retries as a share of the load.
        pub retry_budget: RetryBudget = RetryBudget::default(),
        /// How long connecting may take and connections live.
        pub timeouts: PoolTimeouts = PoolTimeouts::default(),
        /// Pools tried in this order when nothing here can serve.
        pub failover: Vec<Spanned<Name>> = Vec::new(),
        /// Preference for endpoints nearby.
        pub zone: Option<Zone> = None,
    }
    later { "discover", "breaker", "slow_start", "session" }
}

words! {
    /// The protocol spoken to endpoints.
    pub enum PoolProtocol {
        /// HTTP/1.1.
        Http1 = "http/1.1",
        /// HTTP/2: agreed on where there is TLS, else known beforehand.
        H2 = "h2",
        /// What TLS agrees on: HTTP/2, else HTTP/1.1.
        Auto = "auto",
    }
    later { "h3" }
}

words! {
    /// A version of the PROXY protocol.
    pub enum Announce {
        /// A line of text.
        V1 = "v1",
        /// The binary form.
        V2 = "v2",
    }
}

table! {
    /// Bounds on what is sent to a pool. 0: no bound.
    pub struct PoolLimits: Default {
        /// Connections open at once, over all workers, idle ones included; at the limit, the idle one used least recently makes room. Without an idle one, the request whose client has sent nothing of its body for longest, at least 500 ms, and that has no answer yet, loses its connection and is answered with 408. Not set: 1024, or 2 for each endpoint and worker where that is more, since each worker keeps idle connections of its own.
        pub connections: Option<u32> = None,
        /// Exchanges at once.
        pub requests: u32 = 0,
        /// Exchanges at once per endpoint.
        pub per_endpoint: u32 = 0,
        /// Exchanges that may wait for a place; one more is answered with 503. Here 0 means none.
        pub queue: u32 = 0,
        /// How long an exchange may wait.
        pub queue_timeout: Duration = Duration::from_secs(1),
    }
}

table! {
    /// Bound on retries as a share of the load.
    pub struct RetryBudget: Default {
        /// Retries at once, as a share of the exchanges at once.
        pub ratio: Ratio = Ratio::percent(20),
        /// Retries at once that are always allowed.
        pub minimum: u32 = 3,
    }
}

table! {
    /// How long connecting may take and connections live.
    pub struct PoolTimeouts: Default {
        /// Looking up, connecting and shaking hands.
        pub connect: Duration = Duration::from_secs(1),
        /// How long a connection is kept without use.
        pub idle: Duration = Duration::from_secs(60),
        /// How old a connection may be and be used again.
        pub lifetime: Duration = Duration::from_secs(3600),
    }
}

table! {
    /// Preference for endpoints nearby.
    pub struct Zone {
        /// The zone that is used while enough of it is healthy.
        pub prefer: String,
    }
}
