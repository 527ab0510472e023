//! Reports loads that have changed since the last look to a picker, including changes by others.
//!
//! Loads belong to endpoints, pickers to a view of one generation of a pool: a request that began
//! before a reload, or through another view, ends in a load that several pickers know of. Each of
//! them has a list here, which the [`Load`](super::Load) writes to and the picker's next pick
//! reads. A list names an endpoint only once, so it is never longer than the endpoint set; its
//! memory is allocated at the start.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use super::{EndpointIndex, Load};

/// The endpoints whose load changed since the last [`Self::drain`].
#[derive(Debug)]
pub(in crate::upstream) struct LoadChanges(Rc<List>);

#[derive(Debug)]
struct List {
    changed: RefCell<Vec<EndpointIndex>>,
    /// By endpoint: true if it is in the list.
    listed: Box<[Cell<bool>]>,
}

/// Receivers of the changes of one load.
#[derive(Debug, Default)]
pub(super) struct Watchers(Vec<Watcher>);

#[derive(Debug)]
pub(super) struct Watcher {
    /// Weak: a picker is dropped with its generation, the load stays.
    list: Weak<List>,
    endpoint: EndpointIndex,
}

impl LoadChanges {
    /// Follows these loads, by [`EndpointIndex`].
    pub(in crate::upstream) fn of(loads: &[Load]) -> Self {
        let list = Rc::new(List {
            changed: RefCell::new(Vec::with_capacity(loads.len())),
            listed: loads.iter().map(|_| Cell::new(false)).collect(),
        });
        for (index, load) in (0..).zip(loads) {
            load.watched_by(Watcher {
                list: Rc::downgrade(&list),
                endpoint: EndpointIndex(index),
            });
        }
        Self(list)
    }

    /// Passes each endpoint whose load changed to `tell`, and clears the list. O(1) each, no
    /// allocation.
    pub(in crate::upstream) fn drain(&self, mut tell: impl FnMut(EndpointIndex)) {
        for endpoint in self.0.changed.borrow_mut().drain(..) {
            if let Some(listed) = self.0.listed.get(endpoint.as_usize()) {
                listed.set(false);
            }
            tell(endpoint);
        }
    }
}

impl List {
    fn add(&self, endpoint: EndpointIndex) {
        let listed = self.listed.get(endpoint.as_usize());
        if listed.is_some_and(|listed| !listed.replace(true)) {
            self.changed.borrow_mut().push(endpoint);
        }
    }
}

impl Watchers {
    /// Tells every picker that still exists. O(1) for each: one per view of each generation that
    /// has requests under way.
    pub(super) fn tell(&mut self) {
        self.0.retain(|watcher| match watcher.list.upgrade() {
            Some(list) => {
                list.add(watcher.endpoint);
                true
            }
            None => false,
        });
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn add(&mut self, watcher: Watcher) {
        self.0.retain(|known| known.list.strong_count() > 0);
        self.0.push(watcher);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::loads;
    use super::*;

    fn drained(changes: &LoadChanges) -> Vec<u32> {
        let mut seen = Vec::new();
        changes.drain(|endpoint| seen.push(endpoint.0));
        seen
    }

    #[test]
    fn every_list_names_each_changed_load_once() {
        let loads = loads(3);
        let lists = [LoadChanges::of(&loads), LoadChanges::of(&loads)];
        loads[2].started();
        loads[0].started();
        loads[2].ended();
        for list in &lists {
            assert_eq!(drained(list), [2, 0]);
            assert_eq!(drained(list), [0; 0]);
        }
        loads[2].started();
        assert_eq!(drained(&lists[1]), [2]);
    }

    #[test]
    fn indexes_are_those_of_the_own_endpoint_set() {
        let mut loads = loads(3);
        let before = LoadChanges::of(&loads);
        let kept = loads.remove(2);
        loads.insert(0, kept.clone());
        let after = LoadChanges::of(&loads);
        kept.started();
        assert_eq!((drained(&before), drained(&after)), (vec![2], vec![0]));
    }

    #[test]
    fn lists_that_are_gone_leave_nothing_behind() {
        let load = Load::default();
        for _ in 0..100 {
            let _gone = LoadChanges::of(std::slice::from_ref(&load));
        }
        let list = LoadChanges::of(std::slice::from_ref(&load));
        assert_eq!(load.watchers_len(), 1);
        load.started();
        assert_eq!(drained(&list), [0]);
    }
}
