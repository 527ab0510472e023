//! Difference between two lists of endpoints: those that stay, that are new and that are removed.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::upstream::endpoint::Endpoint;

/// A list in the order of the one before.
#[derive(Debug)]
pub struct Arranged {
    /// Endpoints that stay keep their places, and an unchanged one is the same object. New ones
    /// fill the places of removed ones, then the last ones move into the remaining gaps: workers
    /// then process the changes only.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// Changes to the list.
    pub changes: EndpointChanges,
}

/// Differences between a list and the one before.
#[derive(Debug, Default)]
pub struct EndpointChanges {
    /// New ones.
    pub added: Vec<Arc<Endpoint>>,
    /// Removed ones.
    pub removed: Vec<Arc<Endpoint>>,
    /// Those that stay with another weight, version, zone, priority or label: before, and after.
    pub changed: Vec<(Arc<Endpoint>, Arc<Endpoint>)>,
}

impl EndpointChanges {
    /// Returns true if there are no differences.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// Arranges a list by the one before. If an address occurs twice, the first entry counts.
pub fn arrange(
    before: &[Arc<Endpoint>],
    wanted: impl IntoIterator<Item = Arc<Endpoint>>,
) -> Arranged {
    let places: HashMap<&str, usize> = before
        .iter()
        .enumerate()
        .map(|(place, endpoint)| (&*endpoint.label, place))
        .collect();
    let mut kept: Vec<Option<Arc<Endpoint>>> = vec![None; before.len()];
    let mut changes = EndpointChanges::default();
    let mut fresh: HashSet<Arc<str>> = HashSet::new();
    for endpoint in wanted {
        let Some(place) = places.get(&*endpoint.label) else {
            if fresh.insert(Arc::clone(&endpoint.label)) {
                changes.added.push(endpoint);
            }
            continue;
        };
        if kept[*place].is_some() {
            continue;
        }
        let old = &before[*place];
        kept[*place] = Some(if **old == *endpoint {
            Arc::clone(old)
        } else {
            let change = (Arc::clone(old), Arc::clone(&endpoint));
            changes.changed.push(change);
            endpoint
        });
    }
    let mut endpoints = Vec::with_capacity(before.len() + changes.added.len());
    let mut added = changes.added.iter();
    for (old, place) in before.iter().zip(&mut kept) {
        if place.is_none() {
            changes.removed.push(Arc::clone(old));
            *place = added.next().cloned();
        }
    }
    // From the end into the gaps that are left.
    let mut last = kept.len();
    for place in 0..kept.len() {
        if place >= last {
            break;
        }
        if let Some(endpoint) = kept[place].take() {
            endpoints.push(endpoint);
            continue;
        }
        while last > place + 1 {
            last -= 1;
            if let Some(endpoint) = kept[last].take() {
                endpoints.push(endpoint);
                break;
            }
        }
    }
    endpoints.extend(added.cloned());
    Arranged { endpoints, changes }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::upstream::discovery::{Format, parse};

    fn list(text: &str) -> Vec<Arc<Endpoint>> {
        let list = parse(text, Format::Json, Path::new("/")).unwrap();
        list.endpoints.into_iter().map(Arc::new).collect()
    }

    fn names(endpoints: &[Arc<Endpoint>]) -> String {
        let names = endpoints.iter().map(|it| it.label.trim_end_matches(":1"));
        names.collect()
    }

    #[test]
    fn who_stays_keeps_place_and_object_and_gaps_are_filled() {
        let before = list(r#"["a:1","b:1","c:1","d:1","e:1"]"#);
        for (wanted, arranged, added, removed) in [
            (r#"["e:1","d:1","c:1","b:1","a:1"]"#, "abcde", "", ""),
            (r#"["a:1","c:1","d:1","e:1"]"#, "aecd", "", "b"),
            (r#"["b:1","c:1","d:1"]"#, "dbc", "", "ae"),
            (
                r#"["x:1","y:1","a:1","b:1","c:1","e:1"]"#,
                "abcxey",
                "xy",
                "d",
            ),
            (r#"["e:1"]"#, "e", "", "abcd"),
            (r#"["x:1"]"#, "x", "x", "abcde"),
            ("[]", "", "", "abcde"),
        ] {
            let told = arrange(&before, list(wanted));
            assert_eq!(names(&told.endpoints), arranged, "{wanted}");
            assert_eq!(names(&told.changes.added), added, "{wanted}");
            assert_eq!(names(&told.changes.removed), removed, "{wanted}");
            assert!(told.changes.changed.is_empty());
            for endpoint in &told.endpoints {
                let old = before.iter().find(|old| old.label == endpoint.label);
                assert!(old.is_none_or(|old| Arc::ptr_eq(old, endpoint)));
            }
        }
        assert!(arrange(&before, before.iter().cloned()).changes.is_empty());
        assert_eq!(names(&arrange(&[], before.clone()).endpoints), "abcde");
    }

    /// Workers do work only for places that are not the same object as before.
    #[test]
    fn of_ten_thousand_endpoints_only_what_changed_is_touched() {
        let all: Vec<String> = (0..10_000).map(|at| format!("\"h{at}:1\"")).collect();
        let text = |all: &[String]| list(&format!("[{}]", all.join(",")));
        let before = text(&all);
        let touched = |wanted: Vec<Arc<Endpoint>>| {
            let after = arrange(&before, wanted).endpoints;
            let places = after.iter().enumerate();
            let same = |at: usize, it: &_| before.get(at).is_some_and(|old| Arc::ptr_eq(old, it));
            places.filter(|(at, it)| !same(*at, it)).count()
        };
        assert_eq!(touched(text(&all)), 0);
        let mut other = all.clone();
        other.reverse();
        assert_eq!(touched(text(&other)), 0, "an order is no change");
        other[4000] = "{\"address\": \"h5999:1\", \"weight\": 2}".to_owned();
        assert_eq!(touched(text(&other)), 1, "a weight");
        other.remove(4000);
        assert_eq!(touched(text(&other)), 1, "the last one moves into the gap");
        other.push("\"new:1\"".to_owned());
        assert_eq!(
            touched(text(&other)),
            1,
            "a new one in place of one that left"
        );
        other.push("\"newer:1\"".to_owned());
        assert_eq!(touched(text(&other)), 2);
    }

    #[test]
    fn what_is_said_first_of_an_address_counts_and_differences_are_told() {
        let before = list(r#"["a:1","b:1"]"#);
        let heavier = list(r#"[{"address": "b:1", "weight": 3}]"#);
        let twice = heavier.into_iter().chain(before.clone());
        let told = arrange(&before, twice);
        assert_eq!(names(&told.endpoints), "ab");
        assert_eq!(told.endpoints[1].weight, 3);
        let [(old, new)] = &told.changes.changed[..] else {
            panic!("one change");
        };
        assert_eq!((old.weight, new.weight), (1, 3));
    }
}
