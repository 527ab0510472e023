//! Endpoints that an exchange has tried, for the set that it picks from next.

use std::rc::Rc;

use super::{endpoint_set::EndpointSet, idle::Described, picker::EndpointIndex};

/// Endpoints of one pool that pickers leave out. Mostly none, and then one word.
#[derive(Debug, Default)]
pub struct Tried(Option<Box<List>>);

#[derive(Debug, Default)]
struct List {
    endpoints: Vec<Rc<Described>>,
    /// Indexes of them in the set of this serial; without those that have left.
    indexes: Vec<EndpointIndex>,
    serial: u64,
}

impl Tried {
    /// Returns true if there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Adds one.
    pub fn push(&mut self, endpoint: Rc<Described>) {
        let list = self.0.get_or_insert_default();
        list.endpoints.push(endpoint);
        list.serial = 0;
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// Returns their indexes in the set.
    pub(super) fn in_set(&mut self, set: &EndpointSet) -> &[EndpointIndex] {
        match &mut self.0 {
            None => &[],
            Some(list) => list.in_set(set),
        }
    }
}

impl List {
    #[cold]
    fn in_set(&mut self, set: &EndpointSet) -> &[EndpointIndex] {
        if self.serial != set.serial {
            let addresses = self.endpoints.iter().map(|tried| &tried.endpoint.label);
            self.indexes = addresses.filter_map(|address| set.find(address)).collect();
            self.serial = set.serial;
        }
        &self.indexes
    }
}

impl FromIterator<Rc<Described>> for Tried {
    fn from_iter<I: IntoIterator<Item = Rc<Described>>>(endpoints: I) -> Self {
        let mut tried = Self::default();
        for endpoint in endpoints {
            tried.push(endpoint);
        }
        tried
    }
}
