//! Properties that hold for any input, checked on random ones.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed"
)]

mod allocation;
mod picker;
