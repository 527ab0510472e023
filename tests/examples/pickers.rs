//! The table of pickers, from their words in the configuration.

use std::fmt::Write as _;

use sluicegate::config::value::PickerSpec;

use super::generated::compare;
use super::read;

#[test]
fn the_table_of_pickers_is_the_list_of_them() {
    let mut table = "| `picker` | chooses | cost of a pick among n |\n|---|---|---|\n".to_owned();
    for (word, picker) in PickerSpec::WORDS {
        let default = if picker == PickerSpec::WeightedRoundRobin {
            " (default)"
        } else {
            ""
        };
        let (chooses, cost) = facts(&picker);
        let _ = writeln!(table, "| `\"{word}\"`{default} | {chooses} | {cost} |");
    }
    // Those with settings are read as a choice of these names.
    let source = read("src/config/schema/picker.rs");
    let (_, hashing) = source.split_once("pub enum HashingPicker {").unwrap();
    let (hashing, _) = hashing.split_once("\n    }").unwrap();
    let names: Vec<&str> = hashing.split('"').skip(1).step_by(2).collect();
    assert_eq!(names, ["ring_hash", "maglev"]);
    table.push_str(
        "| `{ ring_hash = { key = \"header:x-user\" } }` | by a key of the request, on a ring with bounded load | O(1) expected |\n\
         | `{ maglev = { key = \"client_ip\" } }` | by a key of the request, from a table with bounded load | O(1) |\n\
         | the name of a registered picker | as the embedding program decides | its own |\n",
    );
    compare("docs/load-balancing.md", "pickers", &table);
}

/// Returns the choice and the cost of a picker; those that take a key have rows of their own.
fn facts(picker: &PickerSpec) -> (&'static str, &'static str) {
    match picker {
        PickerSpec::Random => ("at random, by weight", "O(1)"),
        PickerSpec::RoundRobin => ("in turn; ignores weights", "O(1)"),
        PickerSpec::WeightedRoundRobin => (
            "in turn by weight, without bursts",
            "O(log d) for d distinct weights",
        ),
        PickerSpec::LeastRequests => ("fewest requests in flight per weight", "O(log n)"),
        PickerSpec::PowerOfTwo => ("the less busy of two drawn by weight", "O(1)"),
        PickerSpec::PeakEwma => (
            "the better of two by latency and requests in flight",
            "O(1)",
        ),
        PickerSpec::RingHash { .. } | PickerSpec::Maglev { .. } | PickerSpec::Custom(_) => {
            ("by key", "-")
        }
    }
}
