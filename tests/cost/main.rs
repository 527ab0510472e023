//! Allocations of the worker per request, compared with the record.
//!
//! Counts, not times: they are the same on a busy machine and on a quiet one. Five requests
//! that stand for the paths most traffic takes go through the real proxy in this process;
//! only what the worker's thread allocates is counted. Instructions of the same five are
//! counted by `benches/compare`; `bash tests/cost/run` does both, and with `UPDATE=1` it
//! records both anew. `growth` compares what large configurations cost with small ones.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed, and says what it has counted"
)]

mod client;
mod counting;
mod endpoint;
mod growth;
mod proxy;
mod record;
mod scenario;

use std::sync::PoisonError;

use record::Cost;
use scenario::SCENARIOS;

/// Requests before counting begins: connections are made, buffers have their size.
const WARM_UP: usize = 300;
/// Number of windows; the least one counts. Rare work of a worker, such as growing a table, is not
/// in all of them.
const WINDOWS: usize = 15;
/// Requests that are counted each time.
const WINDOW: usize = 100;

#[test]
fn a_request_allocates_no_more_than_is_recorded() {
    let _alone = counting::ALONE
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let measured = SCENARIOS.map(|scenario| {
        let mut client = scenario.start();
        client.exchange(WARM_UP);
        let windows = [(); WINDOWS].map(|()| {
            let before = counting::total(scenario.slot);
            client.exchange(WINDOW);
            counting::total(scenario.slot).since(before)
        });
        (scenario.name, Cost::of_least(windows, WINDOW))
    });
    record::compare(&measured);
}

#[test]
fn only_marked_threads_are_counted() {
    let slot = counting::SLOTS - 1;
    let spent = |work: fn()| {
        let before = counting::total(slot);
        work();
        counting::total(slot).since(before)
    };
    let allocate = || drop(std::hint::black_box(Vec::<u8>::with_capacity(100)));
    assert_eq!(spent(allocate).allocations, 0);
    counting::mark(slot);
    let counted = spent(allocate);
    assert_eq!((counted.allocations, counted.bytes), (1, 100));
}
