//! Which endpoint, over which connection.

pub mod health;
pub mod picker;
