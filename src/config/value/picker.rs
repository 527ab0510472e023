//! Pickers of a pool: how an endpoint is chosen.

use std::sync::Arc;

use super::HashKey;

/// The picker of a pool.
#[derive(Debug, Clone, PartialEq)]
pub enum PickerSpec {
    /// At random, by weight.
    Random,
    /// In turn; ignores weights.
    RoundRobin,
    /// In turn by weight, without bursts.
    WeightedRoundRobin,
    /// The endpoint with the fewest requests in flight per weight.
    LeastRequests,
    /// The less busy of two drawn by weight.
    PowerOfTwo,
    /// The better of two by latency and requests in flight.
    PeakEwma,
    /// By a key of the request, on a ring.
    RingHash {
        /// Key to hash.
        key: HashKey,
        /// Most requests in flight on an endpoint, as a multiple of its share; above 1.
        load_max: f64,
    },
    /// By a key of the request, from a table.
    Maglev {
        /// Key to hash.
        key: HashKey,
        /// Most requests in flight on an endpoint, as a multiple of its share; above 1.
        load_max: f64,
    },
    /// A picker that the embedding program registered under this name.
    Custom(Arc<str>),
}

impl PickerSpec {
    /// The pickers that are chosen by a word.
    pub const WORDS: [(&'static str, Self); 6] = [
        ("random", Self::Random),
        ("round_robin", Self::RoundRobin),
        ("weighted_round_robin", Self::WeightedRoundRobin),
        ("least_requests", Self::LeastRequests),
        ("power_of_two", Self::PowerOfTwo),
        ("peak_ewma", Self::PeakEwma),
    ];

    /// The part of a request that is hashed; `None` for pickers that hash nothing.
    pub fn hash_key(&self) -> Option<&HashKey> {
        match self {
            Self::RingHash { key, .. } | Self::Maglev { key, .. } => Some(key),
            Self::Random
            | Self::RoundRobin
            | Self::WeightedRoundRobin
            | Self::LeastRequests
            | Self::PowerOfTwo
            | Self::PeakEwma
            | Self::Custom(_) => None,
        }
    }
}

/// The highest weight of an endpoint: those of all endpoints of a pool add up in 64 bits.
pub const WEIGHT_MAX: u32 = 1_000_000;
