//! First lists: a new pool serves when its source has answered, or soon after.
//!
//! Sources that are asked over the network have no list yet when a configuration has been read.
//! They are asked before it is used, so that no request comes to a pool that is still empty.

use std::sync::Arc;

use tokio::time::{Duration, Instant, timeout_at};

use crate::{
    state::Snapshot,
    task,
    upstream::{
        discovery::{Update, arrange},
        pool::Pool,
    },
};

/// Asks each source of the snapshot that was not heard before, and gives its pool the endpoints.
/// Returns after [`PATIENCE`] at the latest: a registry that is away does not hold a start or a
/// reload.
pub(in crate::server) async fn ask_first(snapshot: &Snapshot) {
    let deadline = Instant::now() + PATIENCE;
    let new = snapshot.pools.iter().filter(|pool| is_unheard(pool));
    let asking: Vec<_> = new
        .map(|pool| task::spawn_local("first list", ask(Arc::clone(pool), deadline)))
        .collect();
    for asked in asking {
        let _ = asked.await;
    }
}

fn is_unheard(pool: &Pool) -> bool {
    let discovered = &pool.shared.discovered;
    let source = pool.discovery.as_ref().map(|discovery| &discovery.source);
    source.is_some_and(|source| !discovered.knows(source)) && discovered.list().is_empty()
}

async fn ask(pool: Arc<Pool>, deadline: Instant) {
    let Some(discovery) = &pool.discovery else {
        return;
    };
    let mut source = discovery.source.start();
    let first = timeout_at(deadline, source.next()).await.ok();
    if let Some(Ok(Update::List(list))) = &first {
        let found = list.endpoints.iter().cloned().map(Arc::new);
        let wanted = pool.listed.iter().cloned().chain(found);
        let before = pool.endpoint_set();
        let arranged = arrange(&before.endpoints, wanted);
        pool.replace_endpoints(arranged.endpoints, Instant::now());
    }
    discovery.begun.keep((source, first));
}

/// Time that a start or a reload waits for the first lists.
const PATIENCE: Duration = Duration::from_secs(3);
