//! Events of the proxy, not of a request: reloads, ejections, drains, commands.
//!
//! Owns a ring of the last events and a channel to watchers. Publishing never waits: a watcher that
//! is too slow misses events and is told so.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::broadcast;

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Increases by one from event to event, from 1.
    pub id: u64,
    /// Time, as UTC in RFC 3339 form.
    pub time: String,
    /// Kind of event, as one word: `reload`, `ejection`, `admin` …
    pub kind: String,
    /// Cause: `proxy`, `signal`, or the client of the admin API.
    pub who: String,
    /// The details.
    pub what: Value,
}

/// The last [`EVENTS_MAX`] events, and a channel for further ones.
#[derive(Debug)]
pub struct Events {
    ring: Mutex<Ring>,
    watchers: broadcast::Sender<Arc<Event>>,
}

impl Events {
    /// Makes an empty ring.
    pub fn new() -> Self {
        Self {
            ring: Mutex::default(),
            watchers: broadcast::Sender::new(WATCHER_LAG_MAX),
        }
    }

    /// Records an event and sends it to watchers.
    pub fn publish(&self, kind: &str, who: &str, what: Value) {
        let mut ring = self.lock();
        ring.last_id += 1;
        let event = Arc::new(Event {
            id: ring.last_id,
            time: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            kind: kind.to_owned(),
            who: who.to_owned(),
            what,
        });
        if ring.events.len() == EVENTS_MAX {
            ring.events.pop_front();
        }
        ring.events.push_back(Arc::clone(&event));
        // Sent under the lock, so that watchers see ids in order. No receiver is no fault.
        let _ = self.watchers.send(event);
    }

    /// The last `count` events, oldest first.
    pub fn last(&self, count: usize) -> Vec<Arc<Event>> {
        let ring = self.lock();
        let skip = ring.events.len().saturating_sub(count);
        ring.events.iter().skip(skip).map(Arc::clone).collect()
    }

    /// Returns the kept events with an id above `id`, and a receiver of all that follow them.
    pub fn watch_after(&self, id: u64) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        let ring = self.lock();
        let newer = ring.events.iter().filter(|event| event.id > id);
        (newer.map(Arc::clone).collect(), self.watchers.subscribe())
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Arc<Event>>,
    last_id: u64,
}

/// Maximum number of events kept.
pub const EVENTS_MAX: usize = 1000;

/// Maximum number of events that a watcher may be behind before it misses some.
const WATCHER_LAG_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_last_events_are_kept() {
        let events = Events::new();
        for n in 0..EVENTS_MAX + 5 {
            events.publish("reload", "proxy", json!({ "n": n }));
        }
        let kept = events.last(usize::MAX);
        assert_eq!(kept.len(), EVENTS_MAX);
        assert_eq!(kept[0].id, 6);
        assert_eq!(events.last(2)[0].id, 1004);
    }

    #[tokio::test]
    async fn a_watcher_misses_nothing_between_the_ring_and_the_channel() {
        let events = Events::new();
        events.publish("a", "proxy", Value::Null);
        events.publish("b", "proxy", Value::Null);
        let (old, mut new) = events.watch_after(1);
        events.publish("c", "proxy", Value::Null);
        assert_eq!(old.iter().map(|e| e.id).collect::<Vec<_>>(), [2]);
        assert_eq!(new.recv().await.unwrap().id, 3);
    }
}
