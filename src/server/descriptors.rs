//! How many descriptors the process may open, and needs.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::state::Snapshot;

/// Raises the soft limit to the hard one. Whoever starts a server seldom thinks of it, and
/// nothing here suffers from many descriptors.
pub(super) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        // What is left is told with what is needed.
        let _ = setrlimit(Resource::Nofile, raised);
    }
}

/// Says that the limit is too low for what the configuration allows.
pub(super) fn tell(snapshot: &Snapshot, workers: usize) {
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return;
    };
    let connections = snapshot.connections_max;
    let needed = needed(connections, snapshot.listeners.len(), workers);
    if connections > 0 && limit < needed {
        tracing::warn!(
            limit,
            needed,
            "proxy.limits.connections = {connections} needs {needed} descriptors, and the process \
             may open {limit}: raise the hard limit (LimitNOFILE= of systemd, ulimit -Hn) or lower \
             proxy.limits.connections"
        );
    }
}

/// Each connection with one to an endpoint, the listening sockets, and what threads need.
fn needed(connections: usize, listeners: usize, workers: usize) -> u64 {
    let needed = connections * 2 + workers * (listeners + WORKER) + PROCESS;
    u64::try_from(needed).unwrap_or(u64::MAX)
}

/// Descriptors of a worker besides its sockets: what its runtime waits with.
const WORKER: usize = 4;
/// Those of the process: files, the admin API, health checks under way.
const PROCESS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_needs_twice_its_connections_and_some() {
        assert_eq!(needed(65_536, 2, 8), 131_072 + 8 * 6 + 256);
    }
}
