//! Failures beside the traffic, which the readiness probe and `status` tell.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use serde_json::json;

use crate::telemetry::events::Events;

/// Helpers of the proxy that fail now. Requests are served without them.
#[derive(Debug, Default)]
pub(crate) struct Outages {
    all: Mutex<BTreeMap<Cow<'static, str>, Outage>>,
    /// Those whose beginning is an event already.
    told: Mutex<BTreeSet<Cow<'static, str>>>,
}

#[derive(Debug)]
struct Outage {
    since: SystemTime,
    why: String,
}

impl Outages {
    /// Notes how something went, such as `the last good configuration is not kept`.
    pub(crate) fn note<T>(
        &self,
        what: impl Into<Cow<'static, str>>,
        went: &Result<T, impl Display>,
    ) {
        let what = what.into();
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        match went {
            Ok(_) => {
                all.remove(&what);
            }
            Err(error) => {
                let outage = all.entry(what).or_insert_with(|| Outage {
                    since: SystemTime::now(),
                    why: String::new(),
                });
                outage.why = error.to_string();
            }
        }
    }

    /// Notes that something has failed since then.
    #[cfg(feature = "http3")]
    pub(crate) fn begun(&self, what: impl Into<Cow<'static, str>>, since: SystemTime, why: &str) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let why = why.to_owned();
        all.insert(what.into(), Outage { since, why });
    }

    /// Notes that something works, or is not wanted any more.
    pub(crate) fn over(&self, what: impl Into<Cow<'static, str>>) {
        self.note(what, &Ok::<_, String>(()));
    }

    /// Returns a line for each, with its reason and since when.
    pub(crate) fn lines(&self) -> Vec<String> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let line = |(what, outage): (&Cow<'static, str>, &Outage)| {
            let (why, since) = (&outage.why, humantime::format_rfc3339_seconds(outage.since));
            format!("{what} since {since}: {why}")
        };
        all.iter().map(line).collect()
    }

    /// Publishes an event for each that has begun or ended since the last call.
    pub(crate) fn tell(&self, events: &Events) {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|what| {
            let lasts = all.contains_key(what);
            if !lasts {
                let over = json!({ "what": what, "to": "well" });
                events.publish("outage", "proxy", over);
            }
            lasts
        });
        for (what, outage) in &*all {
            if told.insert(what.clone()) {
                let begun = json!({ "what": what, "to": "failing", "cause": outage.why });
                events.publish("outage", "proxy", begun);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_from_its_beginning_to_its_end() {
        let outages = Outages::default();
        outages.over("spans do not arrive");
        outages.note::<()>("spans do not arrive", &Err("refused"));
        let first = outages.lines();
        assert!(first[0].starts_with("spans do not arrive since 20"));
        assert!(first[0].ends_with("Z: refused"));
        outages.note::<()>("spans do not arrive", &Err("late"));
        assert_eq!(outages.lines()[0], first[0].replace("refused", "late"));
        let events = Events::new();
        let published = || events.last(9).len();
        outages.tell(&events);
        outages.tell(&events);
        assert_eq!(published(), 1);
        outages.over("spans do not arrive");
        assert!(outages.lines().is_empty());
        outages.tell(&events);
        outages.tell(&events);
        assert_eq!(published(), 2);
    }
}
