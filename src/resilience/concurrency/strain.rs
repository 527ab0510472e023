//! The moment at which a limit begins to hold requests back, and that at which it no longer does.
//!
//! It is seen from time to time. A limit is calm again only after ten seconds in which nobody
//! waited and nobody was refused, so that one under changing load is told of once, not each time.

use std::time::Duration;

use tokio::time::Instant;

/// Memory of how a limit fared.
#[derive(Debug, Default)]
pub struct Strain {
    /// The last time at which it held a request back; none: it is calm.
    held_back: Option<Instant>,
    refused: u64,
    before: u64,
}

/// A change of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrainChange {
    /// It began to hold requests back.
    Begun,
    /// It has held none back for a while. So many were refused meanwhile.
    Over {
        /// Number of requests.
        refused: u64,
    },
}

impl Strain {
    /// Looks at a limit: how many wait, and how many were refused since it was set.
    pub fn look(&mut self, waiting: u64, refused: u64, now: Instant) -> Option<StrainChange> {
        let more = refused.saturating_sub(self.refused);
        let seen = std::mem::replace(&mut self.refused, refused);
        if waiting > 0 || more > 0 {
            if self.held_back.replace(now).is_some() {
                return None;
            }
            self.before = seen;
            return Some(StrainChange::Begun);
        }
        let since = self.held_back?;
        if now.saturating_duration_since(since) < CALM {
            return None;
        }
        self.held_back = None;
        let refused = refused.saturating_sub(self.before);
        Some(StrainChange::Over { refused })
    }
}

const CALM: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_under_changing_load_is_told_of_once() {
        let start = Instant::now();
        let mut strain = Strain::default();
        let mut changes = Vec::new();
        for second in 0..60 {
            let now = start + Duration::from_secs(second);
            // Waiters at every fifth second of the first half; two are refused at 10 s.
            let waiting = u64::from(second < 30 && second % 5 == 0);
            let refused = if second < 10 { 3 } else { 5 };
            changes.extend(strain.look(waiting, refused, now).map(|it| (second, it)));
        }
        let over = StrainChange::Over { refused: 5 };
        assert_eq!(changes, [(0, StrainChange::Begun), (35, over)]);
    }
}
