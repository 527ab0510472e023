//! Slow start: an endpoint that joined or came back gets a growing part of its share of requests.
//!
//! Stands behind the picker, whichever that is: a pick that falls on such an endpoint stands only
//! if the endpoint has earned it, else the picker chooses again without it. What it earns with each
//! request to its tier is its share by weight, times the part of the time that has passed. One
//! worker's state, rebuilt with the picture of health.

use std::time::Duration;

use tokio::time::Instant;

use super::{endpoint_set::EndpointSet, health::Picture, picker::EndpointIndex};

/// The endpoints of a tier that start slowly.
#[derive(Debug, Default)]
pub(super) struct Ramps {
    /// Ascending by index.
    list: Vec<Ramp>,
    /// Healthy endpoints of the tier, these included.
    healthy: usize,
    /// Requests to the tier so far.
    requests: f64,
    /// Time at which the first of them has its whole share.
    next_end: Option<Instant>,
    length: Duration,
}

#[derive(Debug)]
struct Ramp {
    index: EndpointIndex,
    since: Instant,
    /// Its share of the tier by weight.
    share: f64,
    /// Requests that it has earned and not got.
    earned: f64,
    /// Requests to the tier when that was reckoned.
    at: f64,
}

impl Ramps {
    /// Follows a new picture. Those that go on keep what they have earned.
    pub(super) fn update(
        &mut self,
        length: Duration,
        members: &[EndpointIndex],
        set: &EndpointSet,
        picture: &Picture,
    ) {
        if length.is_zero() {
            self.list.clear();
            return;
        }
        let before = std::mem::take(&mut self.list);
        let healthy = || {
            let members = members.iter().copied();
            members.filter(|index| picture.is_eligible(*index) && set.has_weight(*index))
        };
        let weight = |index| set.endpoint(index).map_or(0.0, |it| f64::from(it.share()));
        let total: f64 = healthy().map(weight).sum();
        self.healthy = healthy().count();
        self.length = length;
        for index in healthy() {
            let Some(since) = picture.endpoint(index).and_then(|view| view.recovered) else {
                continue;
            };
            let place = before.binary_search_by_key(&index, |ramp| ramp.index);
            let known = place.ok().map(|place| &before[place]);
            let known = known.filter(|ramp| ramp.since == since);
            self.list.push(Ramp {
                index,
                since,
                share: weight(index) / total,
                earned: known.map_or(1.0, |ramp| ramp.earned),
                at: known.map_or(self.requests, |ramp| ramp.at),
            });
        }
        self.list.sort_unstable_by_key(|ramp| ramp.index);
        self.note_next_end();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// A request to the tier begins; true if some start slowly and others do not.
    pub(super) fn begin(&mut self, now: Instant) -> bool {
        self.requests += 1.0;
        if self.next_end.is_some_and(|end| now >= end) {
            let length = self.length;
            self.list.retain(|ramp| now < end(ramp.since, length));
            self.note_next_end();
        }
        !self.list.is_empty() && self.list.len() < self.healthy
    }

    /// Returns true if the endpoint may take this request.
    pub(super) fn admits(&mut self, index: EndpointIndex, now: Instant) -> bool {
        let Ok(place) = self.list.binary_search_by_key(&index, |ramp| ramp.index) else {
            return true;
        };
        let ramp = &mut self.list[place];
        let passed = now.saturating_duration_since(ramp.since);
        let part = (passed.as_secs_f64() / self.length.as_secs_f64()).clamp(PART_MIN, 1.0);
        let more = (self.requests - ramp.at) * ramp.share * part;
        ramp.earned = (ramp.earned + more).min(EARNED_MAX);
        ramp.at = self.requests;
        let admitted = ramp.earned >= 1.0;
        if admitted {
            ramp.earned -= 1.0;
        }
        admitted
    }

    fn note_next_end(&mut self) {
        let ends = self.list.iter().map(|ramp| end(ramp.since, self.length));
        self.next_end = ends.min();
    }
}

/// Adds without overflow: a length from a configuration may be absurd.
fn end(since: Instant, length: Duration) -> Instant {
    since.checked_add(length).unwrap_or_else(|| since + FAR)
}

/// Ten years; longer than a process lives.
const FAR: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Part of its share that an endpoint gets at once.
const PART_MIN: f64 = 0.1;
/// Requests that may be saved up: no burst follows a pause.
const EARNED_MAX: f64 = 2.0;

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(10);

    /// A tier of so many endpoints of the same weight, of which these start slowly.
    fn ramps(healthy: usize, starting: &[u32], since: Instant) -> Ramps {
        let list = starting.iter().map(|index| Ramp {
            index: EndpointIndex(*index),
            since,
            share: 1.0 / healthy as f64,
            earned: 1.0,
            at: 0.0,
        });
        let mut ramps = Ramps {
            list: list.collect(),
            healthy,
            length: LENGTH,
            ..Ramps::default()
        };
        ramps.note_next_end();
        ramps
    }

    /// Requests out of 1000 that the endpoint gets when every pick falls on it.
    fn gets(ramps: &mut Ramps, now: Instant) -> usize {
        let asked = (0..1000).filter(|_| ramps.begin(now) && ramps.admits(EndpointIndex(2), now));
        asked.count()
    }

    #[test]
    fn it_gets_a_growing_part_of_its_share_even_if_every_pick_falls_on_it() {
        let start = Instant::now();
        let mut ramps = ramps(4, &[2], start);
        let at = |seconds| start + Duration::from_secs(seconds);
        let counts = [0, 5, 9].map(|seconds| gets(&mut ramps, at(seconds)));
        // 10 %, 50 % and 90 % of a quarter, and what it may begin with.
        for (count, due) in counts.iter().zip([25, 125, 225]) {
            assert!(count.abs_diff(due) <= 2, "{counts:?}");
        }
        assert!(!ramps.begin(at(10)) && ramps.is_empty());
        assert!(ramps.admits(EndpointIndex(2), at(10)));
    }

    #[test]
    fn no_burst_follows_a_pause_and_others_are_not_held_back() {
        let start = Instant::now();
        let mut ramps = ramps(2, &[2], start);
        for _ in 0..1000 {
            assert!(ramps.begin(start) && ramps.admits(EndpointIndex(0), start));
        }
        let row = (0..5).filter(|_| ramps.admits(EndpointIndex(2), start));
        assert_eq!(row.count(), 2);
    }

    #[test]
    fn where_all_start_slowly_none_does() {
        let start = Instant::now();
        assert!(!ramps(2, &[0, 2], start).begin(start));
        assert!(ramps(3, &[0, 2], start).begin(start));
    }
}
