//! Pools without an endpoint that can serve.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use crate::{
    state::Snapshot,
    upstream::{
        condition,
        pool::{Pool, ViewIndex},
        tier,
    },
};

/// Pools that could not serve at the last look.
#[derive(Debug, Default)]
pub(super) struct Unable {
    pools: BTreeMap<Arc<str>, Out>,
    /// Generation of the configuration looked at.
    generation: u64,
}

#[derive(Debug)]
struct Out {
    since: SystemTime,
    why: String,
}

impl Unable {
    /// Looks at all pools if the endpoints of one have `changed`, or the configuration. Returns true
    /// if it looked.
    pub(super) fn look(&mut self, snapshot: &Snapshot, changed: bool) -> bool {
        let is_new =
            std::mem::replace(&mut self.generation, snapshot.generation) != snapshot.generation;
        if !changed && !is_new {
            return false;
        }
        let mut before = std::mem::take(&mut self.pools);
        for pool in &snapshot.pools {
            let known = before.remove(&pool.name);
            let Some(why) = unable(snapshot, pool) else {
                if known.is_some() {
                    tracing::info!(pool = %pool.name, "an endpoint can serve again");
                }
                continue;
            };
            if known.is_none() {
                tracing::warn!(pool = %pool.name, why, "no endpoint can serve");
            }
            let since = known.map_or_else(SystemTime::now, |known| known.since);
            self.pools
                .insert(Arc::clone(&pool.name), Out { since, why });
        }
        true
    }

    /// A line for each.
    pub(super) fn lines(&self) -> Vec<String> {
        let lines = self.pools.iter().map(|(pool, Out { since, why })| {
            let since = humantime::format_rfc3339_seconds(*since);
            format!("pool {pool}: no endpoint can serve since {since}: {why}")
        });
        lines.collect()
    }
}

/// Returns the reason why no endpoint of a pool can serve, if so.
fn unable(snapshot: &Snapshot, pool: &Pool) -> Option<String> {
    let set = pool.endpoint_set();
    let picture = set.health.picture();
    // Those before the first check have not failed.
    if picture.pending {
        return None;
    }
    let in_panic = tier::is_in_panic(&snapshot.pools, pool, ViewIndex(0));
    let mut why = condition::kept_out(pool, in_panic)?;
    let by_hand = picture.endpoints.iter().find(|it| !it.state.is_enabled());
    if let Some(view) = by_hand {
        let (name, address) = (&pool.name, &view.address);
        why.push_str(&format!(
            "; `sluicegate endpoint enable {name}/{address}` brings it back"
        ));
    }
    Some(why)
}
