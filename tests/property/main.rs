//! Codecs, tables and pickers without a socket: a table per rule, properties that hold for any
//! input, the fuzz targets over their corpus, and other implementations as judges.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod allocation;
mod fuzz;
mod http1;
mod http2;
mod http3;
mod picker;
mod route;
