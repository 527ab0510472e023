//! Which endpoint, over which connection.

pub mod discovery;
pub mod endpoint;
pub mod health;
pub mod picker;
