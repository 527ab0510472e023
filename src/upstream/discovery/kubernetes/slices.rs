//! All slices that are followed, as one list of endpoints.

use std::collections::{BTreeMap, HashMap};

use super::{
    super::{DnsFamily, ENDPOINTS_MAX, EndpointList},
    api::ApiError,
    slice::{Family, Member, Slice, State},
};
use crate::upstream::endpoint::Standing;

/// The slices, by name.
#[derive(Debug, Default)]
pub(super) struct Slices {
    all: BTreeMap<String, Slice>,
    /// Number of their endpoints, those that cannot be used included.
    entries: usize,
    /// Bytes of their names and of what is kept of them.
    bytes: usize,
}

impl Slices {
    pub(super) fn put(&mut self, name: String, slice: Slice) {
        self.entries += slice.entries();
        self.bytes += name.len() + slice.bytes();
        let name_bytes = name.len();
        if let Some(old) = self.all.insert(name, slice) {
            self.forget(name_bytes, &old);
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        if let Some(old) = self.all.remove(name) {
            self.forget(name.len(), &old);
        }
    }

    fn forget(&mut self, name_bytes: usize, old: &Slice) {
        self.entries -= old.entries();
        self.bytes -= name_bytes + old.bytes();
    }

    /// Refuses more slices than are followed.
    ///
    /// # Errors
    /// The bound that they exceed.
    pub(super) fn bounded(&self) -> Result<(), ApiError> {
        let more = if self.all.len() > SLICES_MAX {
            format!("more than {SLICES_MAX} EndpointSlices")
        } else if self.entries > ENDPOINTS_MAX {
            format!("more than {ENDPOINTS_MAX} endpoints, with those that cannot be used")
        } else if self.bytes > BYTES_MAX {
            let max = BYTES_MAX >> 20;
            format!("EndpointSlices with more than {max} MiB of names and labels")
        } else {
            return Ok(());
        };
        Err(ApiError::Garbled(more))
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
        for slice in self.all.values() {
            list.skipped.join(&slice.faults);
        }
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

/// Maximum number of slices: as many as endpoints, since one may be alone in its slice.
const SLICES_MAX: usize = ENDPOINTS_MAX;
/// Maximum of all texts that are kept of slices: 50,000 endpoints with names as long as they may be.
const BYTES_MAX: usize = 32 << 20;
