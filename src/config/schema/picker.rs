//! `picker` of a pool: how an endpoint is picked.

use serde_json::Value;

use crate::config::setting::{
    Choice as _, Form, Found, Node, Reader, Setting, Shape, choice, print_choice, read_choice,
    table,
};
use crate::config::value::HashKey;

/// The picker of a pool.
#[derive(Debug, Clone, PartialEq)]
pub enum Picker {
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
    RingHash(Hashing),
    /// By a key of the request, from a table.
    Maglev(Hashing),
    /// A picker that the embedding program registered under this name.
    Custom(String),
}

impl Picker {
    /// The pickers that are chosen by a word.
    pub const WORDS: [(&'static str, Self); 6] = [
        ("random", Self::Random),
        ("round_robin", Self::RoundRobin),
        ("weighted_round_robin", Self::WeightedRoundRobin),
        ("least_requests", Self::LeastRequests),
        ("power_of_two", Self::PowerOfTwo),
        ("peak_ewma", Self::PeakEwma),
    ];
}

choice! {
    /// Pickers that need settings.
    pub enum HashingPicker {
        /// On a ring.
        "ring_hash" => Ring(Hashing),
        /// From a table.
        "maglev" => Maglev(Hashing),
    }
}

table! {
    /// Picking by the hash of a key.
    pub struct Hashing {
        /// Key to hash: `"client_ip"`, `"path"`, `"header:NAME"`, `"cookie:NAME"` or `"query:NAME"`.
        pub key: HashKey,
        /// Load of an endpoint, as a multiple of the mean, from which on the next one is taken; above 1.
        pub load_max: f64 = 1.25,
    }
}

/// A word that is not built in may be a registered picker; the checks on the whole configuration
/// test that.
impl Setting for Picker {
    fn shape() -> Shape {
        Shape::value(
            "picker",
            "\"round_robin\" or { maglev = { key = \"client_ip\" } }",
        )
    }

    fn form() -> Form {
        Form::Text.or(Form::Table(HashingPicker::keys))
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match reader.string(node) {
            Found::Value(text) => {
                let known = Self::WORDS.iter().find(|(word, _)| *word == text);
                let custom = || Self::Custom(text.into_owned());
                return Some(known.map_or_else(custom, |(_, picker)| picker.clone()));
            }
            Found::Bad => return None,
            Found::Absent => {}
        }
        Some(match read_choice(node, &Self::shape(), reader)? {
            HashingPicker::Ring(hashing) => Self::RingHash(hashing),
            HashingPicker::Maglev(hashing) => Self::Maglev(hashing),
        })
    }

    fn print(&self) -> Value {
        match self {
            Self::RingHash(hashing) => print_choice(&HashingPicker::Ring(hashing.clone())),
            Self::Maglev(hashing) => print_choice(&HashingPicker::Maglev(hashing.clone())),
            Self::Custom(name) => name.as_str().into(),
            Self::Random
            | Self::RoundRobin
            | Self::WeightedRoundRobin
            | Self::LeastRequests
            | Self::PowerOfTwo
            | Self::PeakEwma => {
                let word = Self::WORDS.iter().find(|(_, picker)| picker == self);
                word.map_or(Value::Null, |(word, _)| (*word).into())
            }
        }
    }
}
