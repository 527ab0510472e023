//! File descriptors: the number that the process may open, and the number it needs.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::state::Snapshot;

/// Raises the soft limit to the hard one: operators rarely set it, and many descriptors do no harm
/// here.
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

/// Warns if the limit is too low for the configuration.
pub(super) fn tell(snapshot: &Snapshot, workers: usize) {
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return;
    };
    let connections = snapshot.connections_max;
    let needed = needed(connections, snapshot.listeners.len(), workers);
    if connections > 0 && limit < needed {
        let taken = affordable(limit, workers);
        tracing::warn!(
            limit,
            needed,
            "proxy.limits.connections = {connections} needs {needed} descriptors, and the process \
             may open {limit}, so that {taken} connections are taken at most: raise the hard limit \
             (LimitNOFILE= of systemd, ulimit -Hn) or lower proxy.limits.connections"
        );
    }
}

/// Maximum number of downstream connections by descriptors, even if the configuration allows more:
/// without a descriptor left for its endpoint, an accepted client could only be refused.
pub(super) fn connections_max(workers: usize) -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    limit.map_or(usize::MAX, |limit| affordable(limit, workers))
}

/// Returns half of the descriptors that threads and process leave; for a small limit, of three
/// quarters.
fn affordable(limit: u64, workers: usize) -> usize {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let own = PROCESS.min(limit / 4) + workers * WORKER;
    (limit.saturating_sub(own) / 2).max(1)
}

/// Returns the number of descriptors needed: two per connection, two per listening socket, and
/// those of the threads.
fn needed(connections: usize, listeners: usize, workers: usize) -> u64 {
    let needed = connections * 2 + workers * (2 * listeners + WORKER) + PROCESS;
    u64::try_from(needed).unwrap_or(u64::MAX)
}

/// Descriptors of a worker besides its sockets: those of its runtime.
const WORKER: usize = 4;
/// Descriptors of the process: files, the admin API, health checks under way.
const PROCESS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_that_is_taken_leaves_a_descriptor_for_its_endpoint() {
        assert_eq!(affordable(64, 2), 20);
        assert_eq!(affordable(20_000, 2), (20_000 - 256 - 8) / 2);
        assert_eq!(affordable(4, 64), 1);
        for limit in [64, 300, 1024, 65_536] {
            let taken = affordable(limit, 2);
            assert!(u64::try_from(taken * 2).unwrap() < limit);
        }
    }

    #[test]
    fn the_default_needs_twice_its_connections_and_some() {
        assert_eq!(needed(65_536, 2, 8), 131_072 + 8 * 8 + 256);
    }
}
