//! Properties of the route table and of the rules that feed it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod allocation;
mod authority;
mod fields;
mod path;
mod precedence;
mod scan;
mod table;
