//! Endpoints that have series of their own, and those that are counted together.
//!
//! A pool may have thousands of endpoints, and each has a dozen lines in a scrape. Up to a limit an
//! endpoint gets a place when it is met first, and keeps it until it is removed; later ones are
//! counted under `other` of their pool. All workers ask here, so that they agree.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::family::OTHER;

/// Places for endpoints with series of their own.
#[derive(Debug)]
pub(super) struct EndpointPlaces {
    known: Mutex<Known>,
    endpoints_max: usize,
}

/// Series in which an endpoint is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Its own.
    Own,
    /// Those of `other` of its pool: there was no room, or the endpoint has left.
    OtherOfPool,
    /// Those of `other` of the pool `other`: the pool has left, and must not get series again.
    Removed,
}

#[derive(Debug, Default)]
struct Known {
    /// By pool and endpoint: true if it has a place.
    pools: HashMap<Box<str>, HashMap<Box<str>, bool>>,
    placed: usize,
    folded: usize,
}

impl EndpointPlaces {
    pub(super) fn new(endpoints_max: usize) -> Self {
        Self {
            known: Mutex::default(),
            endpoints_max,
        }
    }

    /// Gives an endpoint a place if there is one left; returns true if it has one.
    pub(super) fn admit(&self, pool: &str, endpoint: &str) -> bool {
        let known = &mut *self.lock();
        let of_pool = match known.pools.get_mut(pool) {
            Some(of_pool) => of_pool,
            None => known.pools.entry(Box::from(pool)).or_default(),
        };
        if endpoint == OTHER {
            return false;
        }
        if let Some(placed) = of_pool.get(endpoint) {
            return *placed;
        }
        let placed = known.placed < self.endpoints_max;
        of_pool.insert(Box::from(endpoint), placed);
        if placed {
            known.placed += 1;
        } else {
            known.folded += 1;
        }
        placed
    }

    /// Returns where an endpoint is counted.
    pub(super) fn place(&self, pool: &str, endpoint: &str) -> Place {
        let known = self.lock();
        let Some(of_pool) = known.pools.get(pool) else {
            return Place::Removed;
        };
        match of_pool.get(endpoint) {
            Some(true) => Place::Own,
            Some(false) | None => Place::OtherOfPool,
        }
    }

    /// Number of endpoints that are counted under `other`.
    pub(super) fn folded(&self) -> usize {
        self.lock().folded
    }

    /// Takes the places of removed endpoints back, as they are named by these labels.
    pub(super) fn forget<const L: usize>(&self, labels: [&str; L], gone: &[[&str; L]]) {
        let known = &mut *self.lock();
        match &labels[..] {
            ["pool"] => {
                let pools = gone.iter().filter_map(|values| values.first());
                for pool in pools {
                    let endpoints = known.pools.remove(*pool).into_iter().flatten();
                    for (_, placed) in endpoints {
                        known.left(placed);
                    }
                }
            }
            ["pool", "endpoint"] => {
                for values in gone {
                    let [pool, endpoint] = &values[..] else {
                        continue;
                    };
                    let of_pool = known.pools.get_mut(*pool);
                    if let Some(placed) = of_pool.and_then(|it| it.remove(*endpoint)) {
                        known.left(placed);
                    }
                }
            }
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn left(&mut self, placed: bool) {
        let count = if placed {
            &mut self.placed
        } else {
            &mut self.folded
        };
        *count = count.saturating_sub(1);
    }
}

/// Returns true if the series of a family are those of endpoints, by its labels.
pub(super) fn is_of_endpoints(labels: &[&str]) -> bool {
    labels.starts_with(&["pool", "endpoint"])
}

impl Place {
    /// Returns these values of a family's labels, for this place.
    pub(super) fn apply<'v>(self, values: &[&'v str]) -> Vec<&'v str> {
        let folded = match self {
            Self::Own => 0..0,
            Self::OtherOfPool => 1..2,
            Self::Removed => 0..2,
        };
        let mut values = values.to_vec();
        for value in values.get_mut(folded).into_iter().flatten() {
            *value = OTHER;
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_keeps_its_place_until_it_is_removed() {
        let places = EndpointPlaces::new(2);
        assert!(places.admit("app", "a:1"));
        assert!(places.admit("app", "b:1"));
        assert!(!places.admit("app", "c:1"));
        assert_eq!(places.folded(), 1);
        places.forget(["pool", "endpoint"], &[["app", "a:1"]]);
        assert_eq!(places.place("app", "a:1"), Place::OtherOfPool);
        // All workers must count it in the same place.
        assert!(!places.admit("app", "c:1"));
        assert!(places.admit("web", "a:1"));
        assert!(!places.admit("app", "d:1"));
        places.forget(["pool"], &[["app"]]);
        assert_eq!(places.folded(), 0);
        assert_eq!(places.place("app", "b:1"), Place::Removed);
        assert!(places.admit("app", "c:1"));
        places.forget(["route"], &[["app"]]);
        assert_eq!(places.place("app", "c:1"), Place::Own);
    }
}
