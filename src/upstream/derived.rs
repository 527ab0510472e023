//! Views of a set by versions that clients ask for.
//!
//! What a client may write is without bound; what it can match is not: a pool has few versions. A view
//! is known by the versions that belong to it, and made when they are first asked for; of more than
//! [`VIEWS_MAX`] the one made first gives way. One worker's own; a new set begins without any.

use semver::VersionReq;
use smallvec::SmallVec;

use super::{
    endpoint_set::{EndpointSet, SetRules, View},
    pool::ViewIndex,
};

/// Views of one worker that were asked for, behind the views of the set.
#[derive(Debug, Default)]
pub(super) struct DerivedViews {
    views: Vec<Derived>,
    /// Place of the view that gives way next.
    next: usize,
}

#[derive(Debug)]
struct Derived {
    base: ViewIndex,
    members: Members,
    view: View,
}

/// Versions of a set, one bit each.
type Members = SmallVec<[u64; 2]>;

/// Place of a view among those that were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) index: usize,
    /// True if it was made now, maybe in the place of another.
    pub(super) is_new: bool,
}

impl DerivedViews {
    /// Forgets all, since the set is another.
    pub(super) fn clear(&mut self) {
        self.views.clear();
        self.next = 0;
    }

    pub(super) fn get(&self, index: usize) -> &View {
        &self.views[index].view
    }

    /// Returns the view of the endpoints of `base` whose version meets a requirement; none if there
    /// is no such endpoint.
    pub(super) fn find(
        &mut self,
        set: &EndpointSet,
        rules: &SetRules,
        base: ViewIndex,
        wanted: &VersionReq,
    ) -> Option<Place> {
        let of_base = rules.requirements.get(base.0 as usize)?.as_ref();
        let members = members(set, wanted, of_base)?;
        let known = |it: &Derived| it.base == base && it.members == members;
        if let Some(index) = self.views.iter().position(known) {
            let is_new = false;
            return Some(Place { index, is_new });
        }
        let derived = Derived {
            base,
            members,
            view: set.derive(rules, base, wanted),
        };
        let is_new = true;
        if self.views.len() < VIEWS_MAX {
            self.views.push(derived);
            let index = self.views.len() - 1;
            return Some(Place { index, is_new });
        }
        let index = self.next;
        self.next = (index + 1) % VIEWS_MAX;
        self.views[index] = derived;
        Some(Place { index, is_new })
    }
}

/// Returns the versions of a set that a client wants and its route allows; none if there are none.
fn members(
    set: &EndpointSet,
    wanted: &VersionReq,
    of_base: Option<&VersionReq>,
) -> Option<Members> {
    let versions = set.versions();
    let mut members: Members = SmallVec::from_elem(0, versions.len().div_ceil(64));
    let mut any = false;
    let is_met = |it: &semver::Version| {
        wanted.matches(it) && of_base.is_none_or(|allowed| allowed.matches(it))
    };
    for (number, _) in versions.iter().enumerate().filter(|(_, it)| is_met(it)) {
        members[number / 64] |= 1 << (number % 64);
        any = true;
    }
    any.then_some(members)
}

/// Views kept for a pool, besides those of the configuration.
const VIEWS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use tokio::time::Instant;

    use super::*;
    use crate::config::value::EndpointAddress;
    use crate::upstream::{
        endpoint::Endpoint,
        health::{HealthSettings, PoolHealthState},
    };

    fn set(versions: &[&str], rules: &SetRules) -> EndpointSet {
        let endpoints = versions.iter().enumerate().map(|(number, version)| {
            let address = format!("127.0.0.1:{}", number + 1).into_boxed_str();
            let address = EndpointAddress::parse(&address, Path::new("/")).unwrap();
            Arc::new(Endpoint::new(address, Some(version.parse().unwrap())))
        });
        let endpoints: Vec<_> = endpoints.collect();
        let health = PoolHealthState::new("pool".into(), HealthSettings::default(), 1);
        let health = health.view(&EndpointSet::addresses(&endpoints), Instant::now());
        EndpointSet::new(1, endpoints, rules, health, None)
    }

    fn wanted(text: &str) -> VersionReq {
        VersionReq::parse(text).unwrap()
    }

    #[test]
    fn what_matches_the_same_versions_shares_a_view() {
        let rules = SetRules {
            requirements: vec![None],
            ..SetRules::default()
        };
        let set = set(&["1.0.0", "2.0.0", "2.1.0", "3.0.0-rc.1"], &rules);
        let mut derived = DerivedViews::default();
        let mut find = |text: &str| derived.find(&set, &rules, ViewIndex(0), &wanted(text));
        let two = find("^2").unwrap();
        assert!(two.is_new);
        for same in ["2", ">=2", ">1, <3", ">=1.1"] {
            let found = find(same).unwrap();
            assert_eq!((found.index, found.is_new), (two.index, false), "{same}");
        }
        assert_ne!(find("2.1").unwrap().index, two.index);
        assert_eq!(find("^3"), None, "a pre-release only when it is asked for");
        assert!(find("^3.0.0-rc").is_some());
        assert_eq!(find("^4"), None);
        assert_eq!(derived.views.len(), 3);
        let members: Vec<u32> = derived.get(two.index).tiers[0]
            .iter()
            .map(|it| it.0)
            .collect();
        assert_eq!(members, [1, 2]);
    }

    #[test]
    fn what_the_route_does_not_allow_makes_no_view() {
        let rules = SetRules {
            requirements: vec![None, Some(wanted("^1"))],
            ..SetRules::default()
        };
        let set = set(&["1.0.0", "1.1.0", "2.0.0"], &rules);
        let mut derived = DerivedViews::default();
        let mut find = |text: &str| derived.find(&set, &rules, ViewIndex(1), &wanted(text));
        assert_eq!(find("^2"), None);
        let one = find(">=1.1").unwrap();
        assert!(one.is_new);
        let same = find("~1.1").unwrap();
        assert_eq!((same.index, same.is_new), (one.index, false));
        assert_eq!(derived.views.len(), 1);
    }

    #[test]
    fn no_client_makes_more_views_than_the_bound() {
        let rules = SetRules {
            requirements: vec![None],
            ..SetRules::default()
        };
        let versions: Vec<String> = (0..100).map(|minor| format!("1.{minor}.0")).collect();
        let versions: Vec<&str> = versions.iter().map(String::as_str).collect();
        let set = set(&versions, &rules);
        let mut derived = DerivedViews::default();
        for minor in 0..100 {
            let text = format!("=1.{minor}");
            let place = derived.find(&set, &rules, ViewIndex(0), &wanted(&text));
            let place = place.unwrap();
            assert!(place.is_new && place.index < VIEWS_MAX);
            assert_eq!(derived.get(place.index).tiers[0][0].0, minor);
        }
        assert_eq!(derived.views.len(), VIEWS_MAX);
    }
}
