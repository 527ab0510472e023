//! Least requests: picks the endpoint with the fewest requests in flight for its weight.
//!
//! A tournament tree over the candidates keeps the least `in_flight / weight` and the total weight
//! of the candidates with it. A pick walks down from the root and draws among equals by weight, so
//! that an idle pool is used in proportion and no endpoint is preferred by every worker. O(log n)
//! for a pick and for each change of load, O(t log n) with t endpoints tried.

use std::cmp::Ordering;

use super::draw::below;
use super::places::Places;
use super::{Candidate, EndpointIndex, Load, PickInput, Picker, in_flight};

/// An index over loads.
#[derive(Debug, Default)]
pub struct LeastRequests {
    members: Vec<Member>,
    places: Places,
    /// Node 1 is the root, node i has children 2i and 2i + 1, leaves are from `leaves` on.
    nodes: Vec<Node>,
    leaves: usize,
    /// Loads may differ from the tree: after an update, until the next pick.
    stale: bool,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    index: EndpointIndex,
    weight: u32,
}

/// The least load below a node, and the weight of all leaves that have it; none if that is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node {
    in_flight: u32,
    weight: u32,
    tied: u64,
}

impl LeastRequests {
    fn rebuild(&mut self, loads: &[Load]) {
        for (node, member) in self.nodes.iter_mut().skip(self.leaves).zip(&self.members) {
            *node = Node::leaf(*member, loads);
        }
        for at in (1..self.leaves).rev() {
            self.nodes[at] = self.nodes[2 * at].best(self.nodes[2 * at + 1]);
        }
        self.stale = false;
    }

    /// Sets the leaf of an endpoint, if it is a candidate, and the nodes above.
    fn set(&mut self, endpoint: EndpointIndex, leaf: impl FnOnce(Member) -> Node) {
        let Some(place) = self.places.of(endpoint) else {
            return;
        };
        let mut at = self.leaves + place;
        self.nodes[at] = leaf(self.members[place]);
        while at > 1 {
            at /= 2;
            let best = self.nodes[2 * at].best(self.nodes[2 * at + 1]);
            if self.nodes[at] == best {
                return;
            }
            self.nodes[at] = best;
        }
    }

    /// Walks down to one of the least loaded, by weight.
    fn least(&self, draw: u64) -> Option<EndpointIndex> {
        let root = self.nodes.get(1).filter(|root| root.tied > 0)?;
        let mut rank = below(draw, root.tied);
        let mut at = 1;
        while at < self.leaves {
            let (left, right) = (self.nodes[2 * at], self.nodes[2 * at + 1]);
            at = match left.compare(right) {
                Ordering::Less => 2 * at,
                Ordering::Greater => 2 * at + 1,
                Ordering::Equal if rank < left.tied => 2 * at,
                Ordering::Equal => {
                    rank -= left.tied;
                    2 * at + 1
                }
            };
        }
        self.members
            .get(at - self.leaves)
            .map(|member| member.index)
    }
}

impl Picker for LeastRequests {
    fn update(&mut self, candidates: &[Candidate]) {
        self.members.clear();
        self.members
            .extend(candidates.iter().map(|candidate| Member {
                index: candidate.index,
                weight: candidate.weight.max(1),
            }));
        self.places.update(candidates);
        self.leaves = self.members.len().next_power_of_two();
        self.nodes.clear();
        self.nodes.resize(2 * self.leaves, Node::NONE);
        self.stale = true;
    }

    fn pick(&mut self, input: &PickInput<'_>) -> Option<EndpointIndex> {
        if self.stale {
            self.rebuild(input.loads);
        }
        for tried in input.tried {
            self.set(*tried, |_| Node::NONE);
        }
        let picked = self.least(input.draw);
        for tried in input.tried {
            self.set(*tried, |member| Node::leaf(member, input.loads));
        }
        picked
    }

    fn load_changed(&mut self, endpoint: EndpointIndex, loads: &[Load]) {
        if !self.stale {
            self.set(endpoint, |member| Node::leaf(member, loads));
        }
    }
}

impl Node {
    const NONE: Self = Self {
        in_flight: 0,
        weight: 0,
        tied: 0,
    };

    fn leaf(member: Member, loads: &[Load]) -> Self {
        let Member { index, weight } = member;
        Self {
            in_flight: in_flight(loads, index),
            weight,
            tied: u64::from(weight),
        }
    }

    fn best(self, other: Self) -> Self {
        match self.compare(other) {
            Ordering::Less => self,
            Ordering::Greater => other,
            Ordering::Equal => Self {
                tied: self.tied + other.tied,
                ..self
            },
        }
    }

    /// Compares by load for the weight; no endpoint comes after every endpoint.
    fn compare(self, other: Self) -> Ordering {
        match (self.tied, other.tied) {
            (0, 0) => Ordering::Equal,
            (0, _) => Ordering::Greater,
            (_, 0) => Ordering::Less,
            _ => {
                let own = u64::from(self.in_flight) * u64::from(other.weight);
                own.cmp(&(u64::from(other.in_flight) * u64::from(self.weight)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, candidate};
    use super::*;

    #[test]
    fn the_least_loaded_for_its_weight_is_picked() {
        let mut bench = Bench::new(LeastRequests::default(), &[1, 2, 1]);
        [0, 1, 1, 2, 2]
            .into_iter()
            .for_each(|endpoint| bench.start(endpoint));
        bench.start(0);
        assert_eq!(bench.pick(), Some(1));
        bench.start(1);
        bench.start(1);
        bench.loads[2].finished(bench.now, std::time::Duration::ZERO, false, None);
        bench.picker.load_changed(EndpointIndex(2), &bench.loads);
        assert_eq!(bench.pick(), Some(2));
    }

    #[test]
    fn an_idle_pool_is_used_by_weight() {
        let mut bench = Bench::new(LeastRequests::default(), &[1, 1, 2]);
        let counts = bench.counts(40_000);
        for (count, share) in counts.into_iter().zip([10_000, 10_000, 20_000]) {
            assert!(count.abs_diff(share) < 500, "{count} for {share}");
        }
    }

    #[test]
    fn tried_endpoints_come_back_for_the_next_request() {
        let mut bench = Bench::new(LeastRequests::default(), &[1, 1, 1]);
        bench.start(1);
        bench.start(2);
        bench.start(2);
        assert_eq!(bench.pick_untried(&[0]), Some(1));
        assert_eq!(bench.pick_untried(&[0, 1, 0, 9]), Some(2));
        assert_eq!(bench.pick_untried(&[0, 1, 2]), None);
        assert_eq!(bench.pick(), Some(0));
    }

    #[test]
    fn an_update_reads_the_loads_again() {
        let mut bench = Bench::new(LeastRequests::default(), &[1, 1]);
        bench.picker.update(&[candidate(0, 1)]);
        assert_eq!(bench.pick(), Some(0));
        bench.start(0);
        bench.picker.update(&[candidate(1, 1), candidate(0, 1)]);
        assert_eq!(bench.pick(), Some(1));
        bench.picker.update(&[]);
        assert_eq!(bench.pick(), None);
    }
}
