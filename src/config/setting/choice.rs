//! Settings of which exactly one must be written, and the macro that defines them.

use serde_json::{Map, Value};

use super::{Found, KeyDoc, Node, Reader, Setting, Shape, TableReader};
use crate::config::{diagnostic::Fault, value::nearest::list};

/// An enum whose variants are keys of a table; written by `choice!`.
pub trait Choice: Sized {
    /// Lists the keys for the reference.
    fn keys() -> Vec<KeyDoc>;

    /// Lists the names of the keys.
    fn names() -> Vec<&'static str>;

    /// Reads those keys that are written; more than one is a fault.
    fn read(table: &mut TableReader<'_, '_>) -> Found<Self>;

    /// Prints the key that was chosen.
    fn print_into(&self, out: &mut Map<String, Value>);

    /// Reads the choice where one must be made.
    fn read_required(table: &mut TableReader<'_, '_>) -> Option<Self> {
        match Self::read(table) {
            Found::Value(value) => Some(value),
            Found::Bad => None,
            Found::Absent => {
                let names = Self::names();
                let place = table.reader.table_place();
                let message = format!("{place} needs one of {}", list(&names));
                let fault = Fault::error(table.anchor, message, "add one of them");
                table.reader.missing(fault);
                None
            }
        }
    }

    /// Notes a fault when more than one of the keys is written.
    fn refuse_several(table: &mut TableReader<'_, '_>) {
        let names = Self::names();
        let mut written: Vec<_> = names
            .iter()
            .filter_map(|name| table.key_span(name).map(|span| (span, *name)))
            .collect();
        written.sort_by_key(|(span, _)| span.start);
        let [(first_span, first), others @ ..] = written.as_slice() else {
            return;
        };
        let place = table.reader.table_place();
        for (span, name) in others {
            let message = format!("{place} has both \"{first}\" and \"{name}\"");
            let hint = format!("only one of {} may be given", list(&names));
            let fault = Fault::error(*span, message, hint);
            let fault = fault.with_related(*first_span, "the first one");
            table.reader.fault(fault);
        }
    }
}

/// A choice that may be left out altogether.
impl<C: Choice> Choice for Option<C> {
    fn keys() -> Vec<KeyDoc> {
        let mut keys = C::keys();
        for key in &mut keys {
            key.default = Some(Value::Null);
        }
        keys
    }

    fn names() -> Vec<&'static str> {
        C::names()
    }

    fn read(table: &mut TableReader<'_, '_>) -> Found<Self> {
        match C::read(table) {
            Found::Absent => Found::Value(None),
            Found::Bad => Found::Bad,
            Found::Value(value) => Found::Value(Some(value)),
        }
    }

    fn print_into(&self, out: &mut Map<String, Value>) {
        if let Some(choice) = self {
            choice.print_into(out);
        }
    }
}

/// Reads `node` as a table that holds nothing but the choice.
pub(crate) fn read_choice<C: Choice>(
    node: &Node<'_>,
    shape: &Shape,
    reader: &mut Reader<'_>,
) -> Option<C> {
    let Some(entries) = node.table() else {
        reader.wrong_type(node, shape);
        return None;
    };
    let mut table = TableReader::new(entries, node.anchor, reader);
    let value = C::read_required(&mut table);
    table.refuse_unknown(&C::names(), &[]);
    value
}

/// Prints a choice as a table of its own.
pub(crate) fn print_choice<C: Choice>(choice: &C) -> Value {
    let mut out = Map::new();
    choice.print_into(&mut out);
    Value::Object(out)
}

/// Helper of `choice!`: takes the first of several that are written.
pub(crate) fn take_first<C, T: Setting>(
    found: &mut Found<C>,
    key: &'static str,
    table: &mut TableReader<'_, '_>,
    wrap: impl FnOnce(T) -> C,
) {
    let read = table.key::<T>(key).map(wrap);
    if matches!(found, Found::Absent) {
        *found = read;
    }
}

/// Defines an enum whose variants are keys, of which one is written.
macro_rules! choice {
    (
        $(#[doc = $doc:literal])+
        $vis:vis enum $name:ident {
            $( $(#[doc = $key_doc:literal])+ $key:literal => $variant:ident($ty:ty) ),* $(,)?
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq)]
        $vis enum $name {
            $( $(#[doc = $key_doc])+ $variant($ty), )*
        }

        impl $crate::config::setting::Choice for $name {
            fn keys() -> Vec<$crate::config::setting::KeyDoc> {
                vec![ $( $crate::config::setting::KeyDoc {
                    name: $key,
                    doc: concat!($($key_doc, "\n"),+),
                    shape: <$ty as $crate::config::setting::Setting>::shape(),
                    form: <$ty as $crate::config::setting::Setting>::form(),
                    default: None,
                    choice: true,
                    group: Some(0),
                }, )* ]
            }

            fn names() -> Vec<&'static str> {
                vec![ $( $key, )* ]
            }

            fn read(
                table: &mut $crate::config::setting::TableReader<'_, '_>,
            ) -> $crate::config::setting::Found<Self> {
                Self::refuse_several(table);
                let mut found = $crate::config::setting::Found::Absent;
                $( $crate::config::setting::take_first::<Self, $ty>(
                    &mut found, $key, table, Self::$variant,
                ); )*
                found
            }

            fn print_into(&self, out: &mut serde_json::Map<String, serde_json::Value>) {
                match self {
                    $( Self::$variant(value) => {
                        let printed = $crate::config::setting::Setting::print(value);
                        out.insert($key.to_owned(), printed);
                    } )*
                }
            }
        }
    };
}

pub(crate) use choice;
