//! Order of the requests that wait for a place.
//!
//! More urgent ones go first. Among equals the oldest goes first, as long as the queue is short.
//! When the queue is overloaded, the newest goes first: the old ones will mostly run into their
//! timeout anyway, and serving them late would make everybody late (adaptive LIFO). The queue is
//! overloaded when it is more than half full, or has not been empty for as long as a request may
//! wait.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use crate::semantics::token::members;

/// Bounds of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueRules {
    /// Maximum number of waiters.
    pub max: u32,
    /// Maximum time of a wait.
    pub timeout: Duration,
}

/// Urgency of a request as in RFC 9218 section 4.1: 0 goes first, 7 last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Urgency(u8);

impl Urgency {
    /// Reads a number from 0 to 7, or the member `u=N` of a `Priority` field. Everything else
    /// means the default.
    pub fn read(value: &[u8]) -> Self {
        let urgency = members(value)
            .map(|member| member.strip_prefix(b"u=").unwrap_or(member))
            .find_map(|member| match member {
                [digit @ b'0'..=b'7'] => Some(Self(digit - b'0')),
                _ => None,
            });
        urgency.unwrap_or_default()
    }
}

impl Default for Urgency {
    fn default() -> Self {
        Self(3)
    }
}

/// A waiter's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    urgency: Urgency,
    turn: u64,
}

/// Waiters in their order.
#[derive(Debug)]
pub struct WaitQueue<T> {
    waiters: BTreeMap<Ticket, T>,
    turn: u64,
    rules: QueueRules,
    /// Time since when there has always been a waiter.
    busy_since: Option<Instant>,
}

impl<T> Default for WaitQueue<T> {
    fn default() -> Self {
        Self {
            waiters: BTreeMap::new(),
            turn: 0,
            rules: QueueRules::default(),
            busy_since: None,
        }
    }
}

impl<T> WaitQueue<T> {
    /// Sets the bounds from now on.
    pub fn set_rules(&mut self, rules: QueueRules) {
        self.rules = rules;
    }

    /// Adds a waiter. A full queue takes one only in place of a less urgent one, the last of them,
    /// which is returned.
    ///
    /// # Errors
    /// The waiter, if there is no room for it.
    pub fn join(
        &mut self,
        waiter: T,
        urgency: Urgency,
        now: Instant,
    ) -> Result<(Ticket, Option<T>), T> {
        let mut displaced = None;
        if self.waiters.len() >= self.rules.max as usize {
            match self.waiters.last_entry() {
                Some(last) if last.key().urgency > urgency => displaced = Some(last.remove()),
                _ => return Err(waiter),
            }
        }
        let turn = self.turn;
        self.turn += 1;
        let ticket = Ticket { urgency, turn };
        self.waiters.insert(ticket, waiter);
        self.busy_since.get_or_insert(now);
        Ok((ticket, displaced))
    }

    /// Removes a waiter that waits no longer; none if it was taken out before.
    pub fn leave(&mut self, ticket: Ticket) -> Option<T> {
        let waiter = self.waiters.remove(&ticket);
        self.note_empty();
        waiter
    }

    /// Takes out the waiter whose turn it is.
    pub fn next(&mut self, now: Instant) -> Option<T> {
        let urgency = self.waiters.first_key_value()?.0.urgency;
        let ticket = if self.is_overloaded(now) {
            let (turn, last) = (0, u64::MAX);
            let first = Ticket { urgency, turn };
            let last = Ticket {
                urgency,
                turn: last,
            };
            *self.waiters.range(first..=last).next_back()?.0
        } else {
            *self.waiters.first_key_value()?.0
        };
        self.leave(ticket)
    }

    /// Returns true if the newest goes first.
    pub fn is_overloaded(&self, now: Instant) -> bool {
        let half_full = self.waiters.len() > self.rules.max as usize / 2;
        let busy = self.busy_since.map(|since| now.duration_since(since));
        half_full || busy.is_some_and(|busy| busy >= self.rules.timeout)
    }

    /// Number of waiters.
    pub fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Returns true if nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    fn note_empty(&mut self) {
        if self.waiters.is_empty() {
            self.busy_since = None;
        }
    }
}
