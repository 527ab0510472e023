//! Header maps that have served, for the next head.
//!
//! A map for a usual head is two allocations of some kilobytes: large enough to cost more
//! than reading the head into it. Each thread keeps a few that were handed back.

use std::cell::RefCell;

use http::HeaderMap;

/// An empty map with room for `count` fields, as far as the limits of a map allow.
pub(super) fn take(count: usize) -> Option<HeaderMap> {
    let spare = SPARE.with_borrow_mut(Vec::pop);
    match spare {
        Some(map) if map.capacity() >= count => Some(map),
        _ => HeaderMap::try_with_capacity(count.max(USUAL)).ok(),
    }
}

/// Keeps a map that is not needed any more for a head that is to come.
pub fn recycle(mut map: HeaderMap) {
    if !(USUAL..=CAPACITY_MAX).contains(&map.capacity()) {
        return;
    }
    // What the fields refer to is given up now, and outside of the list.
    map.clear();
    SPARE.with_borrow_mut(|spare| {
        if spare.len() < KEPT_MAX {
            spare.push(map);
        }
    });
}

thread_local! {
    static SPARE: RefCell<Vec<HeaderMap>> = const { RefCell::new(Vec::new()) };
}

/// Room for the fields of nearly every head and for what the walk adds.
const USUAL: usize = 24;
/// A map that has grown beyond this is not kept.
const CAPACITY_MAX: usize = 96;
/// Maps kept by a thread: about 200 KiB.
const KEPT_MAX: usize = 64;
