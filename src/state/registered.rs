//! Parts that an embedding program adds to the proxy.

use crate::{filter::Filters, upstream::picker};

/// Pickers and filters of an embedding program.
#[derive(Clone, Debug, Default)]
pub struct Registered {
    /// Pickers that a pool may name.
    pub pickers: picker::Registered,
    /// Filters that routes go through.
    pub filters: Filters,
}
