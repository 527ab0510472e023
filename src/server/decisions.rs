//! Decisions of operators on endpoints, kept over restarts with a `state_dir`.
//!
//! The machines of the pools have them, so that a decision ends with its endpoint. An upgrade
//! passes them on with the other state of endpoints; what is on disk is for other starts.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{
    control::Control,
    outages::Outages,
    record::{self, Record, Subject},
};
use crate::{state::Snapshot, upstream::health};

/// Writer of the decisions.
#[derive(Debug)]
pub(super) struct Decisions {
    record: Record,
    /// The configuration whose pools were looked at last.
    generation: u64,
    /// Another process keeps them now.
    is_over: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    version: u32,
    pools: BTreeMap<Box<str>, health::Decisions>,
}

impl Decisions {
    pub(super) fn new(path: &Path, outages: &Arc<Outages>) -> Self {
        Self {
            record: Record::new(&SUBJECT, path, outages),
            generation: 0,
            is_over: false,
        }
    }

    /// Leaves the file to the process that takes over.
    pub(super) fn hand_over(&mut self) {
        self.is_over = true;
    }

    /// Waits for the current write, up to a timeout.
    pub(super) async fn settle(&mut self) {
        self.record.settle().await;
    }
}

impl Control {
    /// Keeps the decisions on disk, if they have changed.
    pub(super) fn keep_decisions(&mut self) {
        let (snapshot, decisions) = (self.shared.snapshot(), &mut self.decisions);
        if decisions.is_over {
            return;
        }
        // A pool that was removed takes its decisions along.
        let mut changed = decisions.generation != snapshot.generation;
        decisions.generation = snapshot.generation;
        for pool in &snapshot.pools {
            changed |= pool.shared.health.take_decided();
        }
        if changed {
            decisions.record.changed();
        }
        let state_dir = snapshot.config.proxy.state_dir.as_deref();
        decisions
            .record
            .tick(state_dir, Instant::now(), || text(&snapshot));
    }
}

/// Takes up the decisions of the process before a restart; blocks on the disk. For a snapshot that
/// is not used yet.
pub(super) fn restore(snapshot: &Snapshot, path: &Path) {
    let state_dir = snapshot.config.proxy.state_dir.as_deref();
    let Some(content) = record::read::<Content>(&SUBJECT, state_dir, path) else {
        return;
    };
    if content.version != VERSION {
        let version = content.version;
        tracing::error!(version, "{}: another version wrote it", SUBJECT.unknown);
        return;
    }
    for (pool, decisions) in content.pools {
        if let Some(pool) = snapshot.pool(&pool) {
            pool.shared.health.restore(decisions);
        }
    }
}

fn text(snapshot: &Snapshot) -> Option<String> {
    let pools = snapshot.pools.iter().map(|pool| {
        let decisions = pool.shared.health.decisions();
        (Box::from(&*pool.name), decisions)
    });
    let pools: BTreeMap<_, _> = pools.filter(|(_, it)| !it.is_empty()).collect();
    let content = Content {
        version: VERSION,
        pools,
    };
    (!content.pools.is_empty())
        .then(|| serde_json::to_string(&content).ok())
        .flatten()
}

/// Version of the file.
const VERSION: u32 = 1;

const SUBJECT: Subject = Subject {
    name: "endpoint-states",
    unkept: "drained and ejected endpoints are not kept over a restart",
    unknown: "endpoints that were drained or ejected before the restart are not known",
};
