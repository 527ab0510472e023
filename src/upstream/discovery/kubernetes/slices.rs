//! All slices that are followed, as one list of endpoints.

use std::collections::{BTreeMap, HashMap};

use super::{
    super::{DnsFamily, ENDPOINTS_MAX, EndpointList},
    slice::{Family, Member, Slice, State},
};
use crate::upstream::endpoint::Standing;

/// The slices, by name.
#[derive(Debug, Default)]
pub(super) struct Slices {
    all: BTreeMap<String, Slice>,
    /// Number of their endpoints.
    members: usize,
}

impl Slices {
    pub(super) fn put(&mut self, name: String, slice: Slice) {
        self.members += slice.members.len();
        if let Some(old) = self.all.insert(name, slice) {
            self.members -= old.members.len();
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        if let Some(old) = self.all.remove(name) {
            self.members -= old.members.len();
        }
    }

    /// Returns true if there are more than are followed.
    pub(super) fn are_too_many(&self) -> bool {
        self.members > ENDPOINTS_MAX || self.all.len() > ENDPOINTS_MAX
    }

    /// Returns true if a Service has a slice.
    pub(super) fn has(&self, service: &str) -> bool {
        self.all.values().any(|slice| slice.service == service)
    }

    /// Returns the list. Of entries with one address, the one in the best state counts: while a pod
    /// moves from one slice to another, it may be in both. While nothing is ready, endpoints that
    /// still serve while they end are used.
    pub(super) fn list(&self, family: DnsFamily) -> EndpointList {
        let mut list = EndpointList::default();
        let faults = self.all.values().flat_map(|slice| &slice.faults);
        faults.for_each(|fault| list.skipped.add(fault));
        let members = self.all.values().flat_map(|slice| &slice.members);
        let members = members.filter(|member| is_wanted(member.family, family));
        let members = one_for_each_pod(one_for_each_address(members));
        let is_last_resort = !members.iter().any(|member| member.state == State::Ready);
        list.endpoints.extend(members.into_iter().map(|member| {
            let mut endpoint = member.endpoint.clone();
            endpoint.standing = match member.state {
                State::Ready => Standing::Up,
                State::Leaving if is_last_resort => Standing::Up,
                State::Leaving | State::Terminating => Standing::Leaving("terminating".into()),
                State::NotReady => Standing::Down("not ready".into()),
            };
            endpoint
        }));
        list
    }
}

const fn is_wanted(family: Family, wanted: DnsFamily) -> bool {
    match wanted {
        DnsFamily::Any => true,
        DnsFamily::V4 => matches!(family, Family::V4 | Family::Name),
        DnsFamily::V6 => matches!(family, Family::V6 | Family::Name),
    }
}

fn one_for_each_address<'a>(members: impl Iterator<Item = &'a Member>) -> Vec<&'a Member> {
    best(
        members,
        |member| Some(&*member.endpoint.label),
        |member| member.state,
    )
}

/// Leaves one address of a pod, by its port: those of its two families lead to the same pod.
fn one_for_each_pod(members: Vec<&Member>) -> Vec<&Member> {
    best(
        members.into_iter(),
        |member| {
            let pod = member.pod.as_deref()?;
            Some((pod, member.port))
        },
        |member| (member.state, member.family),
    )
}

/// Returns the members in order, of those with one key the first of the highest rank. What has no
/// key stays.
fn best<'a, K: std::hash::Hash + Eq, R: PartialOrd>(
    members: impl Iterator<Item = &'a Member>,
    key: impl Fn(&'a Member) -> Option<K>,
    rank: impl Fn(&'a Member) -> R,
) -> Vec<&'a Member> {
    let mut places: HashMap<K, usize> = HashMap::new();
    let mut kept: Vec<&Member> = Vec::new();
    for member in members {
        let Some(key) = key(member) else {
            kept.push(member);
            continue;
        };
        match places.get(&key).and_then(|at| kept.get_mut(*at)) {
            Some(known) if rank(member) > rank(known) => *known = member,
            Some(_) => {}
            None => {
                places.insert(key, kept.len());
                kept.push(member);
            }
        }
    }
    kept
}
