//! The house itself: what the tree may depend on, which area may import which, and what it
//! promises to embedders.
//!
//! Nothing of the proxy is linked here: these tests read sources and what cargo says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod dependencies;
mod doc_comments;
mod files;
#[path = "../layers/mod.rs"]
mod layers;
mod licence;
mod public_api;
mod sources;

use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
