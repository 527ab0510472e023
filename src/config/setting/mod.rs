//! Definition of a table of `proxy.toml`, in one place, and what is derived from it.
//!
//! A type that can stand in the file implements [`Setting`]: its reading from the TOML tree, its
//! printing and its name. Three macros write that for the ordinary shapes, so that a schema file
//! reads like the reference: `table!` for a table of keys, `choice!` for "exactly one of these
//! keys", `words!` for a closed set of words. Reading never stops at a fault: the [`Reader`] notes
//! it and goes on with the default, so that one run finds all of them.

mod basic;
mod choice;
mod content;
mod define;
pub(crate) mod elsewhere;
mod form;
mod geo;
mod hidden;
mod kubernetes;
mod quantities;
mod read_file;
mod reader;
mod span;
mod table;
mod values;
mod words;

pub use basic::MapKey;
pub use choice::Choice;
pub(crate) use choice::{choice, print_choice, read_choice, take_first};
pub use content::FileContent;
pub(crate) use define::{key_name, table};
pub(crate) use elsewhere::is_elsewhere;
pub use form::Form;
pub use hidden::Hidden;
pub use reader::{Findings, Node, Reader};
pub use span::{Span, Spanned, Spans};
pub(crate) use table::read_table;
pub use table::{Found, Table, TableReader};
pub(crate) use words::{refuse_word, words, words_of};

use std::borrow::Cow;

use serde_json::Value;

/// Something that can be written in `proxy.toml`.
pub trait Setting: Sized {
    /// Says what it is called in the reference and in messages.
    fn shape() -> Shape;

    /// Says how it is written, for the JSON Schema.
    fn form() -> Form {
        Form::Any
    }

    /// Reads it. `None` means that a fault was noted.
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self>;

    /// Prints it as it could be written in the file; `Null` if absent.
    fn print(&self) -> Value;

    /// Tells whether `false` may stand for "not at all" where the setting is optional.
    fn has_switch() -> bool {
        false
    }
}

/// Kind of a setting, for the reference and for messages.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Its name, without an article: `duration`, `list of CIDR blocks`.
    pub kind: Cow<'static, str>,
    /// An example of a valid value. May be empty.
    pub example: Cow<'static, str>,
    /// The keys, for a table.
    pub keys: Option<fn() -> Vec<KeyDoc>>,
    /// True if the table stands under names that the user chooses.
    pub named: bool,
}

impl Shape {
    /// Makes the shape of a single value.
    pub fn value(
        kind: impl Into<Cow<'static, str>>,
        example: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            kind: kind.into(),
            example: example.into(),
            keys: None,
            named: false,
        }
    }

    /// Makes the shape of a table with these keys.
    pub fn table(kind: impl Into<Cow<'static, str>>, keys: fn() -> Vec<KeyDoc>) -> Self {
        Self {
            keys: Some(keys),
            ..Self::value(kind, "")
        }
    }
}

/// One key in the reference.
#[derive(Debug, Clone)]
pub struct KeyDoc {
    /// The key as written.
    pub name: &'static str,
    /// Its effect.
    pub doc: &'static str,
    /// The values it takes.
    pub shape: Shape,
    /// Its TOML form.
    pub form: Form,
    /// Default when the key is not written; `None` if the key is required.
    pub default: Option<Value>,
    /// True for one of several keys of which exactly one is written.
    pub choice: bool,
    /// Number of the choice in its table, for a key of one.
    pub group: Option<u8>,
}
