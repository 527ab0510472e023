//! Share of the requests of a route, or of the attempts of a pool, that failed of late.
//!
//! Pure: counts and clock come in. A share needs some requests: it is that of the last 10 s, or of
//! the last minute where there are too few. It begins to be told at a quarter, and ends below a
//! tenth or with the requests, so that it does not flicker.

use std::{
    collections::VecDeque,
    time::{Duration, SystemTime},
};

/// Counts of one slot.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot {
    pub(super) all: u64,
    pub(super) failed: u64,
}

/// The last minute of a route or a pool.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// Newest first.
    slots: VecDeque<Slot>,
    /// Time since when too many fail.
    pub(super) since: Option<SystemTime>,
    /// The most frequent reason.
    pub(super) why: Box<str>,
    /// Share of failures, 0 to 1.
    pub(super) share: f64,
}

/// A change to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Too many fail from now on.
    Failing,
    /// They do not any more.
    Over,
}

impl Recent {
    /// Takes the counts of the newest slot in, with its most frequent reason of failure.
    pub(super) fn note(&mut self, slot: Slot, why: Option<&str>, now: SystemTime) -> Option<Turn> {
        self.slots.push_front(slot);
        self.slots.truncate(SLOTS);
        if let Some(why) = why.filter(|why| **why != *self.why) {
            self.why = why.into();
        }
        let share = self.judge();
        self.share = share.unwrap_or_default();
        match (self.since, share) {
            (None, Some(share)) if share >= BEGINS => {
                let failing = self.slots.iter().take_while(|slot| slot.failed > 0);
                let slots = u32::try_from(failing.count()).unwrap_or(1);
                self.since = now.checked_sub(SLOT * slots).or(Some(now));
                Some(Turn::Failing)
            }
            (Some(_), share) if share.is_none_or(|share| share < ENDS) => {
                self.since = None;
                Some(Turn::Over)
            }
            _ => None,
        }
    }

    /// Returns true if there was no request in the last minute.
    pub(super) fn is_idle(&self) -> bool {
        self.slots.iter().all(|slot| slot.all == 0)
    }

    /// The share of failures; none with too few requests.
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    fn judge(&self) -> Option<f64> {
        [NEWEST, SLOTS].into_iter().find_map(|window| {
            let slots = self.slots.iter().take(window);
            let (all, failed) = slots.fold((0, 0), |(all, failed), slot| {
                (all + slot.all, failed + slot.failed)
            });
            (all >= FLOOR).then(|| failed as f64 / all as f64)
        })
    }
}

/// Length of a slot.
pub(super) const SLOT: Duration = Duration::from_secs(2);
/// Slots of the last minute.
const SLOTS: usize = 30;
/// Slots of the last 10 s.
const NEWEST: usize = 5;
/// Minimum number of requests.
const FLOOR: u64 = 10;
/// Share from which it is told.
const BEGINS: f64 = 0.25;
/// Share below which it ends.
const ENDS: f64 = 0.1;

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(slots: impl IntoIterator<Item = (u64, u64)>) -> (Vec<(usize, Turn)>, Recent) {
        let mut recent = Recent::default();
        let mut turns = Vec::new();
        for (at, (all, failed)) in slots.into_iter().enumerate() {
            let now = SystemTime::UNIX_EPOCH + SLOT * u32::try_from(at + 1).unwrap();
            let turn = recent.note(Slot { all, failed }, Some("late"), now);
            turns.extend(turn.map(|turn| (at, turn)));
        }
        (turns, recent)
    }

    #[test]
    fn a_share_that_moves_about_the_bound_is_told_once() {
        let slots = (0..20).map(|at| (20, if at % 2 == 0 { 7 } else { 3 }));
        let well = std::iter::repeat_n((20, 0), 10);
        let (turns, recent) = turns(slots.chain(well));
        assert_eq!(turns, [(0, Turn::Failing), (23, Turn::Over)]);
        assert_eq!(recent.since, None);
    }

    #[test]
    fn one_failure_of_few_requests_is_nothing_and_a_slow_stream_of_them_is() {
        assert_eq!(turns([(1, 1), (2, 0), (3, 1)]).0, []);
        // One request in 4 s, and all fail: seen when there are ten of them.
        let (turns, recent) = turns((0..30).map(|at| (at % 2, at % 2)));
        assert_eq!(turns, [(19, Turn::Failing)]);
        assert!(recent.since.is_some() && !recent.is_idle());
    }

    #[test]
    fn it_began_with_the_first_failure_and_ends_with_the_requests() {
        let begin = [(100, 0), (100, 0), (4, 4), (40, 40), (100, 100)];
        let (told, recent) = turns(begin);
        assert_eq!(told, [(4, Turn::Failing)]);
        let since = SystemTime::UNIX_EPOCH + SLOT * 2;
        assert_eq!((recent.since, &*recent.why), (Some(since), "late"));
        let (told, recent) = turns(begin.into_iter().chain(std::iter::repeat_n((0, 0), 30)));
        assert_eq!(told.last().unwrap().1, Turn::Over);
        assert!(recent.is_idle());
    }
}
