//! Writes that the store refuses, such as for want of a right. Connection and lease are as good as
//! before, so the proxy goes on; it tells the first refusal, and the end of them.

use super::{
    REFUSES,
    fault::StoreFault,
    member::{Member, Part},
};
use crate::rollout::Rollout;

/// A value that a proxy writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Report,
    Leader,
    Record,
}

impl Member {
    /// Notes how a write went. A refusal is told, and none; the connection and the lease are as good
    /// as before.
    pub(super) fn noted<T>(
        &self,
        rollout: &Rollout,
        part: &mut Part,
        what: Written,
        went: Result<T, StoreFault>,
    ) -> Result<Option<T>, StoreFault> {
        let was = part.refused.as_ref().filter(|(it, _)| *it == what);
        match went {
            Err(StoreFault::Refused(why)) => {
                if was.is_none_or(|(_, before)| *before != why) {
                    let (name, store) = (&rollout.name, self.place.name());
                    tracing::warn!(rollout = %name, %store, ?what, %why, "the store of rollouts refuses a value; shares stay as they are");
                }
                self.board.outages.note::<()>(REFUSES, &Err(&why));
                part.refused = Some((what, why));
                Ok(None)
            }
            went => {
                if went.is_ok() {
                    self.taken(rollout, part, what);
                }
                went.map(Some)
            }
        }
    }

    /// Notes that the store has taken a value, of this proxy or of another one.
    pub(super) fn taken(&self, rollout: &Rollout, part: &mut Part, what: Written) {
        if part.refused.take_if(|(it, _)| *it == what).is_some() {
            let (name, store) = (&rollout.name, self.place.name());
            tracing::info!(rollout = %name, %store, ?what, "the store of rollouts takes values again");
            self.board.outages.over(REFUSES);
        }
    }
}
