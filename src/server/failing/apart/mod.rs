//! Endpoints that do much worse than the others of their pool: they fail, refuse or are slow.
//!
//! One endpoint of many is lost in the figures of its pool, and not always bad enough for an ejection.
//! Each is compared with the rest of its pool, over the last 10 s or, where there are too few
//! attempts, the last minute. A bound to begin and another to end keep it from flickering.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::SystemTime,
};

use serde_json::json;

use super::{Counted, Labels, share_of};
use crate::telemetry::{
    events::Events,
    metrics::{Metrics, names},
};

/// Memory of the endpoints of all pools.
#[derive(Debug, Default)]
pub(super) struct Apart {
    answers: Counted,
    failures: Counted,
    times: HashMap<Labels, (u64, u64)>,
    pools: BTreeMap<Box<str>, BTreeMap<Box<str>, Own>>,
}

/// The last minute of an endpoint.
#[derive(Debug, Default)]
struct Own {
    /// Newest first.
    slots: VecDeque<Slot>,
    /// Since when it does worse, and how, by [`Kind`].
    worse: BTreeMap<Kind, (SystemTime, Compared)>,
}

/// Attempts in one slot.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    all: u64,
    /// No answer, or a 5xx.
    failed: u64,
    /// Answers with 4xx.
    refused: u64,
    /// Sum of the times to the answer, and their number.
    time_ns: u64,
    timed: u64,
}

/// A way to do worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Failing,
    Refusing,
    Slow,
}

/// A figure of an endpoint, and that of the rest of its pool: a share, or milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Compared {
    own: f64,
    others: f64,
}

impl Apart {
    /// Takes in what was counted since the last look, and reports changes.
    pub(super) fn look(&mut self, metrics: &Metrics, now: SystemTime, events: &Events) {
        let mut newest: HashMap<(Box<str>, Box<str>), Slot> = HashMap::new();
        let answers = metrics.totals(&names::ENDPOINT_REQUESTS_TOTAL);
        self.answers.each(answers, |labels, more| {
            if let Some((slot, class)) = slot_of(&mut newest, labels) {
                slot.all += more;
                match class {
                    "5xx" => slot.failed += more,
                    "4xx" => slot.refused += more,
                    _ => {}
                }
            }
        });
        let failures = metrics.totals(&names::ENDPOINT_FAILURES_TOTAL);
        self.failures.each(failures, |labels, more| {
            if let Some((slot, reason)) = slot_of(&mut newest, labels)
                && !super::CLIENTS.contains(&reason)
            {
                slot.all += more;
                slot.failed += more;
            }
        });
        let mut times = HashMap::new();
        for (labels, cells) in metrics.histograms(&names::ENDPOINT_ATTEMPT_DURATION_SECONDS) {
            let [time_ns, counts @ ..] = &cells[..] else {
                continue;
            };
            let total = (*time_ns, counts.iter().sum::<u64>());
            if let [pool, endpoint] = &labels[..]
                && let Some(before) = self.times.get(&labels)
                && let Some(slot) = newest.get_mut(&(pool.clone(), endpoint.clone()))
            {
                slot.time_ns += total.0.saturating_sub(before.0);
                slot.timed += total.1.saturating_sub(before.1);
            }
            times.insert(labels, total);
        }
        self.times = times;
        self.note(newest, now, events);
    }

    fn note(
        &mut self,
        mut newest: HashMap<(Box<str>, Box<str>), Slot>,
        now: SystemTime,
        events: &Events,
    ) {
        for (pool, endpoint) in newest.keys() {
            let pool = self.pools.entry(pool.clone()).or_default();
            pool.entry(endpoint.clone()).or_default();
        }
        let mut told = 0;
        for (pool, endpoints) in &mut self.pools {
            for (endpoint, own) in endpoints.iter_mut() {
                let slot = newest.remove(&(pool.clone(), endpoint.clone()));
                own.slots.push_front(slot.unwrap_or_default());
                own.slots.truncate(SLOTS);
            }
            let sums = [NEWEST, SLOTS].map(|window| {
                let all = endpoints.values().map(|own| own.sum(window));
                all.fold(Slot::default(), Slot::plus)
            });
            for (endpoint, own) in endpoints.iter_mut() {
                for (kind, begins) in own.judge(sums, now) {
                    told += 1;
                    if told <= super::LOGGED_MAX {
                        tell(pool, endpoint, kind, begins, events);
                    }
                }
            }
            endpoints.retain(|_, own| own.slots.iter().any(|slot| slot.all > 0));
        }
        self.pools.retain(|_, endpoints| !endpoints.is_empty());
    }

    /// A line for each that does worse.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (pool, endpoints) in &self.pools {
            for (endpoint, own) in endpoints {
                for (kind, (since, compared)) in &own.worse {
                    let since = humantime::format_rfc3339_seconds(*since);
                    let what = kind.words(endpoint, *compared, &since.to_string());
                    lines.push(format!(
                        "pool {pool}: {what}; `sluicegate endpoint drain {pool}/{endpoint}` takes it out"
                    ));
                }
            }
        }
        lines
    }
}

impl Own {
    fn sum(&self, window: usize) -> Slot {
        let slots = self.slots.iter().take(window).copied();
        slots.fold(Slot::default(), Slot::plus)
    }

    /// Compares it with its pool, whose sums are those of the last 10 s and the last minute. Returns
    /// what begins (true) and ends.
    fn judge(&mut self, pool: [Slot; 2], now: SystemTime) -> Vec<(Kind, bool)> {
        let mut turns = Vec::new();
        for kind in [Kind::Failing, Kind::Refusing, Kind::Slow] {
            let mut windows = [NEWEST, SLOTS].into_iter().zip(pool);
            let compared = windows.find_map(|(window, pool)| {
                let own = self.sum(window);
                let others = pool.minus(own);
                (own.all >= FLOOR && others.all >= FLOOR).then(|| Compared {
                    own: own.figure(kind),
                    others: others.figure(kind),
                })
            });
            // One that was taken out of the traffic does nothing now.
            let compared = compared.filter(|_| self.sum(NEWEST).all > 0);
            match (self.worse.get(&kind).copied(), compared) {
                (None, Some(compared)) if kind.begins(compared) => {
                    self.worse.insert(kind, (now, compared));
                    turns.push((kind, true));
                }
                (Some((since, _)), Some(compared)) if !kind.ends(compared) => {
                    self.worse.insert(kind, (since, compared));
                }
                (Some(_), _) => {
                    self.worse.remove(&kind);
                    turns.push((kind, false));
                }
                (None, _) => {}
            }
        }
        turns
    }
}

impl Slot {
    fn plus(self, other: Self) -> Self {
        Self {
            all: self.all + other.all,
            failed: self.failed + other.failed,
            refused: self.refused + other.refused,
            time_ns: self.time_ns + other.time_ns,
            timed: self.timed + other.timed,
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            all: self.all.saturating_sub(other.all),
            failed: self.failed.saturating_sub(other.failed),
            refused: self.refused.saturating_sub(other.refused),
            time_ns: self.time_ns.saturating_sub(other.time_ns),
            timed: self.timed.saturating_sub(other.timed),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a share, or a mean")]
    fn figure(self, kind: Kind) -> f64 {
        let of = |part: u64, all: u64| part as f64 / all.max(1) as f64;
        match kind {
            Kind::Failing => of(self.failed, self.all),
            Kind::Refusing => of(self.refused, self.all),
            Kind::Slow => of(self.time_ns, self.timed) / NS_PER_MS,
        }
    }
}

impl Kind {
    fn begins(self, Compared { own, others }: Compared) -> bool {
        match self {
            Self::Failing | Self::Refusing => own >= 0.25 && others * 5.0 <= own,
            Self::Slow => own >= 100.0 && others * 5.0 <= own,
        }
    }

    fn ends(self, Compared { own, others }: Compared) -> bool {
        match self {
            Self::Failing | Self::Refusing => own < 0.1 || others * 2.0 > own,
            Self::Slow => own < 50.0 || others * 2.0 > own,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Refusing => "refusing",
            Self::Slow => "slow",
        }
    }

    fn words(self, endpoint: &str, compared: Compared, since: &str) -> String {
        let Compared { own, others } = compared;
        let rest = match others {
            _ if others < 0.05 => "none".to_owned(),
            _ => share_of(others),
        };
        let share = share_of(own);
        match self {
            Self::Failing => {
                format!(
                    "{share} of the attempts at {endpoint} fail since {since}, {rest} of the others'"
                )
            }
            Self::Refusing => {
                format!(
                    "{share} of the answers of {endpoint} are 4xx since {since}, {rest} of the others'"
                )
            }
            Self::Slow => {
                let [own, others] = [own, others].map(rounded);
                format!(
                    "attempts at {endpoint} take {own} ms on average since {since}, those at the others {others} ms"
                )
            }
        }
    }
}

/// The slot of the endpoint that a counter is of, and the third label.
fn slot_of<'a>(
    slots: &'a mut HashMap<(Box<str>, Box<str>), Slot>,
    labels: &'a [Box<str>],
) -> Option<(&'a mut Slot, &'a str)> {
    let [pool, endpoint, third] = labels else {
        return None;
    };
    // Those without series of their own are many in one.
    if &**endpoint == "other" {
        return None;
    }
    let slot = slots.entry((pool.clone(), endpoint.clone())).or_default();
    Some((slot, &**third))
}

/// One digit, so that the line stays the same for a while.
fn rounded(ms: f64) -> f64 {
    if ms < 1.0 {
        return 1.0;
    }
    let power = 10_f64.powf(ms.log10().floor());
    (ms / power).round() * power
}

fn tell(pool: &str, endpoint: &str, kind: Kind, begins: bool, events: &Events) {
    let word = kind.word();
    let to = if begins {
        tracing::warn!(
            pool,
            endpoint,
            how = word,
            "an endpoint does much worse than its pool"
        );
        word
    } else {
        tracing::info!(
            pool,
            endpoint,
            how = word,
            "an endpoint does as its pool again, or nothing"
        );
        "well"
    };
    let what = json!({ "pool": pool, "endpoint": endpoint, "to": to, "cause": word });
    events.publish("traffic", "proxy", what);
}

/// Slots of the last minute.
const SLOTS: usize = 30;
/// Slots of the last 10 s.
const NEWEST: usize = 5;
/// Minimum number of attempts, at the endpoint and at the others.
const FLOOR: u64 = 10;
const NS_PER_MS: f64 = 1_000_000.0;

#[cfg(test)]
mod tests;
