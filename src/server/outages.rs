//! Failures beside the traffic, which the readiness probe and `status` tell.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt::Display,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

/// Helpers of the proxy that fail now. Requests are served without them.
#[derive(Debug, Default)]
pub(crate) struct Outages(Mutex<BTreeMap<Cow<'static, str>, Outage>>);

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
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// Notes that something works, or is not wanted any more.
    pub(crate) fn over(&self, what: impl Into<Cow<'static, str>>) {
        self.note(what, &Ok::<_, String>(()));
    }

    /// Returns a line for each, with its reason and since when.
    pub(crate) fn lines(&self) -> Vec<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = |(what, outage): (&Cow<'static, str>, &Outage)| {
            let (why, since) = (&outage.why, humantime::format_rfc3339_seconds(outage.since));
            format!("{what} since {since}: {why}")
        };
        all.iter().map(line).collect()
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
        outages.over("spans do not arrive");
        assert!(outages.lines().is_empty());
    }
}
