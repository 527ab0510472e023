//! Times at which endpoints may change: a tick looks at no others.

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc};

use tokio::time::Instant;

use crate::upstream::health::{member::Member, settings::HealthSettings};

/// Endpoints by the time of their next look. An entry is valid if its member has noted the same
/// time; others are stale and are skipped.
#[derive(Debug, Default)]
pub(super) struct Due(BinaryHeap<Reverse<(Instant, Arc<str>)>>);

impl Due {
    /// Notes the time of the next look at a member, unless it is looked at earlier anyway.
    pub(super) fn note(
        &mut self,
        address: &Arc<str>,
        member: &mut Member,
        settings: &HealthSettings,
    ) {
        if let Some(due) = member.due(settings)
            && member.noted.is_none_or(|noted| due < noted)
        {
            member.noted = Some(due);
            self.0.push(Reverse((due, Arc::clone(address))));
        }
    }

    /// Takes the entries that are due, in the order of addresses.
    pub(super) fn take(&mut self, now: Instant) -> Vec<(Arc<str>, Instant)> {
        let mut due = Vec::new();
        while self.0.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            due.extend(self.0.pop().map(|Reverse((at, address))| (address, at)));
        }
        due.sort_unstable();
        due
    }

    /// Returns true if most of its entries are left over.
    pub(super) fn is_stale(&self, members: usize) -> bool {
        self.0.len() > 2 * members + LEFT_OVER_MAX
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Number of stale entries from which all are noted again.
const LEFT_OVER_MAX: usize = 64;
