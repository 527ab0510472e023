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
        let pools = snapshot.pools.iter();
        let pools = pools.map(|pool| (&pool.name, unable(snapshot, pool)));
        renew(&mut self.pools, pools, |pool, why| match why {
            Some(why) => tracing::warn!(%pool, why, "no endpoint can serve"),
            None => tracing::info!(%pool, "an endpoint can serve again"),
        });
        let rollouts = snapshot.rollouts.iter();
        let rollouts = rollouts.map(|rollout| (&rollout.name, astray(snapshot, rollout)));
        renew(&mut self.rollouts, rollouts, |rollout, why| match why {
            Some(why) => tracing::warn!(%rollout, why, "its version cannot serve"),
            None => tracing::info!(%rollout, "its version can serve again"),
        });
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

/// Puts those that cannot serve now, each with its reason, in the place of those before; `tell`s which
/// have begun, with the reason, and which are over.
fn renew<'a>(
    known: &mut BTreeMap<Arc<str>, Out>,
    all: impl Iterator<Item = (&'a Arc<str>, Option<String>)>,
    tell: impl Fn(&str, Option<&str>),
) {
    let mut before = std::mem::take(known);
    for (name, why) in all {
        let since = before.remove(name).map(|out| out.since);
        if since.is_some() != why.is_some() {
            tell(name, why.as_deref());
        }
        if let Some(why) = why {
            let since = since.unwrap_or_else(SystemTime::now);
            known.insert(Arc::clone(name), Out { since, why });
        }
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
