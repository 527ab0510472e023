//! The admin API: what operators and tools read, and the commands they give.
//!
//! It knows the proxy only through [`Operations`].

mod operations;

pub use operations::{
    BoxFuture, EndpointAction, ExplainRequest, OperationError, Operations, Readiness,
};
