//! What is known of one exchange: a request with its response.

mod failure;

pub use failure::{BadRequest, CLIENT_GONE, Failure, Side};
