//! Tells of limits on requests at once that begin to hold requests back, and of those that recover.

use std::{collections::HashMap, sync::Arc};

use serde_json::json;
use tokio::time::Instant;

use crate::{
    resilience::concurrency::{Strain, StrainChange},
    state::Route,
    telemetry::events::Events,
};

/// Memory of how the limits fared, by route and by whom they are for.
#[derive(Debug, Default)]
pub(super) struct Strains(HashMap<(Arc<str>, &'static str), Strain>);

impl Strains {
    /// Logs and publishes what changed since the last call. Limits that left are forgotten.
    pub(super) fn tell(&mut self, routes: &[Route], events: &Events, now: Instant) {
        let mut known = std::mem::take(&mut self.0);
        for route in routes {
            for limit in route.filters.concurrency() {
                let view = limit.view();
                let key = (Arc::clone(&route.name), view.per);
                let mut strain = known.remove(&key).unwrap_or_default();
                let change = strain.look(view.now.waiting, view.refused, now);
                if let Some(change) = change {
                    publish(&route.name, view.per, view.limit, change, events);
                }
                self.0.insert(key, strain);
            }
        }
    }
}

fn publish(route: &str, per: &str, limit: u32, change: StrainChange, events: &Events) {
    let what = match change {
        StrainChange::Begun => {
            tracing::warn!(
                route,
                per,
                limit,
                "concurrency: the limit is reached, requests wait or are refused"
            );
            json!({ "route": route, "per": per, "limit": limit, "to": "full" })
        }
        StrainChange::Over { refused } => {
            tracing::info!(
                route,
                per,
                limit,
                refused,
                "concurrency: no request has waited or been refused for 10 s"
            );
            json!({ "route": route, "per": per, "limit": limit, "to": "calm", "refused": refused })
        }
    };
    events.publish("concurrency", "proxy", what);
}
