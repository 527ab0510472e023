//! A bounded set that forgets what was not used for longest.

use std::{collections::HashSet, mem};

use super::Key;

/// Keys in two generations: when the younger one is full, the older one is forgotten. Whatever is
/// found becomes young again.
pub(super) struct Known {
    young: HashSet<Key>,
    old: HashSet<Key>,
    /// Maximum of each generation.
    generation_max: usize,
}

impl Known {
    /// Makes a set of up to `max` keys.
    pub(super) fn new(max: usize) -> Self {
        Self {
            young: HashSet::new(),
            old: HashSet::new(),
            generation_max: (max / 2).max(1),
        }
    }

    pub(super) fn contains(&mut self, key: &Key) -> bool {
        if self.young.contains(key) {
            return true;
        }
        let found = self.old.remove(key);
        if found {
            self.insert(*key);
        }
        found
    }

    pub(super) fn insert(&mut self, key: Key) {
        if self.young.len() >= self.generation_max {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_number_is_bounded() {
        let key = |number: u32| {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&number.to_le_bytes());
            key
        };
        let mut known = Known::new(100);
        known.insert(key(0));
        for number in 1..1000 {
            known.insert(key(number));
            assert!(known.contains(&key(0)));
            assert!(known.young.len() + known.old.len() <= 101);
        }
        assert!(!known.contains(&key(1)));
    }
}
