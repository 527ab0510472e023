//! Cache of resolved names, and the time for which each entry is valid.
//!
//! Pure: time comes as an argument, and queries to the resolver are left to [`super::lookup`]. A
//! fresh answer is used at once; an older one is used and renewed meanwhile; for an even older one,
//! or one in doubt because none of its addresses could be reached, the resolver is waited for a
//! moment first. A name whose look-up failed is not looked up again within [`RETRY`].

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use smallvec::SmallVec;
use tokio::{
    sync::{Notify, futures::OwnedNotified},
    time::Instant,
};

/// Known names, at most [`NAMES_MAX`].
#[derive(Debug, Default)]
pub(super) struct Cache(HashMap<Arc<str>, Entry>);

#[derive(Debug)]
struct Entry {
    answer: Option<Answer>,
    /// Time of the last look-up if it failed; none if it did not.
    failed: Option<Instant>,
    is_looked_up: bool,
    /// None of the addresses could be connected to.
    is_doubted: bool,
    asked: Instant,
    /// Notified at the end of each look-up.
    told: Arc<Notify>,
    /// Addresses that others overtook, and the time until which they come last.
    avoided: SmallVec<[(SocketAddr, Instant); 1]>,
}

#[derive(Debug)]
struct Answer {
    addresses: Arc<[SocketAddr]>,
    at: Instant,
}

/// Next step towards the addresses of a name.
#[derive(Debug)]
pub(super) enum Step {
    /// Use these.
    Use(Vec<SocketAddr>),
    /// Wait for the look-up, and use the old ones if it takes long.
    Wait {
        told: OwnedNotified,
        stale: Option<Vec<SocketAddr>>,
    },
    /// Fail: a look-up has just failed, or there is no room for one.
    Failed,
}

/// Result of a look-up compared with the one before, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The same result as before.
    None,
    /// It failed, and the one before did not.
    Failing,
    /// It succeeded, and the one before did not.
    Recovered,
}

impl Cache {
    /// Returns the step to take for a name, and whether a look-up is needed for it.
    pub(super) fn ask(&mut self, name: &Arc<str>, now: Instant) -> (Step, bool) {
        if !self.make_room(name) {
            return (Step::Failed, false);
        }
        let entry = self
            .0
            .entry(Arc::clone(name))
            .or_insert_with(|| Entry::new(now));
        entry.asked = now;
        let age = entry.age(now).filter(|age| *age < STALE_MAX);
        let sure = age.filter(|_| !entry.is_doubted);
        if sure.is_some_and(|age| age < FRESH) {
            return (Step::Use(entry.ordered(now)), false);
        }
        let failed_now = entry.failed.is_some_and(|failed| now < failed + RETRY);
        let look_up = !entry.is_looked_up && !failed_now;
        entry.is_looked_up |= look_up;
        let stale = age.map(|_| entry.ordered(now));
        let step = match stale {
            Some(addresses) if sure.is_some_and(|age| age < QUICK) => Step::Use(addresses),
            Some(addresses) if !entry.is_looked_up => Step::Use(addresses),
            None if !entry.is_looked_up => Step::Failed,
            stale => Step::Wait {
                told: Arc::clone(&entry.told).notified_owned(),
                stale,
            },
        };
        (step, look_up)
    }

    /// Returns the addresses found by the last look-up; none if it failed.
    pub(super) fn found(&self, name: &str, now: Instant) -> Option<Vec<SocketAddr>> {
        let entry = self.0.get(name)?;
        entry.failed.is_none().then(|| entry.ordered(now))
    }

    /// Notes the end of a look-up; it failed if there are no addresses.
    pub(super) fn answered(
        &mut self,
        name: &str,
        addresses: Option<Vec<SocketAddr>>,
        now: Instant,
    ) -> Change {
        let Some(entry) = self.0.get_mut(name) else {
            return Change::None;
        };
        entry.is_looked_up = false;
        let failed_before = entry.failed.take().is_some();
        let change = match addresses {
            Some(addresses) => {
                entry.answer = Some(Answer {
                    addresses: addresses.into(),
                    at: now,
                });
                entry.is_doubted = false;
                if failed_before {
                    Change::Recovered
                } else {
                    Change::None
                }
            }
            None => {
                entry.failed = Some(now);
                if failed_before {
                    Change::None
                } else {
                    Change::Failing
                }
            }
        };
        entry.told.notify_waiters();
        change
    }

    /// Notes that none of the addresses could be connected to: they may be outdated.
    pub(super) fn doubt(&mut self, name: &str, now: Instant) {
        if let Some(entry) = self.0.get_mut(name) {
            entry.is_doubted = entry.age(now).is_some_and(|age| age >= RETRY);
        }
    }

    /// Makes addresses that a later one overtook be tried last for a while.
    pub(super) fn avoid(&mut self, name: &str, overtaken: &[SocketAddr], now: Instant) {
        let Some(entry) = self.0.get_mut(name) else {
            return;
        };
        entry.avoided.retain(|(_, until)| now < *until);
        for address in overtaken {
            let mut address = *address;
            address.set_port(0);
            entry.avoided.retain(|(known, _)| *known != address);
            entry.avoided.push((address, now + AVOIDED_FOR));
        }
    }

    /// Makes room for one more name, in place of the one unused for the longest time.
    fn make_room(&mut self, name: &Arc<str>) -> bool {
        if self.0.len() < NAMES_MAX || self.0.contains_key(name) {
            return true;
        }
        let unused = self.0.iter().filter(|(_, entry)| !entry.is_looked_up);
        let oldest = unused.min_by_key(|(_, entry)| entry.asked);
        let oldest = oldest.map(|(name, _)| Arc::clone(name));
        oldest.is_some_and(|name| self.0.remove(&name).is_some())
    }
}

impl Entry {
    fn new(now: Instant) -> Self {
        Self {
            answer: None,
            failed: None,
            is_looked_up: false,
            is_doubted: false,
            asked: now,
            told: Arc::default(),
            avoided: SmallVec::new(),
        }
    }

    fn age(&self, now: Instant) -> Option<Duration> {
        let answer = self.answer.as_ref()?;
        Some(now.saturating_duration_since(answer.at))
    }

    /// Returns the addresses, both families in turn (RFC 8305 section 4), the avoided ones last.
    fn ordered(&self, now: Instant) -> Vec<SocketAddr> {
        let addresses = self.answer.as_ref().map_or(&[][..], |it| &it.addresses);
        let first_is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
        let is_first = |address: &&SocketAddr| address.is_ipv4() == first_is_v4;
        let mut first = addresses.iter().filter(is_first);
        let mut other = addresses.iter().filter(|address| !is_first(address));
        let mut ordered = Vec::with_capacity(addresses.len());
        while ordered.len() < addresses.len() {
            ordered.extend(first.next());
            ordered.extend(other.next());
        }
        let is_avoided = |address: &SocketAddr| {
            let mut avoided = self.avoided.iter();
            avoided.any(|(known, until)| known == address && now < *until)
        };
        ordered.sort_by_key(is_avoided);
        ordered
    }
}

/// Time for which an answer is used without a new look-up. The system's resolver tells no time to
/// live; a name that moves is followed within this time, as with Envoy's default.
pub(super) const FRESH: Duration = Duration::from_secs(5);
/// Time for which an answer is used while it is renewed.
const QUICK: Duration = Duration::from_secs(60);
/// Time for which an answer is used while the resolver fails.
pub(super) const STALE_MAX: Duration = Duration::from_secs(3600);
/// Pause after a failed look-up.
const RETRY: Duration = Duration::from_secs(1);
/// Time for which an address that another one overtook is tried last.
const AVOIDED_FOR: Duration = Duration::from_secs(30);
/// Maximum number of known names; all come from the configuration.
const NAMES_MAX: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn address(text: &str) -> SocketAddr {
        SocketAddr::new(text.parse().unwrap(), 0)
    }

    fn addresses(texts: &[&str]) -> Option<Vec<SocketAddr>> {
        Some(texts.iter().map(|text| address(text)).collect())
    }

    fn is_use(step: &Step) -> bool {
        matches!(step, Step::Use(_))
    }

    #[test]
    fn a_name_is_looked_up_once_at_a_time() {
        let (mut cache, name, now) = (Cache::default(), Arc::from("a.test"), Instant::now());
        let (step, look_up) = cache.ask(&name, now);
        assert!(matches!(step, Step::Wait { stale: None, .. }) && look_up);
        assert!(!cache.ask(&name, now).1);
        cache.answered(&name, addresses(&["192.0.2.1"]), now);
        let (step, look_up) = cache.ask(&name, now + FRESH - SECOND);
        assert!(is_use(&step) && !look_up);
    }

    #[test]
    fn an_older_answer_is_renewed_meanwhile_and_an_old_one_before() {
        let (mut cache, name, now) = (Cache::default(), Arc::from("a.test"), Instant::now());
        cache.ask(&name, now);
        cache.answered(&name, addresses(&["192.0.2.1"]), now);
        let (step, look_up) = cache.ask(&name, now + FRESH);
        assert!(is_use(&step) && look_up);
        let (step, look_up) = cache.ask(&name, now + QUICK);
        assert!(matches!(step, Step::Wait { stale: Some(_), .. }) && !look_up);
        let (step, _) = cache.ask(&name, now + STALE_MAX);
        assert!(matches!(step, Step::Wait { stale: None, .. }));
    }

    #[test]
    fn a_failing_resolver_is_asked_once_a_second_and_the_old_answer_used() {
        let (mut cache, name, now) = (Cache::default(), Arc::from("a.test"), Instant::now());
        cache.ask(&name, now);
        assert_eq!(cache.answered(&name, None, now), Change::Failing);
        let (step, look_up) = cache.ask(&name, now);
        assert!(matches!(step, Step::Failed) && !look_up);
        assert!(cache.ask(&name, now + RETRY).1);
        let change = cache.answered(&name, addresses(&["192.0.2.1"]), now);
        assert_eq!(change, Change::Recovered);
        let later = now + QUICK;
        assert!(cache.ask(&name, later).1);
        cache.answered(&name, None, later);
        let (step, look_up) = cache.ask(&name, later);
        assert!(is_use(&step) && !look_up);
    }

    #[test]
    fn addresses_that_nobody_reached_are_looked_up_again() {
        let (mut cache, name, now) = (Cache::default(), Arc::from("a.test"), Instant::now());
        cache.ask(&name, now);
        cache.answered(&name, addresses(&["192.0.2.1"]), now);
        cache.doubt(&name, now);
        assert!(
            is_use(&cache.ask(&name, now).0),
            "it was looked up just now"
        );
        cache.doubt(&name, now + RETRY);
        let (step, look_up) = cache.ask(&name, now + RETRY);
        assert!(matches!(step, Step::Wait { stale: Some(_), .. }) && look_up);
    }

    #[test]
    fn families_take_turns_and_the_overtaken_come_last() {
        let (mut cache, name, now) = (Cache::default(), Arc::from("a.test"), Instant::now());
        cache.ask(&name, now);
        let all = ["::1", "::2", "::3", "192.0.2.1", "192.0.2.2"];
        cache.answered(&name, addresses(&all), now);
        let order = |cache: &Cache, now| cache.found(&name, now).unwrap();
        let in_turn = ["::1", "192.0.2.1", "::2", "192.0.2.2", "::3"];
        assert_eq!(order(&cache, now), in_turn.map(address));
        cache.avoid(&name, &[SocketAddr::new("::1".parse().unwrap(), 80)], now);
        let without = ["192.0.2.1", "::2", "192.0.2.2", "::3", "::1"];
        assert_eq!(order(&cache, now), without.map(address));
        assert_eq!(order(&cache, now + AVOIDED_FOR), in_turn.map(address));
    }

    #[test]
    fn the_name_unused_for_longest_makes_room() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        for number in 0..NAMES_MAX {
            let name: Arc<str> = number.to_string().into();
            cache.ask(&name, now + SECOND * u32::from(number != 7));
            cache.answered(&name, None, now);
        }
        let (step, look_up) = cache.ask(&"more".into(), now);
        assert!(matches!(step, Step::Wait { .. }) && look_up);
        assert_eq!(cache.0.len(), NAMES_MAX);
        assert!(!cache.0.contains_key("7"));
    }
}
