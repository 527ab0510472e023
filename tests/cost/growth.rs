//! Allocations of the admin API for its answers, by the size of the configuration.
//!
//! Whatever is done once for each pool and looks at all pools makes itself something to look
//! at, so that it shows here without a clock.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::PoisonError;

use super::counting::{self, Spent};
use super::proxy::{Proxy, Slots};

/// Slot of threads that nobody marked: one of them makes the answers.
const SLOT: usize = 0;
/// Number of windows; the least one counts.
const WINDOWS: usize = 3;

#[test]
fn ten_times_the_pools_allocate_ten_times_as_much_to_show() {
    let _alone = counting::ALONE
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let [few, many] = [30, 300].map(|pools| {
        let proxy = start(pools, 34);
        let windows = [(); WINDOWS].map(|()| spent_on(&proxy, "/pools", pools * 34));
        windows.into_iter().min_by_key(|spent| spent.bytes).unwrap()
    });
    let growth = |few: u64, many: u64| many as f64 / few as f64;
    let allocations = growth(few.allocations, many.allocations);
    let bytes = growth(few.bytes, many.bytes);
    println!("/pools with ten times the pools: {allocations:.2} allocations, {bytes:.2} bytes");
    assert!(allocations < 11.0, "{few:?} for 30, {many:?} for 300");
    // Those of the buffers that double as they grow come in steps.
    assert!(bytes < 20.0, "{few:?} for 30, {many:?} for 300");
}

/// A proxy with so many pools of so many endpoints that nobody asks.
fn start(pools: usize, endpoints: usize) -> Proxy {
    let mut tables = String::new();
    for pool in 0..pools {
        write!(tables, "[pools.p{pool}]\nendpoints = [").unwrap();
        for endpoint in 0..endpoints {
            let (high, low) = (pool / 250, pool % 250 + 1);
            write!(tables, "\"127.{}.{high}.{low}:9\", ", endpoint + 1).unwrap();
        }
        tables.push_str("]\n");
    }
    let slots = Slots {
        admin: SLOT,
        ..Slots::default()
    };
    Proxy::start(slots, &tables)
}

/// Returns the cost of a query whose answer names at least so many endpoints.
fn spent_on(proxy: &Proxy, path: &str, endpoints: usize) -> Spent {
    let before = counting::total(SLOT);
    let mut stream = UnixStream::connect(&proxy.admin).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let spent = counting::total(SLOT).since(before);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:.200}");
    let named = answer.matches("\"address\"").count();
    assert!(named >= endpoints, "{named} of {endpoints}");
    spent
}
