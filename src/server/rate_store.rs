//! Tells of stores of rate limits that fail and return.

use serde_json::json;

use super::metrics::ControlGauges;
use crate::{resilience::StoreChange, state::Snapshot, telemetry::events::Events};

/// Logs and publishes what changed since the last call, and shows the state of all stores.
pub(super) fn tell(snapshot: &Snapshot, events: &Events, gauges: &mut ControlGauges) {
    let stores = snapshot.rate_stores.iter();
    let up = stores.map(|store| {
        let url = store.url().to_string();
        match store.breaker().change() {
            None => {}
            Some(StoreChange::Opened(cause)) => {
                tracing::warn!(store = %url, %cause, "rate limits: the store fails; each process decides by itself");
                let what = json!({ "store": url, "to": "down", "cause": cause });
                events.publish("rate_limit_store", "proxy", what);
            }
            Some(StoreChange::Closed) => {
                tracing::info!(store = %url, "rate limits: the store answers again");
                let what = json!({ "store": url, "to": "up" });
                events.publish("rate_limit_store", "proxy", what);
            }
        }
        (url, !store.breaker().is_open())
    });
    gauges.rate_stores(&up.collect());
}
