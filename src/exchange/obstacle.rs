//! The limit that refused an exchange, for the access log and `why`.

/// A limit that refused an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// `concurrency` of the route, which all requests share.
    RouteConcurrency,
    /// `concurrency` of the route, of each client.
    ClientConcurrency,
    /// `limits.requests` of the pool.
    PoolRequests,
    /// `limits.connections` of the pool.
    PoolConnections,
    /// `limits.per_endpoint` of the pool.
    PerEndpoint,
    /// The memory of the process.
    Memory,
}

impl Obstacle {
    const ALL: [Self; 6] = [
        Self::RouteConcurrency,
        Self::ClientConcurrency,
        Self::PoolRequests,
        Self::PoolConnections,
        Self::PerEndpoint,
        Self::Memory,
    ];

    /// A number above 0.
    pub(super) fn code(self) -> u64 {
        self as u64 + 1
    }

    pub(super) fn of(code: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.code() == code)
    }

    /// Its key in the configuration.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::RouteConcurrency => "concurrency",
            Self::ClientConcurrency => "concurrency for one client",
            Self::PoolRequests => "limits.requests",
            Self::PoolConnections => "limits.connections",
            Self::PerEndpoint => "limits.per_endpoint",
            Self::Memory => "proxy.limits.memory",
        }
    }
}
