//! The wheel itself: 512 slots of 10 ms and the entries that wait in them.
//!
//! An entry is in at most one slot, never in a later one than its deadline. Deadlines beyond the
//! wheel's reach wait in its last slot and move on when that comes round.

use std::{
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::Instant;

use crate::wake;

/// Key of an entry for as long as its owner holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryKey(u32);

#[derive(Debug)]
struct Entry {
    /// The tick at which the task wants to be woken; `u64::MAX`: never.
    deadline: u64,
    /// The tick of the slot it waits in; `u64::MAX`: none. Outlives the owner: the next owner of
    /// this place is queued already.
    queued: u64,
    waker: Option<Waker>,
}

#[derive(Debug)]
pub(super) struct Wheel {
    start: Instant,
    /// The next tick to process.
    tick: u64,
    slots: Vec<Vec<EntryKey>>,
    occupied: [u64; WORDS],
    entries: Vec<Entry>,
    free: Vec<EntryKey>,
    /// The task that turns the wheel.
    turner: Option<Waker>,
    /// Tick that the turner sleeps until.
    sleeping_until: u64,
}

impl Wheel {
    pub(super) fn new(start: Instant) -> Self {
        Self {
            start,
            tick: 0,
            slots: (0..SLOTS).map(|_| Vec::new()).collect(),
            occupied: [0; WORDS],
            entries: Vec::new(),
            free: Vec::new(),
            turner: None,
            sleeping_until: u64::MAX,
        }
    }

    /// Makes an entry without a deadline.
    pub(super) fn insert(&mut self) -> EntryKey {
        self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry {
                deadline: u64::MAX,
                queued: u64::MAX,
                waker: None,
            });
            EntryKey(u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX))
        })
    }

    pub(super) fn remove(&mut self, key: EntryKey) {
        let entry = &mut self.entries[key.0 as usize];
        entry.deadline = u64::MAX;
        entry.waker = None;
        self.free.push(key);
    }
    pub(super) fn poll(
        &mut self,
        key: EntryKey,
        cx: &mut Context<'_>,
        deadline: Instant,
    ) -> Poll<()> {
        let due = self.tick_after(deadline);
        // Comparing ticks spares the clock: `tick` is only behind the real time.
        if due < self.tick || (due <= self.tick + 1 && Instant::now() >= deadline) {
            return Poll::Ready(());
        }
        let entry = &mut self.entries[key.0 as usize];
        entry.deadline = due;
        wake::remember(&mut entry.waker, cx);
        if entry.queued > due {
            // Still in a later slot: that one is left to find it gone elsewhere.
            self.queue(key, due);
        }
        Poll::Pending
    }

    /// Wakes the entries due at `now` and moves the others on.
    pub(super) fn advance(&mut self, now: Instant) {
        let reached = self.tick_before(now);
        while self.tick <= reached {
            let Some(next) = self.next_occupied() else {
                self.tick = reached + 1;
                break;
            };
            if next > reached {
                self.tick = reached + 1;
                break;
            }
            self.tick = next;
            self.fire(next);
            self.tick = next + 1;
        }
    }

    /// Time at which the turner must come back; none while nothing waits.
    pub(super) fn next_at(&mut self) -> Option<Instant> {
        let next = self.next_occupied();
        self.sleeping_until = next.unwrap_or(u64::MAX);
        next.map(|tick| self.start + time_of(tick))
    }

    /// Remembers the turner, so that an earlier deadline can wake it.
    pub(super) fn watch(&mut self, cx: &mut Context<'_>) {
        wake::remember(&mut self.turner, cx);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    fn queue(&mut self, key: EntryKey, due: u64) {
        let at = due.clamp(self.tick, self.tick + REACH);
        self.entries[key.0 as usize].queued = at;
        let slot = slot_of(at);
        self.slots[slot].push(key);
        self.occupied[slot / 64] |= 1 << (slot % 64);
        if at < self.sleeping_until {
            self.sleeping_until = at;
            if let Some(turner) = &self.turner {
                turner.wake_by_ref();
            }
        }
    }

    fn fire(&mut self, tick: u64) {
        let slot = slot_of(tick);
        let mut keys = std::mem::take(&mut self.slots[slot]);
        self.occupied[slot / 64] &= !(1 << (slot % 64));
        for key in keys.drain(..) {
            let entry = &mut self.entries[key.0 as usize];
            if entry.queued != tick {
                continue;
            }
            entry.queued = u64::MAX;
            if entry.deadline <= tick {
                entry.deadline = u64::MAX;
                if let Some(waker) = entry.waker.take() {
                    waker.wake();
                }
            } else if entry.deadline != u64::MAX {
                let due = entry.deadline;
                self.tick = tick + 1;
                self.queue(key, due);
                self.tick = tick;
            }
        }
        // The slot keeps its memory, unless something was queued meanwhile.
        if self.slots[slot].is_empty() {
            self.slots[slot] = keys;
        }
    }

    /// Returns the first tick from `tick` on whose slot has entries.
    fn next_occupied(&self) -> Option<u64> {
        let here = slot_of(self.tick);
        let ahead = |slot: usize| (slot + SLOTS - here) % SLOTS;
        // The word of `here` is looked at twice: its upper bits first, its lower ones last.
        (0..=WORDS).find_map(|step| {
            let index = (here / 64 + step) % WORDS;
            let mask = match step {
                0 => u64::MAX << (here % 64),
                WORDS => !(u64::MAX << (here % 64)),
                _ => u64::MAX,
            };
            let word = self.occupied[index] & mask;
            let slot = index * 64 + word.trailing_zeros() as usize;
            (word != 0).then(|| self.tick + ahead(slot) as u64)
        })
    }

    /// Returns the first tick whose time is not before `at`.
    fn tick_after(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.start);
        ticks(since + TICK - Duration::from_nanos(1))
    }

    /// Returns the last tick whose time is not after `at`.
    fn tick_before(&self, at: Instant) -> u64 {
        ticks(at.saturating_duration_since(self.start))
    }
}

fn ticks(time: Duration) -> u64 {
    time.as_secs() * TICKS_PER_SECOND + u64::from(time.subsec_nanos()) / TICK_NANOS
}

/// Time of a tick, since the start; exact for longer than any process runs.
fn time_of(tick: u64) -> Duration {
    let nanos = tick % TICKS_PER_SECOND * TICK_NANOS;
    Duration::from_secs(tick / TICKS_PER_SECOND) + Duration::from_nanos(nanos)
}

fn slot_of(tick: u64) -> usize {
    usize::try_from(tick % SLOTS as u64).unwrap_or(0)
}

const SLOTS: usize = 512;
const WORDS: usize = SLOTS / 64;
/// The farthest slot ahead that an entry may wait in.
const REACH: u64 = SLOTS as u64 - 1;
const TICK: Duration = Duration::from_millis(10);
const TICK_NANOS: u64 = 10_000_000;
const TICKS_PER_SECOND: u64 = 100;
