//! Decisions of operators, to keep them over a restart and to go on with them.

use std::{collections::BTreeMap, sync::Arc};

use tokio::time::Instant;

use super::{PoolHealth, note};
use crate::upstream::health::{
    member::Member,
    transition::{AdminState, Cause, Transition},
};

/// Decisions of operators on the endpoints of a pool, by address.
pub type Decisions = BTreeMap<Box<str>, AdminState>;

impl PoolHealth {
    /// Returns the decisions in force, and those that wait for their endpoint.
    #[must_use]
    pub fn decisions(&self) -> Decisions {
        let decided = |(_, member): &(_, &Member)| member.current && !member.is_enabled();
        let members = self.members.iter().filter(decided);
        let members = members.map(|(address, member)| (Box::from(&**address), member.admin));
        let waiting = self.waiting.iter();
        let waiting = waiting.map(|(address, admin)| (address.clone(), *admin));
        waiting.chain(members).collect()
    }

    /// Goes on with the decisions of an earlier process, before the pool has its endpoints: each
    /// waits until its endpoint joins, or for [`Self::forget_waiting`].
    pub fn restore(&mut self, decisions: Decisions) {
        self.waiting = decisions;
        self.waiting
            .retain(|_, admin| *admin != AdminState::Enabled);
    }

    /// Forgets the decisions on endpoints that have not joined: the pool has its whole list.
    pub fn forget_waiting(&mut self) {
        self.decided |= !self.waiting.is_empty();
        self.waiting.clear();
    }

    /// Returns true if decisions may differ from those at the last call.
    pub fn take_decided(&mut self) -> bool {
        std::mem::take(&mut self.decided)
    }

    /// Applies the decision that waits for an endpoint, which joins.
    pub(super) fn decide(
        &mut self,
        address: &Arc<str>,
        member: &mut Member,
        now: Instant,
        changes: &mut Vec<Transition>,
    ) {
        if let Some(admin) = self.waiting.remove(&**address) {
            let from = member.state();
            member.admin = admin;
            let cause = Cause::Carried(BEFORE.into());
            note(address, member, from, cause, now, changes);
        }
    }
}

/// The cause of a decision that an earlier process was told.
const BEFORE: &str = "operator, before the restart";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::health::{settings::HealthSettings, transition::EndpointState};

    fn pool(decisions: &[(&str, AdminState)]) -> PoolHealth {
        let mut pool = PoolHealth::new(HealthSettings::default());
        let decisions = decisions.iter().map(|(it, admin)| (Box::from(*it), *admin));
        pool.restore(decisions.collect());
        pool
    }

    fn set(pool: &mut PoolHealth, addresses: &[&str]) -> Vec<Transition> {
        let addresses: Vec<Arc<str>> = addresses.iter().map(|it| Arc::from(*it)).collect();
        pool.replace_endpoints(&addresses, Instant::now())
    }

    #[test]
    fn a_decision_waits_for_its_endpoint_and_ends_with_it() {
        let (a, b) = (("a:1", AdminState::Draining), ("b:1", AdminState::Ejected));
        let mut pool = pool(&[a, b, ("c:1", AdminState::Enabled)]);
        let told = set(&mut pool, &["a:1", "c:1"]);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].cause.to_string(), "operator, before the restart");
        assert_eq!(pool.state("a:1"), Some(EndpointState::Draining));
        assert_eq!(pool.state("c:1"), Some(EndpointState::Healthy));
        assert_eq!(pool.decisions().len(), 2);
        set(&mut pool, &["a:1", "b:1", "c:1"]);
        assert_eq!(pool.state("b:1"), Some(EndpointState::EjectedByOperator));
        assert!(pool.take_decided() && !pool.take_decided());
        // It left: what was said of it does not wait for another one at its address.
        set(&mut pool, &["b:1", "c:1"]);
        assert!(pool.take_decided());
        pool.forget_departed(|_| false);
        assert_eq!(pool.decisions().len(), 1);
        set(&mut pool, &["a:1", "b:1", "c:1"]);
        assert_eq!(pool.state("a:1"), Some(EndpointState::Healthy));
    }

    #[test]
    fn a_decision_on_an_endpoint_that_does_not_come_is_forgotten() {
        let mut pool = pool(&[("a:1", AdminState::Draining)]);
        set(&mut pool, &["b:1"]);
        pool.forget_waiting();
        assert!(pool.take_decided() && pool.decisions().is_empty());
        set(&mut pool, &["a:1", "b:1"]);
        assert_eq!(pool.state("a:1"), Some(EndpointState::Healthy));
    }
}
