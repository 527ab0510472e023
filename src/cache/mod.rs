//! Shared cache of answers (RFC 9111): the rules, and the store.
//!
//! The rules are pure: the clock and both heads are arguments. A [`Store`] holds the answers of one
//! route, for all workers, bounded in bytes; the registry keeps it over reloads. [`fill`] is an
//! answer that is still arriving, and read by all who asked for it.
//!
//! The walk uses it (`proxy/cached`). Must never: hold a lock over I/O, or give a user the answer of
//! another.

mod changes;
mod conditions;
mod directives;
mod entry;
mod fill;
mod freshness;
mod key;
mod lead;
mod outcome;
mod range;
mod rules;
mod store;
mod vary;

use std::sync::Arc;

pub(crate) use conditions::{Conditions, Validated};
pub(crate) use directives::RequestDirectives;
pub(crate) use entry::{Arrival, Content, Entry, Meta};
pub(crate) use fill::{Fill, Head, Place, Progress, Read};
pub(crate) use freshness::{Freshness, Usable, serves_on_error, usable};
pub use key::Url;
pub use key::{Key, KeyRules, QueryRule};
pub(crate) use lead::Lead;
pub(crate) use outcome::{Forwarded, Outcome, hit};
pub(crate) use range::{Part, part};
pub use rules::Rules;
pub(crate) use rules::{Asked, Uncacheable, judge};
pub(crate) use store::{Found, Turn};
pub use store::{Store, StoreView};

/// The cache of one route.
#[derive(Debug)]
pub struct RouteCache {
    /// The stored answers; outlive reloads.
    pub store: Arc<Store>,
    /// Bytes that they may take.
    pub max_size: u64,
    /// Rules for storing and using answers.
    pub rules: Rules,
    /// Parts of a request that tell answers apart.
    pub key: KeyRules,
}
