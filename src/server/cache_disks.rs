//! Tells of disks of caches that begin to fail, to be full or slow, and of those that recover.

use std::{collections::HashMap, sync::Arc};

use serde_json::json;

use crate::{cache::Standing, state::Route, telemetry::events::Events};

/// Memory of how the disks fared, by route.
#[derive(Debug, Default)]
pub(super) struct CacheDisks(HashMap<Arc<str>, Standing>);

impl CacheDisks {
    /// Publishes what changed since the last call. Disks that left are forgotten.
    pub(super) fn tell(&mut self, routes: &[Route], events: &Events) {
        let mut known = std::mem::take(&mut self.0);
        for route in routes {
            let disk = route.filters.cache().and_then(|it| it.disk.as_ref());
            let Some(now) = disk.map(|disk| disk.view().standing) else {
                continue;
            };
            let was = known.remove(&route.name).unwrap_or(Standing::Opening);
            let started = (was, now) == (Standing::Opening, Standing::Ready);
            if was != now && !started {
                publish(&route.name, was, now, events);
            }
            self.0.insert(Arc::clone(&route.name), now);
        }
    }
}

/// The threads of the disk log what they meet; that they hang is for others to see.
fn publish(route: &str, from: Standing, to: Standing, events: &Events) {
    if to == Standing::Slow {
        tracing::warn!(
            route,
            "cache: the disk does not answer in time; answers are kept in memory alone until it does"
        );
    } else if from == Standing::Slow {
        tracing::info!(route, "cache: the disk answers again");
    }
    let what = json!({ "route": route, "from": from.word(), "to": to.word() });
    events.publish("cache_disk", "proxy", what);
}
