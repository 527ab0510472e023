//! Routing: from the facts of a request head to the route that takes it.
//!
//! Third in the walk, after the rules of the standard and before the filters of the
//! route found. Pure: a [`RouteTable`] is built once per snapshot and never changes;
//! finding a route does no I/O, takes no lock and allocates nothing.
//!
//! Precedence is that of the Kubernetes Gateway API (`HTTPRoute`), independent of the order in the
//! file; see [`RouteSpec`]. The index ([`RouteTable::find`]) and the explanation
//! ([`RouteTable::explain`]) use the same matchers.

mod explain;
mod host_index;
pub mod matcher;
mod path_index;
mod rank;
mod spec;
mod table;
mod tree;

pub use explain::{Explanation, RouteOutcome, RouteVerdict};
pub use matcher::Mismatch;
pub use spec::{PathMatch, PathPatternError, RouteSpec};
pub use table::{Facts, RouteIndex, RouteTable};
