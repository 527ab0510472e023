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
                ttl.unwrap_or(UNTIMED).clamp(min, max)
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

/// Pause after an answer that nothing is there, without a time for which that holds (no SOA record).
/// Such an answer is not to be kept (RFC 2308 section 5), and small servers give it each time.
const UNTIMED: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use hickory_proto::rr::rdata::A;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const BOTH: [RecordType; 2] = [RecordType::A, RecordType::AAAA];

    fn name() -> Name {
        Name::from_ascii("a.test.").unwrap()
    }

    fn key(kind: RecordType) -> Key {
        (name(), kind)
    }

    fn address(last: u8) -> RData {
        RData::A(A::new(10, 0, 0, last))
    }

    fn found(last: u8, seconds: u64) -> Outcome {
        Outcome::Records {
            records: vec![address(last)],
            ttl: Duration::from_secs(seconds),
            additional: Vec::new(),
        }
    }

    fn absent(is_name: bool) -> Outcome {
        Outcome::None { is_name, ttl: None }
    }

    fn failed() -> Outcome {
        Outcome::Failed(LookupFault::Circle)
    }

    fn memory() -> Memory {
        Memory::new((Duration::from_secs(1), 5 * MINUTE), 60 * MINUTE)
    }

    #[test]
    fn the_time_to_live_is_kept_within_its_bounds() {
        let now = Instant::now();
        for (ttl, pause) in [(0, 1), (1, 1), (30, 30), (86_400, 300)] {
            let mut memory = memory();
            memory.note(key(RecordType::A), found(1, ttl), now);
            let until = now + Duration::from_secs(pause);
            assert_eq!(memory.next(&[key(RecordType::A)]), Some(until));
            assert!(!memory.is_due(&key(RecordType::A), until - Duration::from_millis(1)));
            assert!(memory.is_due(&key(RecordType::A), until));
        }
        assert!(memory().is_due(&key(RecordType::A), now));
    }

    #[test]
    fn an_answer_that_nothing_is_there_is_kept_for_its_time_only() {
        let now = Instant::now();
        for (ttl, pause) in [(None, 5), (Some(2), 2), (Some(86_400), 300)] {
            let mut memory = memory();
            let ttl = ttl.map(Duration::from_secs);
            memory.note(
                key(RecordType::A),
                Outcome::None { is_name: true, ttl },
                now,
            );
            let until = now + Duration::from_secs(pause);
            assert_eq!(memory.next(&[key(RecordType::A)]), Some(until));
        }
    }

    #[test]
    fn one_family_without_addresses_is_no_fault_and_one_that_fails_keeps_its_own() {
        let (mut memory, now) = (memory(), Instant::now());
        memory.note(key(RecordType::A), found(1, 9), now);
        memory.note(key(RecordType::AAAA), absent(true), now);
        let one = address(1);
        assert_eq!(memory.known(&name(), &BOTH, now), Known::Now(vec![&one]));
        memory.note(key(RecordType::AAAA), found(2, 9), now);
        memory.note(key(RecordType::AAAA), failed(), now);
        let two = address(2);
        assert_eq!(
            memory.known(&name(), &BOTH, now),
            Known::Now(vec![&one, &two])
        );
        // It has left.
        memory.note(key(RecordType::A), absent(true), now);
        memory.note(key(RecordType::AAAA), found(2, 9), now);
        assert_eq!(memory.known(&name(), &BOTH, now), Known::Now(vec![&two]));
    }

    #[test]
    fn records_outlive_failures_without_a_limit_and_their_end_for_a_time() {
        let (mut memory, now) = (memory(), Instant::now());
        let kinds = [RecordType::A];
        let of = |fault| Known::Never(fault);
        memory.note(key(RecordType::A), absent(false), now);
        assert_eq!(memory.known(&name(), &kinds, now), of(DnsFault::NoName));
        memory.note(key(RecordType::A), absent(true), now);
        let none = DnsFault::NoRecord(vec!["A"]);
        assert_eq!(memory.known(&name(), &kinds, now), of(none.clone()));
        memory.note(key(RecordType::A), found(1, 9), now);
        memory.note(key(RecordType::A), failed(), now);
        let one = address(1);
        let fault = DnsFault::Lookup(LookupFault::Circle);
        let kept = Known::Kept(vec![&one], fault.clone());
        assert_eq!(memory.known(&name(), &kinds, now + 59 * MINUTE), kept);
        let outdated = DnsFault::Outdated(Box::new(fault), 60 * MINUTE);
        let kept = Known::Kept(vec![&one], outdated);
        assert_eq!(memory.known(&name(), &kinds, now + 9999 * MINUTE), kept);
        memory.note(key(RecordType::A), absent(true), now);
        let kept = Known::Kept(vec![&one], none);
        assert_eq!(memory.known(&name(), &kinds, now + 59 * MINUTE), kept);
        assert_eq!(
            memory.known(&name(), &kinds, now + 60 * MINUTE),
            Known::Gone
        );
    }

    #[test]
    fn failures_are_tried_again_after_a_growing_pause_and_at_once_when_it_matters() {
        let (mut memory, now) = (memory(), Instant::now());
        let key = key(RecordType::A);
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            memory.note(key.clone(), failed(), now);
            assert_eq!(memory.next([&key]), Some(now + Duration::from_secs(pause)));
        }
        memory.hurry(&key, now + Duration::from_secs(3));
        assert_eq!(memory.next([&key]), Some(now + Duration::from_secs(3)));
        memory.note(key.clone(), found(1, 9), now);
        memory.hurry(&key, now);
        assert_eq!(memory.next([&key]), Some(now + Duration::from_secs(9)));
        memory.note(key.clone(), failed(), now);
        assert_eq!(memory.next([&key]), Some(now + Duration::from_secs(1)));
    }
}
