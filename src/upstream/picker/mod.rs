//! Pickers: the choice of an endpoint of a pool for the next attempt.
//!
//! A picker stands between the pool and the attempt. Health, ejection, draining, priority and zone
//! are settled before it: [`Picker::update`] passes only endpoints that may take traffic, and
//! [`Picker::pick`] chooses among them, leaving out those that this exchange has tried.
//!
//! Each worker owns its pickers, so they keep state without locks. A picker is pure: time and
//! randomness come with [`PickInput`]. It never allocates in `pick`, never blocks, does no I/O.
//!
//! | picker | chooses | cost of a pick among n |
//! |---|---|---|
//! | [`Random`] | by weight, independently | O(1) |
//! | [`RoundRobin`] | in turn, weights ignored | O(1) |
//! | [`WeightedRoundRobin`] | in turn by weight, without bursts | O(log d), d distinct weights |
//! | [`LeastRequests`] | fewest in flight per weight | O(log n) |
//! | [`PowerOfTwo`] | the less busy of two drawn by weight | O(1) |
//! | [`PeakEwma`] | the cheaper of two by latency and requests in flight | O(1) |
//! | [`RingHash`] | by the key of the request, on a ring | O(1) expected |
//! | [`Maglev`] | by the key of the request, from a table | O(1) |
//!
//! Requests in flight are counted per worker ([`Load`]), so that no pick reads memory that another
//! worker writes. With requests spread evenly over workers the choice is the same.

use tokio::time::Instant;

mod any;
mod bounded_load;
mod changes;
mod draw;
mod least_requests;
mod load;
mod maglev;
mod peak_ewma;
mod places;
mod power_of_two;
mod random;
mod ring_hash;
mod round_robin;
mod table;
mod turns;
mod weighted_draw;
mod weighted_round_robin;

#[doc(hidden)]
pub use any::{AnyPicker, PickerError, Registered};
pub(in crate::upstream) use changes::LoadChanges;
#[doc(hidden)]
pub use draw::mix;
pub use least_requests::LeastRequests;
pub use load::Load;
pub use maglev::Maglev;
pub use peak_ewma::PeakEwma;
pub use power_of_two::PowerOfTwo;
pub use random::Random;
pub use ring_hash::RingHash;
pub use round_robin::RoundRobin;
pub(in crate::upstream) use table::Table;
#[doc(hidden)]
pub use table::TableKind;
pub use weighted_round_robin::WeightedRoundRobin;

/// A balancing algorithm with its state on one worker.
pub trait Picker: Send {
    /// Replaces the endpoints that may be picked: all of them healthy, not ejected, not draining,
    /// with a weight above zero. Keeps its position if possible, so that frequent updates neither
    /// favour the first endpoint nor cause bursts. May cost O(n log n) or a table build.
    fn update(&mut self, candidates: &[Candidate]);

    /// Chooses an endpoint; `None` only if every candidate is in `tried`, or there are none.
    fn pick(&mut self, input: &PickInput<'_>) -> Option<EndpointIndex>;

    /// Reports that the requests in flight of an endpoint changed on this worker, for pickers that
    /// keep an index over loads. Called before a pick, once for each endpoint that changed since
    /// the last one: also if the request belongs to another view of the pool, or began before a
    /// reload.
    fn load_changed(&mut self, endpoint: EndpointIndex, loads: &[Load]) {
        let _ = (endpoint, loads);
    }
}

/// Position of an endpoint in the endpoint set of its pool.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EndpointIndex(pub u32);

impl EndpointIndex {
    fn as_usize(self) -> usize {
        self.0 as usize
    }
}

/// An endpoint that may be picked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Index of the endpoint in the endpoint set.
    pub index: EndpointIndex,
    /// Its share relative to the others; zero counts as one.
    pub weight: u32,
    /// Stable hash of its address: survives reloads and reordering, equal in every process.
    pub key: u64,
}

/// Input of a pick besides the state of the picker.
#[derive(Clone, Copy, Debug)]
pub struct PickInput<'a> {
    /// The time of the pick.
    pub now: Instant,
    /// A uniform random number.
    pub draw: u64,
    /// Hash of the part of the request that hashing pickers use.
    pub key: Option<u64>,
    /// Endpoints that this exchange has tried.
    pub tried: &'a [EndpointIndex],
    /// Loads of all endpoints of the set, by [`EndpointIndex`].
    pub loads: &'a [Load],
}

impl PickInput<'_> {
    fn is_tried(&self, endpoint: EndpointIndex) -> bool {
        self.tried.contains(&endpoint)
    }
}

fn in_flight(loads: &[Load], endpoint: EndpointIndex) -> u32 {
    loads.get(endpoint.as_usize()).map_or(0, Load::in_flight)
}

#[cfg(test)]
mod testing;
