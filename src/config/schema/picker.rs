//! `picker` of a pool: how an endpoint is picked.

use serde_json::{Value, json};

use crate::config::diagnostic::Fault;
use crate::config::setting::{
    Choice as _, Form, Found, Node, Reader, Setting, Shape, choice, read_choice, table,
};
use crate::config::value::{HashKey, PickerSpec};

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
impl Setting for PickerSpec {
    fn shape() -> Shape {
        Shape::value(
            "picker",
            "\"round_robin\" or { maglev = { key = \"client_ip\" } }",
        )
    }

    fn form() -> Form {
        // The words are for editors: a registered picker has any name.
        let words = Self::WORDS.iter().map(|(word, _)| *word);
        Form::Words(words.collect())
            .or(Form::Text)
            .or(Form::Table(HashingPicker::keys))
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match reader.string(node) {
            Found::Value(text) => {
                let known = Self::WORDS.iter().find(|(word, _)| *word == text);
                let custom = || Self::Custom(text.as_ref().into());
                return Some(known.map_or_else(custom, |(_, picker)| picker.clone()));
            }
            Found::Bad => return None,
            Found::Absent => {}
        }
        let written = read_choice(node, &Self::shape(), reader)?;
        let (HashingPicker::Ring(hashing) | HashingPicker::Maglev(hashing)) = &written;
        let (key, load_max) = (hashing.key.clone(), hashing.load_max);
        if load_max.is_nan() || load_max <= 1.0 {
            reader.fault(Fault::error(
                hashing.spans.of("load_max"),
                format!("{}.load_max cannot be {load_max}", reader.place()),
                "above 1: at the mean itself no endpoint could take more",
            ));
            return None;
        }
        Some(match written {
            HashingPicker::Ring(_) => Self::RingHash { key, load_max },
            HashingPicker::Maglev(_) => Self::Maglev { key, load_max },
        })
    }

    fn print(&self) -> Value {
        match self {
            Self::RingHash { key, load_max } => print_hashing("ring_hash", key, *load_max),
            Self::Maglev { key, load_max } => print_hashing("maglev", key, *load_max),
            Self::Custom(name) => (**name).into(),
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

/// Prints a hashing picker as its table is written.
fn print_hashing(word: &str, key: &HashKey, load_max: f64) -> Value {
    json!({ word: { "key": key.print(), "load_max": load_max.print() } })
}
