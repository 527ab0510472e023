//! Records known of each name and type, and the time until which nobody need be asked.
//!
//! Pure: time comes as an argument. The last records of a name outlive answers that say nothing:
//! for as long as servers fail, and for `hold` when they say that there are none any more.

use std::{collections::HashMap, time::Duration};

use hickory_proto::rr::{Name, RData, RecordType};
use tokio::time::Instant;

use super::{
    DnsFault,
    lookup::{LookupFault, Outcome},
};

/// A name and the type of its records.
pub(super) type Key = (Name, RecordType);

/// Known records.
#[derive(Debug)]
pub(super) struct Memory {
    sets: HashMap<Key, Set>,
    /// Bounds of the time for which an answer is used.
    ttl: (Duration, Duration),
    hold: Duration,
}

#[derive(Debug)]
struct Set {
    /// The last that there were.
    records: Vec<RData>,
    state: State,
    /// Time of the last answer with records.
    seen: Option<Instant>,
    until: Instant,
    /// Failures in a row.
    failures: u32,
}

#[derive(Debug)]
enum State {
    Present,
    Absent { is_name: bool },
    Failed(LookupFault),
}

/// Records of a name.
#[derive(Debug, PartialEq)]
pub(super) enum Known<'a> {
    /// They are these.
    Now(Vec<&'a RData>),
    /// They were these at the last good answer; the reason why that still counts.
    Kept(Vec<&'a RData>, DnsFault),
    /// There have been none for longer than `hold`.
    Gone,
    /// There never were any.
    Never(DnsFault),
}

impl Memory {
    pub(super) fn new(ttl: (Duration, Duration), hold: Duration) -> Self {
        Self {
            sets: HashMap::new(),
            ttl,
            hold,
        }
    }

    /// Returns true if a look-up is due.
    pub(super) fn is_due(&self, key: &Key, now: Instant) -> bool {
        self.sets.get(key).is_none_or(|set| now >= set.until)
    }

    /// Returns the time of the next look-up of any of these.
    pub(super) fn next<'a>(&self, keys: impl IntoIterator<Item = &'a Key>) -> Option<Instant> {
        let sets = keys.into_iter().filter_map(|key| self.sets.get(key));
        sets.map(|set| set.until).min()
    }

    /// Notes the result of a look-up.
    pub(super) fn note(&mut self, key: Key, outcome: Outcome, now: Instant) {
        let (min, max) = self.ttl;
        let set = self.sets.entry(key).or_insert_with(|| Set {
            records: Vec::new(),
            state: State::Present,
            seen: None,
            until: now,
            failures: 0,
        });
        let pause = match outcome {
            Outcome::Records { records, ttl, .. } => {
                set.records = records;
                set.state = State::Present;
                set.seen = Some(now);
                ttl.clamp(min, max)
            }
            Outcome::None { is_name, ttl } => {
                set.state = State::Absent { is_name };
                ttl.unwrap_or(max).clamp(min, max)
            }
            Outcome::Failed(fault) => {
                set.state = State::Failed(fault);
                set.failures += 1;
                set.until = now + backoff(set.failures, SET_PAUSE_MAX);
                return;
            }
        };
        set.failures = 0;
        set.until = now + pause;
    }

    /// Brings the next look-up of absent or failed records forward to this time.
    pub(super) fn hurry(&mut self, key: &Key, at: Instant) {
        if let Some(set) = self.sets.get_mut(key)
            && !matches!(set.state, State::Present)
        {
            set.until = set.until.min(at);
        }
    }

    /// Returns what is known of a name with records of these types, which have been looked up. One
    /// type with records is enough; types that failed add those that they had.
    pub(super) fn known(&self, name: &Name, kinds: &[RecordType], now: Instant) -> Known<'_> {
        let keys = kinds.iter().map(|kind| (name.clone(), *kind));
        let sets: Vec<&Set> = keys.filter_map(|key| self.sets.get(&key)).collect();
        let of = |wanted: fn(&State) -> bool| -> Vec<&RData> {
            let sets = sets.iter().filter(|set| wanted(&set.state));
            sets.flat_map(|set| &set.records).collect()
        };
        if sets.iter().any(|set| matches!(set.state, State::Present)) {
            return Known::Now(of(|state| !matches!(state, State::Absent { .. })));
        }
        let failed = sets.iter().find_map(|set| match &set.state {
            State::Failed(fault) => Some(fault.clone()),
            State::Present | State::Absent { .. } => None,
        });
        let is_name = |set: &&Set| matches!(set.state, State::Absent { is_name: true });
        let fault = match &failed {
            Some(fault) => DnsFault::Lookup(fault.clone()),
            None if sets.iter().any(is_name) => {
                DnsFault::NoRecord(kinds.iter().map(|kind| (*kind).into()).collect())
            }
            None => DnsFault::NoName,
        };
        let last = of(|_| true);
        let seen = sets.iter().filter_map(|set| set.seen).max();
        let is_old = seen.is_some_and(|seen| now >= seen + self.hold);
        match (last.is_empty(), failed.is_some(), is_old) {
            (true, ..) => Known::Never(fault),
            (false, false, true) => Known::Gone,
            (false, true, true) => {
                Known::Kept(last, DnsFault::Outdated(Box::new(fault), self.hold))
            }
            (false, _, false) => Known::Kept(last, fault),
        }
    }

    /// The records of a name now, or before the failures since; none if there are none.
    pub(super) fn records(&self, key: &Key) -> &[RData] {
        match self.sets.get(key) {
            Some(set) if !matches!(set.state, State::Absent { .. }) => &set.records,
            Some(_) | None => &[],
        }
    }

    /// Forgets all but these.
    pub(super) fn retain(&mut self, is_used: impl Fn(&Key) -> bool) {
        self.sets.retain(|key, _| is_used(key));
    }
}

/// Returns the pause after so many failures in a row: 1 s, 2 s, 4 s and so on.
pub(super) fn backoff(failures: u32, max: Duration) -> Duration {
    let factor = 1_u32 << failures.saturating_sub(1).min(10);
    (Duration::from_secs(1) * factor).min(max)
}

/// Longest pause after failures of one type of records.
const SET_PAUSE_MAX: Duration = Duration::from_secs(60);
