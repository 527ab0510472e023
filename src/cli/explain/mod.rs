//! `explain`: the destination of a request, and the reasons against the others.
//!
//! [`crate::state::explain`] computes it; this module runs the query and formats the answer.

pub(super) mod command;
mod text;
