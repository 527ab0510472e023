//! Pools without an endpoint that can serve, and rollouts whose version has none.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use crate::{
    rollout::{Rollout, machine::State, tally::Arm},
    state::Snapshot,
    upstream::{
        condition,
        pool::{Pool, ViewIndex},
        tier,
    },
};

/// Pools that could not serve at the last look, and rollouts whose version for all users could not.
#[derive(Debug, Default)]
pub(super) struct Unable {
    pools: BTreeMap<Arc<str>, Out>,
    rollouts: BTreeMap<Arc<str>, Out>,
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
            self.pools
                .insert(Arc::clone(&pool.name), Out::of(known, why));
        }
        let mut before = std::mem::take(&mut self.rollouts);
        for rollout in &snapshot.rollouts {
            let known = before.remove(&rollout.name);
            let Some(why) = astray(snapshot, rollout) else {
                if known.is_some() {
                    tracing::info!(rollout = %rollout.name, "its version can serve again");
                }
                continue;
            };
            if known.is_none() {
                tracing::warn!(rollout = %rollout.name, why, "its version cannot serve");
            }
            self.rollouts
                .insert(Arc::clone(&rollout.name), Out::of(known, why));
        }
        true
    }

    /// A line for each.
    pub(super) fn lines(&self) -> Vec<String> {
        let since = |out: &Out| humantime::format_rfc3339_seconds(out.since);
        let pools = self.pools.iter().map(|(pool, out)| {
            let (since, why) = (since(out), &out.why);
            format!("pool {pool}: no endpoint can serve since {since}: {why}")
        });
        let rollouts = self.rollouts.iter().map(|(rollout, out)| {
            let (since, why) = (since(out), &out.why);
            format!("rollout {rollout}: {why} since {since}")
        });
        pools.chain(rollouts).collect()
    }
}

impl Out {
    /// It lasts since it is `known`.
    fn of(known: Option<Self>, why: String) -> Self {
        let since = known.map_or_else(SystemTime::now, |known| known.since);
        Self { since, why }
    }
}

/// Returns the reason why users of an ended rollout get the other version than they should, if so.
fn astray(snapshot: &Snapshot, rollout: &Rollout) -> Option<String> {
    let (arm, all) = match rollout.state.view(rollout).machine.shown() {
        State::Promoted => (Arm::Candidate, "promoted"),
        State::RolledBack => (Arm::Baseline, "rolled back"),
        _ => return None,
    };
    let pool = &snapshot.pools[rollout.pool.0 as usize];
    let set = pool.endpoint_set();
    let picture = set.health.picture();
    if picture.pending {
        return None;
    }
    let view = rollout.view(arm);
    let in_panic = tier::is_in_panic(&snapshot.pools, pool, view);
    let mut members = set.views[view.0 as usize].tiers.iter().flatten();
    let serves = members.any(|it| {
        let weighs = set.endpoint(*it).is_some_and(|it| it.weight > 0);
        weighs && (in_panic || picture.endpoint(*it).is_some_and(|it| it.eligible))
    });
    if serves {
        return None;
    }
    let version = &rollout.versions[arm as usize];
    let name = &pool.name;
    Some(format!(
        "it is {all}, but no endpoint of pool {name} with version {version} can serve: its users \
         get the other version"
    ))
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
