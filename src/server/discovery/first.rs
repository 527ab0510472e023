//! First lists: a new pool serves when its source has answered, or soon after.
//!
//! Sources that are asked over the network have no list yet when a configuration has been read.
//! They are asked before it is used, so that no request comes to a pool that is still empty.

use std::{path::PathBuf, sync::Arc};

use tokio::time::{Duration, Instant, timeout, timeout_at};

use super::kept;
use crate::{
    server::errand,
    state::Snapshot,
    task,
    upstream::{
        discovery::{SourceSpec, Update, arrange},
        endpoint::Endpoint,
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
        .map(|pool| {
            task::spawn_local(
                "first list",
                ask(
                    Arc::clone(pool),
                    snapshot.config.proxy.state_dir.clone(),
                    deadline,
                ),
            )
        })
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

/// Returns the endpoints of a pool that were kept on disk, and begins its source with them.
async fn restored(
    pool: &Pool,
    source: &SourceSpec,
    state_dir: Option<PathBuf>,
) -> Vec<Arc<Endpoint>> {
    let Some(state_dir) = state_dir else {
        return Vec::new();
    };
    let (name, wanted) = (Arc::clone(&pool.name), source.clone());
    let reading = errand::send("lists", move || kept::load(&state_dir, &name, &wanted));
    let Ok(reading) = reading else {
        return Vec::new();
    };
    let Ok(Ok(Some(kept))) = timeout(DISK_PATIENCE, reading).await else {
        return Vec::new();
    };
    let saved = kept.saved();
    let list = kept.endpoints();
    let (count, time) = (list.len(), humantime::format_rfc3339_seconds(saved));
    tracing::warn!(pool = %pool.name, source = source.kind(), endpoints = count, of = %time, "the source is away; the list that was kept on disk is used");
    pool.shared.discovered.restore(source, list.clone(), saved);
    list
}

async fn ask(pool: Arc<Pool>, state_dir: Option<PathBuf>, deadline: Instant) {
    let Some(discovery) = &pool.discovery else {
        return;
    };
    let mut source = discovery.source.start();
    let first = timeout_at(deadline, source.next()).await.ok();
    let found = match &first {
        Some(Ok(Update::List(list))) => list.endpoints.iter().cloned().map(Arc::new).collect(),
        _ => restored(&pool, &discovery.source, state_dir).await,
    };
    if !found.is_empty() {
        let wanted = pool.listed.iter().cloned().chain(found);
        let before = pool.endpoint_set();
        let arranged = arrange(&before.endpoints, wanted);
        pool.replace_endpoints(arranged.endpoints, Instant::now());
    }
    discovery.begun.keep((source, first));
}

/// Time that a start or a reload waits for the first lists.
const PATIENCE: Duration = Duration::from_secs(3);
/// Time that it then waits for the disk.
const DISK_PATIENCE: Duration = Duration::from_secs(2);
