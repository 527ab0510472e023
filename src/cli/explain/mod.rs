//! `explain`: where a request would go, and why not elsewhere.
//!
//! [`crate::state::explain`] finds it out; here it is asked for, and told to a person.

pub(super) mod command;
mod text;
