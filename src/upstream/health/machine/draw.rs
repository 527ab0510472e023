//! Drawing of the published picture from the machine's state.

use std::sync::Arc;

use tokio::time::Instant;

use super::PoolHealth;
use crate::upstream::{
    health::{
        member::Member,
        picture::{EndpointView, Picture},
        transition::EndpointState,
    },
    picker::EndpointIndex,
};

impl PoolHealth {
    /// Draws the picture of an endpoint set, which may be older or newer than the one in force.
    #[must_use]
    pub fn picture(&self, set: &[Arc<str>], serial: u64, now: Instant) -> Picture {
        // Drawn as it would be on joining: the set may be built before it is adopted.
        let joining = Member::new(&self.settings, None, now);
        let members = set
            .iter()
            .map(|it| self.members.get(it).unwrap_or(&joining));
        let members: Vec<&Member> = members.collect();
        let count =
            |wanted: &dyn Fn(&Member) -> bool| members.iter().filter(|it| wanted(it)).count();
        let serving = count(&Member::serves);
        let waiting = count(&|member| member.state() == EndpointState::Pending);
        // While nothing but a first check is missing, its answer is worth waiting for.
        let hold = serving == 0 && waiting > 0;
        let endpoints: Vec<EndpointView> = set
            .iter()
            .zip(&members)
            .map(|(address, member)| EndpointView {
                address: Arc::clone(address),
                state: member.state(),
                eligible: member.serves(),
                cause: member.reason(),
                ejected_until: member.ejected_until(),
                overdue: member.is_overdue(),
                ejections: member.ejection.times(),
                recovered: member.recovered,
            })
            .collect();
        Picture {
            serial,
            eligible: indices(&endpoints, |view| view.eligible),
            probation: indices(&endpoints, |view| view.state == EndpointState::Probation),
            pending: hold,
            endpoints,
        }
    }
}

fn indices(
    endpoints: &[EndpointView],
    wanted: impl Fn(&EndpointView) -> bool,
) -> Vec<EndpointIndex> {
    let numbered = (0..).zip(endpoints);
    numbered
        .filter(|(_, view)| wanted(view))
        .map(|(index, _)| EndpointIndex(index))
        .collect()
}
