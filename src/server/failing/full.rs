//! Limits that refuse requests now.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::state::Snapshot;

/// Memory of limits that refused, by the words for them.
#[derive(Debug, Default)]
pub(super) struct Full(BTreeMap<Key, Refusing>);

/// The route, and the limit.
type Key = (Arc<str>, &'static str);

#[derive(Debug)]
struct Refusing {
    /// Requests refused until now.
    seen: u64,
    limit: u64,
    /// The first and the last time at which it refused, while it does.
    refuses: Option<(SystemTime, SystemTime)>,
}

impl Full {
    /// Looks at all limits. Limits that left are forgotten.
    pub(super) fn look(&mut self, snapshot: &Snapshot, now: SystemTime) {
        let mut known = std::mem::take(&mut self.0);
        for route in &snapshot.routes {
            for limit in route.filters.concurrency() {
                let view = limit.view();
                let key = (Arc::clone(&route.name), view.per);
                let mut it = known.remove(&key).unwrap_or(Refusing {
                    seen: view.refused,
                    limit: 0,
                    refuses: None,
                });
                it.look(view.refused, view.limit.into(), now);
                self.0.insert(key, it);
            }
        }
    }

    /// A line for each that refuses.
    pub(super) fn lines(&self) -> Vec<String> {
        let lines = self.0.iter().filter_map(|((route, per), it)| {
            let since = humantime::format_rfc3339_seconds(it.refuses?.0);
            let limit = it.limit;
            let of = match *per {
                "route" => "",
                _ => " of a client",
            };
            Some(format!(
                "route {route}: its `concurrency`{of} is full at {limit} and refuses requests since {since}"
            ))
        });
        lines.collect()
    }
}

impl Refusing {
    fn look(&mut self, refused: u64, limit: u64, now: SystemTime) {
        self.limit = limit;
        let before = std::mem::replace(&mut self.seen, refused);
        if refused > before {
            let since = self.refuses.map_or(now, |(since, _)| since);
            self.refuses = Some((since, now));
        } else if let Some((_, last)) = self.refuses
            && now.duration_since(last).is_ok_and(|calm| calm >= CALM)
        {
            self.refuses = None;
        }
    }
}

/// Time without a refusal after which a limit is calm.
const CALM: Duration = Duration::from_secs(10);
