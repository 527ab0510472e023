//! The breaker of a pool as a request meets it: leave for each attempt, or another pool.
//!
//! One branch where a pool has none.

use std::time::Duration;

use super::{UpstreamCall, attempt_end::AttemptEnd, search, terms::CallTerms};
use crate::{
    exchange::CallRecord,
    failure::Failure,
    resilience::Why,
    timer,
    upstream::{
        local::LocalPool,
        pick::Pick,
        pool::{Pool, PoolIndex},
    },
};

/// Asks whether the pool may be looked at at all, before a place in it is waited for.
///
/// # Errors
/// [`Failure::BreakerOpen`].
pub(super) fn look(record: &mut CallRecord, pool: &LocalPool) -> Result<(), Failure> {
    if pool.pool.breaker.is_none() {
        return Ok(());
    }
    match pool.pool.shared.breaker.refuses(timer::recent()) {
        Some(left) => Err(refused(record, pool, left)),
        None => Ok(()),
    }
}

/// Asks for leave to make the attempt at the picked endpoint.
///
/// # Errors
/// [`Failure::BreakerOpen`].
pub(super) fn admit(
    terms: &CallTerms<'_>,
    record: &mut CallRecord,
    pick: &mut Pick,
) -> Result<(), Failure> {
    // How a copy ends says nothing.
    if pick.pool.pool.breaker.is_none() || terms.is_copy {
        return Ok(());
    }
    match pick.pool.pool.shared.breaker.admit(timer::recent()) {
        Ok(permit) => {
            pick.permit(permit);
            Ok(())
        }
        Err(left) => Err(refused(record, &pick.pool, left)),
    }
}

#[cold]
fn refused(record: &mut CallRecord, pool: &LocalPool, left: Duration) -> Failure {
    if record.refused_ms == 0 {
        pool.metrics.breaker_refused();
    }
    // By a clock of before it opened it may be more.
    let open = pool.pool.breaker.map_or(left, |breaker| breaker.open);
    let left = left.min(open);
    let left_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1);
    record.refused_ms = match record.refused_ms {
        0 => left_ms,
        other => other.min(left_ms),
    };
    Failure::BreakerOpen
}

impl UpstreamCall<'_> {
    /// Waits before another attempt, if it is to; fails if the outcome has to stand.
    pub(super) async fn go_on(
        &mut self,
        pool: PoolIndex,
        waits: bool,
        end: &AttemptEnd,
    ) -> Result<(), Why> {
        if waits {
            let pool = &self.terms.snapshot.pools[pool.0 as usize];
            self.prepare_retry(pool, end).await?;
        }
        if self.goes_on(pool) {
            Ok(())
        } else {
            Err(Why::BreakerOpen)
        }
    }

    /// Returns true if another attempt has somewhere to go: the breaker of this pool lets it
    /// through, or a pool that stands in for it.
    fn goes_on(&self, pool: PoolIndex) -> bool {
        let snapshot = self.terms.snapshot;
        let pools = &snapshot.shared.pools;
        let is_open = |index: PoolIndex| is_open(&pools[index.0 as usize]);
        if !is_open(pool) {
            return true;
        }
        let all = (0..).map_while(|place| {
            search::pool_at(snapshot, self.terms.home, self.record.spare(), place)
        });
        let later = all
            .map(|(index, _)| index)
            .skip_while(|index| *index != pool);
        later.skip(1).any(|index| !is_open(index))
    }
}

/// Returns true if the breaker of a pool refuses attempts now.
pub(super) fn is_open(pool: &Pool) -> bool {
    pool.breaker.is_some() && pool.shared.breaker.refuses(timer::recent()).is_some()
}
