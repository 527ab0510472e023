//! Requests that fail now, for `/ready`, `status`, `top` and the dashboard: pools without an
//! endpoint that can serve, pools and routes most of whose attempts or requests fail, limits that
//! refuse; and endpoints that do much worse than the others of their pool.
//!
//! Part of the control thread. It reads what workers count anyway; the request path knows nothing
//! of it. Lines are bounded, and each change is logged once.

mod apart;
mod full;
mod recent;
mod unable;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    sync::Arc,
    time::SystemTime,
};

use serde_json::json;
use tokio::time::Instant;

use self::{
    apart::Apart,
    full::Full,
    recent::{Recent, SLOT, Slot, Turn},
    unable::Unable,
};
use crate::{
    state::{Action, Snapshot},
    telemetry::{
        events::Events,
        metrics::{Metrics, names},
    },
};

/// Memory of what fails.
#[derive(Debug, Default)]
pub(super) struct Failing {
    unable: Unable,
    full: Full,
    apart: Apart,
    recent: BTreeMap<Subject, Recent>,
    requests: Counted,
    attempts: Counted,
    answers: Counted,
    faults: Counted,
    /// Time of the next slot; none before the first.
    next: Option<Instant>,
}

/// Lines for an operator, the worst first.
#[derive(Debug, Default, Clone)]
pub(crate) struct Lines {
    /// Requests that fail.
    pub(crate) failing: Vec<String>,
    /// Endpoints that do much worse than the others of their pool.
    pub(crate) apart: Vec<String>,
}

/// Subject of a share of failures.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Subject {
    Pool(Box<str>),
    Route(Box<str>),
}

/// Counters as last seen.
#[derive(Debug, Default)]
struct Counted(Option<HashMap<Labels, u64>>);

type Labels = Arc<[Box<str>]>;

/// Results in one slot.
#[derive(Debug, Default)]
struct Results {
    slot: Slot,
    reasons: HashMap<Box<str>, u64>,
}

impl Failing {
    /// Looks at pools whose endpoints have `changed`, and every 2 s at what was counted. Returns the
    /// lines if they may be others.
    pub(super) fn look(
        &mut self,
        snapshot: &Snapshot,
        metrics: &Metrics,
        changed: bool,
        events: &Events,
    ) -> Option<Lines> {
        let moved = self.unable.look(snapshot, changed);
        let now = Instant::now();
        if self.next.is_none_or(|next| now >= next) {
            self.next = Some(now + SLOT);
            self.count(snapshot, metrics, events);
            self.full.look(snapshot, metrics, SystemTime::now());
            self.apart.look(metrics, SystemTime::now(), events);
        } else if !moved {
            return None;
        }
        Some(self.lines())
    }

    fn count(&mut self, snapshot: &Snapshot, metrics: &Metrics, events: &Events) {
        let mut results: HashMap<Subject, Results> = HashMap::new();
        let own: HashSet<&str> = snapshot
            .routes
            .iter()
            .filter(|it| !matches!(it.action, Action::Redirect(_) | Action::Respond(_)))
            .map(|it| &*it.name)
            .collect();
        self.requests
            .each(metrics.totals(&names::REQUESTS_TOTAL), |labels, more| {
                let [_, route, class, reason] = labels else {
                    return;
                };
                if own.contains(&**route) {
                    let failed = request_failed(class, reason);
                    let why = if reason.is_empty() { FIVE_XX } else { reason };
                    let subject = Subject::Route(route.clone());
                    results
                        .entry(subject)
                        .or_default()
                        .add(more, failed.then_some(why));
                }
            });
        self.attempts
            .each(metrics.totals(&names::ATTEMPTS_TOTAL), |labels, more| {
                if let [pool, reason] = labels {
                    let failed = !reason.is_empty() && !CLIENTS.contains(&&**reason);
                    let subject = Subject::Pool(pool.clone());
                    results
                        .entry(subject)
                        .or_default()
                        .add(more, failed.then_some(&**reason));
                }
            });
        let answers = metrics.totals(&names::ENDPOINT_REQUESTS_TOTAL);
        self.answers.each(answers, |labels, more| {
            if let [pool, _, class] = labels
                && &**class == "5xx"
            {
                let subject = Subject::Pool(pool.clone());
                results.entry(subject).or_default().failed(more, FIVE_XX);
            }
        });
        // What a route answers itself on purpose tells of no trouble.
        let faults = metrics.totals(&names::FAULTS_INJECTED_TOTAL);
        self.faults.each(faults, |labels, more| {
            if let [route, _, class] = labels
                && &**class == "5xx"
                && let Some(results) = results.get_mut(&Subject::Route(route.clone()))
            {
                results.on_purpose(more);
            }
        });
        for subject in results.keys() {
            if !self.recent.contains_key(subject) {
                self.recent.insert(subject.clone(), Recent::default());
            }
        }
        let (time, mut told) = (SystemTime::now(), 0);
        self.recent.retain(|subject, recent| {
            let results = results.remove(subject).unwrap_or_default();
            let slot = results.slot.sound();
            let turn = recent.note(slot, results.worst(), time);
            if let Some(turn) = turn {
                told += 1;
                if told <= LOGGED_MAX {
                    tell(subject, recent, turn, events);
                }
            }
            !recent.is_idle()
        });
        if let Some(more @ 1..) = told.checked_sub(LOGGED_MAX) {
            tracing::warn!(more, "further routes and pools fail, or work again");
        }
    }

    fn lines(&self) -> Lines {
        let mut lines = Vec::new();
        bounded(&mut lines, self.unable.lines(), "pools cannot serve");
        let of = |pools: bool| {
            let failing = self.recent.iter().filter(move |(subject, recent)| {
                recent.since.is_some() && pools == matches!(subject, Subject::Pool(_))
            });
            let mut failing: Vec<_> = failing.collect();
            failing.sort_by(|(_, a), (_, b)| b.share.total_cmp(&a.share));
            failing.into_iter().map(|it| line(it.0, it.1)).collect()
        };
        bounded(&mut lines, of(true), "pools fail");
        bounded(&mut lines, of(false), "routes fail");
        bounded(&mut lines, self.full.lines(), "limits refuse requests");
        let mut apart = Vec::new();
        bounded(
            &mut apart,
            self.apart.lines(),
            "endpoints do worse than their pool",
        );
        Lines {
            failing: lines,
            apart,
        }
    }
}

fn line(subject: &Subject, recent: &Recent) -> String {
    let since = recent.since.map(humantime::format_rfc3339_seconds);
    let since = since.map_or_else(String::new, |since| format!(" since {since}"));
    let (share, why) = (share_of(recent.share), &recent.why);
    match subject {
        Subject::Pool(_) => format!(
            "{subject}: {share} of its attempts fail{since}, most with {why}; `sluicegate why REQUEST-ID` tells of one; endpoints that fail alike stay in use"
        ),
        Subject::Route(_) => format!(
            "{subject}: {share} of its requests fail{since}, most with {why}; `sluicegate why REQUEST-ID` tells of one"
        ),
    }
}

/// Rounded, so that the line stays the same for a while.
fn share_of(share: f64) -> String {
    if share >= 0.995 {
        return "all".to_owned();
    }
    format!(
        "about {:.0} %",
        (share * 10.0).round().clamp(1.0, 9.0) * 10.0
    )
}

fn bounded(lines: &mut Vec<String>, all: Vec<String>, kind: &str) {
    let more = all.len().saturating_sub(LINES_MAX);
    lines.extend(all.into_iter().take(LINES_MAX));
    if more > 0 {
        lines.push(format!("{more} more {kind}"));
    }
}

fn tell(subject: &Subject, recent: &Recent, turn: Turn, events: &Events) {
    let (kind, name) = subject.parts();
    let why = &*recent.why;
    let to = match turn {
        Turn::Failing => {
            let share = share_of(recent.share);
            tracing::warn!(%subject, share, most = why, "requests fail");
            "failing"
        }
        Turn::Over => {
            tracing::info!(%subject, "requests are answered again, or have ended");
            "well"
        }
    };
    events.publish(
        "traffic",
        "proxy",
        json!({ kind: name, "to": to, "cause": why }),
    );
}

impl Subject {
    fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Pool(name) => ("pool", name),
            Self::Route(name) => ("route", name),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = self.parts();
        write!(f, "{kind} {name}")
    }
}

impl Counted {
    /// Calls for each counter that went up, with how much. The first counts are the beginning.
    fn each(&mut self, new: HashMap<Labels, u64>, mut grown: impl FnMut(&[Box<str>], u64)) {
        if let Some(old) = &self.0 {
            for (labels, count) in &new {
                let before = old.get(labels).copied().unwrap_or_default();
                let more = count.saturating_sub(before);
                if more > 0 {
                    grown(labels, more);
                }
            }
        }
        self.0 = Some(new);
    }
}

impl Results {
    fn add(&mut self, more: u64, why: Option<&str>) {
        self.slot.all += more;
        if let Some(why) = why {
            self.failed(more, why);
        }
    }

    fn failed(&mut self, more: u64, why: &str) {
        self.slot.failed += more;
        if let Some(count) = self.reasons.get_mut(why) {
            *count += more;
        } else {
            self.reasons.insert(why.into(), more);
        }
    }

    /// Takes out failures that somebody has asked for.
    fn on_purpose(&mut self, count: u64) {
        self.slot.all = self.slot.all.saturating_sub(count);
        self.slot.failed = self.slot.failed.saturating_sub(count);
    }

    fn worst(&self) -> Option<&str> {
        let worst = self
            .reasons
            .iter()
            .max_by_key(|(why, count)| (**count, *why));
        worst.map(|(why, _)| &**why)
    }
}

impl Slot {
    /// An answer is counted at its endpoint a moment before or after it is counted at its pool.
    fn sound(self) -> Self {
        Self {
            failed: self.failed.min(self.all),
            ..self
        }
    }
}

/// Returns true if a request failed for a reason that an operator should look at.
fn request_failed(class: &str, reason: &str) -> bool {
    match class {
        "5xx" => !CLOSED.contains(&reason),
        // Begun, and cut short.
        "2xx" => !reason.is_empty() && !CLIENTS.contains(&reason),
        _ => false,
    }
}

/// Reasons that the client has caused.
const CLIENTS: [&str; 2] = ["client_gone", "connection_write_timeout"];
/// Reasons that the operator has chosen.
const CLOSED: [&str; 1] = ["maintenance"];
/// A failure that is the answer of an endpoint.
const FIVE_XX: &str = "5xx answers";
/// Maximum number of lines of a kind.
const LINES_MAX: usize = 5;
/// Maximum number of changes that are logged at once.
const LOGGED_MAX: usize = 20;
