//! Pools without an endpoint that can serve.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::SystemTime,
};

use crate::{
    state::Snapshot,
    upstream::{
        condition::Condition,
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
    let in_panic = tier::is_in_panic(&snapshot.pools, pool, ViewIndex(0));
    let mut counts: HashMap<_, usize> = HashMap::new();
    let mut by_hand = None;
    for (endpoint, view) in set.endpoints.iter().zip(&picture.endpoints) {
        let condition = Condition::of(endpoint, view, in_panic);
        if condition.serves {
            return None;
        }
        if !view.state.is_enabled() {
            by_hand.get_or_insert(&endpoint.label);
        }
        *counts.entry(condition.words).or_default() += 1;
    }
    if counts.is_empty() {
        let source = pool.discovery.as_ref().map(|it| it.source.to_string());
        return Some(match source {
            Some(source) => format!("{source} has none"),
            None => "it has none; list one in `endpoints`".to_owned(),
        });
    }
    // Those before the first check have not failed.
    if picture.pending {
        return None;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|(a, x), (b, y)| y.cmp(x).then_with(|| a.cmp(b)));
    let more = counts.len().saturating_sub(WORDS_MAX);
    let words = counts.iter().take(WORDS_MAX);
    let mut words: Vec<String> = words
        .map(|(what, count)| format!("{count} {what}"))
        .collect();
    if more > 0 {
        words.push(format!("{more} other states"));
    }
    let mut why = words.join(", ");
    if let Some(address) = by_hand {
        let name = &pool.name;
        why.push_str(&format!(
            "; `sluicegate endpoint enable {name}/{address}` brings it back"
        ));
    }
    Some(why)
}

/// Maximum number of states that are named.
const WORDS_MAX: usize = 4;
