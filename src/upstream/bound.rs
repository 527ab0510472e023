//! Picks that are no choice: of clients that a session or a connection binds to an endpoint.

use std::rc::Rc;

use semver::VersionReq;
use tokio::time::Instant;

use super::{
    endpoint_set::meets, health::EndpointView, idle::LocalEndpoint, local::LocalPool, pick::Pick,
    pool::ViewIndex, tried::Tried,
};

impl LocalPool {
    /// Takes the endpoint of a session, if the view has it and it may serve: draining and weight 0
    /// keep it from new sessions only. The pick is none if it has no room.
    pub fn pick_session(
        self: &Rc<Self>,
        view: ViewIndex,
        now: Instant,
        tried: &mut Tried,
        wanted: Option<&VersionReq>,
        session: u64,
    ) -> Option<Option<Pick>> {
        self.follow();
        let set = &mut *self.set.borrow_mut();
        let tried = tried.in_set(&set.shared);
        let index = set.shared.keyed(session)?;
        let place = view.0 as usize;
        if set.is_behind(view) {
            set.update(&self.pool, view, &self.pickers);
        }
        let serves = set.views[place].picture.endpoint(index);
        let serves = serves.is_some_and(EndpointView::serves_sessions);
        let endpoint = &set.endpoints[index.0 as usize];
        let described = endpoint.described();
        let member =
            self.pool.rules.admits(view, &described.endpoint) && meets(wanted, &described.endpoint);
        if !serves || !member || tried.contains(&index) {
            return None;
        }
        Some(self.take(endpoint, now))
    }

    /// Takes the endpoint that the client is bound to, if there is one in the view. The pick is
    /// none if it has no room.
    pub fn pick_pinned(
        self: &Rc<Self>,
        view: ViewIndex,
        now: Instant,
        tried: &mut Tried,
        version: Option<&VersionReq>,
        wanted: impl Fn(&Rc<LocalEndpoint>) -> bool,
    ) -> Option<Option<Pick>> {
        self.follow();
        let set = &*self.set.borrow();
        let tried = tried.in_set(&set.shared);
        let mut members = set.shared.views[view.0 as usize].tiers.iter().flatten();
        let index = members.find(|index| {
            let endpoint = &set.endpoints[index.0 as usize];
            wanted(endpoint) && meets(version, &endpoint.described().endpoint)
        })?;
        if tried.contains(index) {
            return None;
        }
        let endpoint = &set.endpoints[index.0 as usize];
        Some(self.take(endpoint, now))
    }
}
