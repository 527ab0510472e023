//! Rate limit of messages that would fill the log.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Lets each kind of event into the log once in a while, and counts the rest.
///
/// Bounded: more than [`KINDS_MAX`] kinds at the same time are counted together, as one. Takes a
/// lock, which is never held while a line is written: for errors, not for each request.
#[derive(Debug)]
pub struct LogLimit<K> {
    told: Mutex<HashMap<Option<K>, Told>>,
}

#[derive(Clone, Copy, Debug)]
struct Told {
    at: Instant,
    since: u64,
}

impl<K> Default for LogLimit<K> {
    fn default() -> Self {
        Self {
            told: Mutex::default(),
        }
    }
}

impl<K: Eq + Hash> LogLimit<K> {
    /// Returns the number of messages of `kind` suppressed since the last one, if one is due now.
    pub fn due(&self, kind: K, now: Instant) -> Option<u64> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kind = Some(kind);
        if told.len() >= KINDS_MAX && !told.contains_key(&kind) {
            told.retain(|_, last| now < last.at + TELL_AGAIN);
            if told.len() >= KINDS_MAX {
                kind = None;
            }
        }
        match told.get_mut(&kind) {
            Some(last) if now < last.at + TELL_AGAIN => {
                last.since += 1;
                None
            }
            Some(last) => {
                last.at = now;
                Some(std::mem::take(&mut last.since))
            }
            None => {
                told.insert(kind, Told { at: now, since: 0 });
                Some(0)
            }
        }
    }
}

/// Maximum number of kinds limited separately at the same time.
const KINDS_MAX: usize = 64;
const TELL_AGAIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_once_in_a_while_whatever_the_others_do() {
        let limit = LogLimit::default();
        let start = Instant::now();
        assert_eq!(limit.due("a", start), Some(0));
        assert_eq!(limit.due("a", start), None);
        assert_eq!(limit.due("a", start), None);
        assert_eq!(limit.due("b", start), Some(0));
        assert_eq!(limit.due("a", start + TELL_AGAIN), Some(2));
    }

    #[test]
    fn the_kinds_that_are_told_apart_are_bounded() {
        let limit = LogLimit::default();
        let start = Instant::now();
        let told = (0..1000).filter(|n| limit.due(*n, start).is_some());
        assert_eq!(told.count(), KINDS_MAX + 1);
        assert_eq!(limit.due(5000, start + TELL_AGAIN), Some(0));
        assert!(limit.told.lock().unwrap().len() <= KINDS_MAX);
    }
}
