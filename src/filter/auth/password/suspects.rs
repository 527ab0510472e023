//! Recent wrong passwords by client and by name: who guesses does not go before the others.

use std::{collections::HashMap, mem, net::IpAddr, time::Duration};

use tokio::time::Instant;

/// Counts in two generations, each of a minute and of bounded size: when the younger one is old or
/// full, the older one is forgotten.
pub(super) struct Suspects {
    young: HashMap<Suspect, u32>,
    old: HashMap<Suspect, u32>,
    since: Instant,
    generation_max: usize,
}

/// Client or name whose wrong passwords are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Suspect {
    /// A client: one address, or a network of IPv6.
    Client(IpAddr),
    /// A name, by a keyed hash, whether there is such a user or not.
    Name(u64),
}

impl Suspects {
    /// Makes counts for up to `max` clients and names.
    pub(super) fn new(max: usize, now: Instant) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            since: now,
            generation_max: (max / 2).max(1),
        }
    }

    /// Counts a wrong password.
    pub(super) fn note(&mut self, suspect: Suspect, now: Instant) {
        if now.saturating_duration_since(self.since) >= GENERATION
            || self.young.len() >= self.generation_max
        {
            self.old = mem::take(&mut self.young);
            self.since = now;
        }
        let count = self.young.entry(suspect).or_default();
        *count = count.saturating_add(1);
    }

    /// Returns true if a client or a name has had so many wrong passwords that its checks wait for
    /// those of others.
    pub(super) fn has(&self, suspect: Suspect, now: Instant) -> bool {
        let age = now.saturating_duration_since(self.since);
        let of = |generation: &HashMap<_, u32>| generation.get(&suspect).copied().unwrap_or(0);
        let young = if age < GENERATION * 2 {
            of(&self.young)
        } else {
            0
        };
        let old = if age < GENERATION { of(&self.old) } else { 0 };
        let wrong_max = match suspect {
            Suspect::Client(_) => CLIENT_WRONG_MAX,
            Suspect::Name(_) => NAME_WRONG_MAX,
        };
        young.saturating_add(old) > wrong_max
    }
}

/// Time that a generation counts as the younger one.
const GENERATION: Duration = Duration::from_secs(60);
/// Wrong passwords of a client that are taken for slips.
const CLIENT_WRONG_MAX: u32 = 1;
/// Wrong passwords for a name that are taken for slips.
const NAME_WRONG_MAX: u32 = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_passwords_count_for_a_minute_or_two() {
        let start = Instant::now();
        let at = |secs| start + Duration::from_secs(secs);
        let mut suspects = Suspects::new(100, start);
        let anna = Suspect::Name(7);
        for _ in 0..=NAME_WRONG_MAX {
            assert!(!suspects.has(anna, start));
            suspects.note(anna, at(1));
        }
        assert!(suspects.has(anna, at(59)));
        assert!(!suspects.has(Suspect::Name(8), at(59)));
        let client = Suspect::Client([192, 0, 2, 1].into());
        suspects.note(client, at(61));
        assert!(!suspects.has(client, at(62)), "a slip");
        suspects.note(client, at(62));
        assert!(suspects.has(client, at(62)));
        assert!(suspects.has(anna, at(119)), "in the older generation");
        assert!(!suspects.has(anna, at(121)));
        assert!(suspects.has(client, at(121)));
        assert!(!suspects.has(client, at(181)), "nothing was noted since");
    }

    #[test]
    fn their_number_is_bounded() {
        let now = Instant::now();
        let mut suspects = Suspects::new(100, now);
        for number in 0..10_000 {
            suspects.note(Suspect::Name(number), now);
            assert!(suspects.young.len() + suspects.old.len() <= 100);
        }
    }
}
