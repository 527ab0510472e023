//! Reads the text of `proxy.toml` into checked types.
//!
//! The walk of a file: [`load`] reads it, [`setting`] decodes the TOML tree into the
//! tables of [`schema`] (whose single values live in [`value`]), [`check`] looks at the
//! whole, and every fault on the way is collected as a [`Fault`] with its place in the
//! file, so that one run reports all of them. [`diff`] says what a new file would
//! change.
//!
//! The area owns no live state: a [`Config`] is what was written, with defaults filled
//! in and the positions kept, and never changes. Only [`load`] touches the
//! disk, and [`check`] looks whether files that the text names are there.

pub mod check;
mod defaults;
pub mod diagnostic;
pub mod diff;
mod include;
pub mod load;
mod misplaced;
mod origin;
mod policy;
pub mod schema;
pub mod setting;
mod shared;
pub mod value;

pub use crate::file::ContentHash;
pub use check::{PastTime, Rules, Secrets};
pub use diagnostic::{Fault, FaultView, Faults, Severity};
pub use diff::{Diff, Held};
pub use include::IncludedFile;
pub use load::{Loaded, load, parse, parse_draft, parse_with};
pub use origin::{Origin, Sources, WrittenAt};
pub use schema::Config;
pub use setting::{Span, Spanned, Spans};
pub use shared::SharedPart;
