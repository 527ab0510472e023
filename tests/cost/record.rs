//! The record, and the comparison with it.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

use super::counting::Spent;

/// Allocations of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) allocations: f64,
    pub(crate) bytes: f64,
}

impl Cost {
    /// Returns the cost of one of `count` requests in the window with the least: additional costs
    /// in the others, such as frames that happened to meet, depend on when the threads ran.
    pub(crate) fn of_least<const N: usize>(windows: [Spent; N], count: usize) -> Self {
        let each = |figure: fn(&Spent) -> u64| {
            let least = windows.iter().map(figure).min().unwrap_or_default();
            let parts = [least, count as u64].map(|part| u32::try_from(part).unwrap());
            f64::from(parts[0]) / f64::from(parts[1])
        };
        Self {
            allocations: each(|spent| spent.allocations),
            bytes: each(|spent| spent.bytes),
        }
    }
}

/// Tolerance over the record: half of the effect of one allocation in every fifth request.
const ALLOCATIONS_MORE: f64 = 0.1;
const BYTES_MORE: f64 = 0.03;

/// Fails if any costs more than is recorded. With `UPDATE` set it records instead.
pub(crate) fn compare(measured: &[(&str, Cost)]) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cost/allocations.toml");
    if env::var_os("UPDATE").is_some() {
        fs::write(file, text(measured)).unwrap();
        return;
    }
    let recorded: toml::Table = fs::read_to_string(file).unwrap().parse().unwrap();
    let figure = |name: &str, key: &str| {
        let found = recorded
            .get(name)
            .and_then(|table| table.get(key)?.as_float());
        found.unwrap_or_else(|| panic!("{name} has no recorded {key}: {HOW}"))
    };
    let mut worse = String::new();
    for (name, cost) in measured {
        let allocations = figure(name, "allocations");
        let bytes = figure(name, "bytes");
        println!("{name}: {cost:?}, recorded {allocations} and {bytes}");
        if cost.allocations > allocations + ALLOCATIONS_MORE {
            let now = cost.allocations;
            writeln!(
                worse,
                "{name}: {now:.2} allocations a request, recorded {allocations}"
            )
            .unwrap();
        }
        if cost.bytes > bytes * (1.0 + BYTES_MORE) {
            let now = cost.bytes;
            writeln!(worse, "{name}: {now:.0} bytes a request, recorded {bytes}").unwrap();
        }
    }
    assert!(
        worse.is_empty(),
        "the path of a request costs more:\n{worse}{HOW}"
    );
}

fn text(measured: &[(&str, Cost)]) -> String {
    let mut text = "# What the worker allocates for a request: calls, and bytes asked for.\n\
        # `UPDATE=1 cargo test --test cost` writes it anew.\n"
        .to_owned();
    for (name, cost) in measured {
        let (allocations, bytes) = (cost.allocations, cost.bytes);
        writeln!(
            text,
            "\n[{name}]\nallocations = {allocations:.1}\nbytes = {bytes:.1}"
        )
        .unwrap();
    }
    text
}

const HOW: &str =
    "if that is wanted, UPDATE=1 cargo test --test cost records it, and the commit says why";
