//! Shared cache of answers (RFC 9111): the rules, and the store.
//!
//! The rules are pure: the clock and both heads are arguments. A [`Store`] holds the answers of one
//! route, for all workers, bounded in bytes; the registry keeps it over reloads. [`disk`] keeps them
//! over the life of a process. [`fill`] is an answer that is still arriving, and read by all who
//! asked for it.
//!
//! The walk uses it (`proxy/cached`). Must never: hold a lock over I/O, or give a user the answer of
//! another.

mod changes;
mod conditions;
mod directives;
mod disk;
mod entry;
mod fill;
mod freshness;
mod key;
mod lead;
mod outcome;
mod purge;
mod range;
mod route_cache;
mod rules;
mod store;
mod vary;

pub(crate) use conditions::{Conditions, Validated};
pub(crate) use directives::RequestDirectives;
pub use disk::Disk;
pub(crate) use disk::{DISK_WAIT, DiskView, Standing};
pub(crate) use entry::{Arrival, Content, Entry, Meta};
pub(crate) use fill::{Fill, Head, Place, Progress, Read};
pub(crate) use freshness::{Freshness, Usable, serves_on_error, usable};
pub use key::Url;
pub use key::{Key, KeyRules, QueryRule};
pub(crate) use lead::Lead;
pub(crate) use outcome::{Forwarded, Outcome, hit};
pub(crate) use purge::Purge;
pub(crate) use range::{Part, part};
pub use route_cache::RouteCache;
pub use rules::Rules;
pub(crate) use rules::{Asked, Uncacheable, judge};
pub(crate) use store::{Found, Turn};
pub use store::{Store, StoreView};
