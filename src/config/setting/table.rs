//! Reading of a table of keys; `define` has the macro that writes one.

use serde_json::{Map, Value};
use toml::de::DeTable;

use super::{KeyDoc, Node, Reader, Setting, Shape, Span, Spans};
use crate::config::{
    diagnostic::Fault,
    value::nearest::{alternatives, nearest},
};

/// A table with a fixed set of keys; written by `table!`.
pub trait Table: Sized {
    /// Lists the keys for the reference.
    fn keys() -> Vec<KeyDoc>;

    /// Lists the names of the keys.
    fn names() -> Vec<&'static str>;

    /// Lists keys that a later version will have; they are refused with that remark.
    fn later() -> &'static [&'static str];

    /// Reads the keys. `None` when a required one is missing or wrong.
    fn read_keys(table: &mut TableReader<'_, '_>) -> Option<Self>;

    /// Prints the keys.
    fn print_keys(&self, out: &mut Map<String, Value>);
}

/// Reads `node` as the table `T`; every unknown key is a fault.
pub(crate) fn read_table<T: Table + Setting>(
    node: &Node<'_>,
    reader: &mut Reader<'_>,
) -> Option<T> {
    let Some(entries) = node.table() else {
        reader.wrong_type(node, &with_example(node, reader, T::shape()));
        return None;
    };
    let mut table = TableReader::new(entries, node.anchor, reader);
    let value = T::read_keys(&mut table);
    table.refuse_unknown(&T::names(), T::later());
    value
}

/// The shape of a table, with an example of how a single value is written in it: `retry = 3`.
fn with_example(node: &Node<'_>, reader: &Reader<'_>, shape: Shape) -> Shape {
    let number = node.integer().filter(|_| shape.example.is_empty());
    let keys = shape.keys.map(|keys| keys()).unwrap_or_default();
    let key = keys.iter().find(|key| key.shape.kind == "integer");
    let place = reader.place();
    match (number, key, place.rsplit('.').next()) {
        (Some(number), Some(key), Some(name)) => Shape {
            example: format!("{name} = {{ {} = {number} }}", key.name).into(),
            ..shape
        },
        _ => shape,
    }
}

/// Value found under a key.
#[derive(Debug)]
pub enum Found<T> {
    /// Nothing.
    Absent,
    /// Something wrong; the fault is noted.
    Bad,
    /// This.
    Value(T),
}

impl<T> Found<T> {
    /// Takes the value, or the default.
    pub fn or_default(self, default: impl FnOnce() -> T) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Bad => Some(default()),
        }
    }

    /// Takes the value; notes the key as missing if there is none.
    pub fn or_missing(self, key: &str, table: &mut TableReader<'_, '_>) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Bad => None,
            Self::Absent => {
                let message = format!("{} has no \"{key}\"", table.reader.table_place());
                let hint = format!("the key \"{key}\" is required here");
                table
                    .reader
                    .missing(Fault::error(table.anchor, message, hint));
                None
            }
        }
    }

    /// Changes the value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Found<U> {
        match self {
            Self::Absent => Found::Absent,
            Self::Bad => Found::Bad,
            Self::Value(value) => Found::Value(change(value)),
        }
    }
}

/// The reading of one table.
#[derive(Debug)]
pub struct TableReader<'a, 'r> {
    entries: &'a DeTable<'a>,
    /// The reading it is part of.
    pub reader: &'a mut Reader<'r>,
    /// Position of the table itself.
    pub anchor: Span,
    spans: Spans,
}

impl<'a, 'r> TableReader<'a, 'r> {
    /// Starts with no key read.
    pub fn new(entries: &'a DeTable<'a>, anchor: Span, reader: &'a mut Reader<'r>) -> Self {
        Self {
            entries,
            reader,
            anchor,
            spans: Spans::at(anchor),
        }
    }

    /// Reads the value of `key`.
    pub fn key<T: Setting>(&mut self, key: &'static str) -> Found<T> {
        let Some((name, value)) = self.entries.get_key_value(key) else {
            return Found::Absent;
        };
        let node = Node::entry(name.span().into(), value);
        self.spans.set(key, node.span);
        let read = self.reader.within(key, |reader| {
            let read = T::read(&node, reader);
            if read.is_none() {
                reader.mark_broken();
            }
            read
        });
        read.map_or(Found::Bad, Found::Value)
    }

    /// Tells where `key` is written, if it is.
    pub fn key_span(&self, key: &str) -> Option<Span> {
        let (name, _) = self.entries.get_key_value(key)?;
        Some(name.span().into())
    }

    /// Gives the places of what was read.
    pub fn spans(&mut self) -> Spans {
        std::mem::take(&mut self.spans)
    }

    /// Notes each key that is not in `names`.
    pub fn refuse_unknown(&mut self, names: &[&'static str], later: &[&str]) {
        for key in self.entries.keys() {
            let written: &str = key.get_ref();
            if names.contains(&written) {
                continue;
            }
            let span = key.span().into();
            let place = self.reader.table_place();
            let known = names.iter().chain(later).copied();
            self.reader.fault(if later.contains(&written) {
                Fault::error(
                    span,
                    format!("\"{written}\" in {place} is not supported yet"),
                    "planned for a later version; remove it for now",
                )
            } else if let Some(meant) = nearest(written, known).filter(|it| later.contains(it)) {
                Fault::error(
                    span,
                    format!("unknown key \"{written}\" in {place}"),
                    format!(
                        "it is \"{meant}\", which a later version will have; leave it out for now"
                    ),
                )
            } else {
                let elsewhere = match nearest(written, names.iter().copied()) {
                    None => self.reader.homes_of(written),
                    Some(_) => Vec::new(),
                };
                let hint = match &elsewhere[..] {
                    [] => alternatives("allowed", written, names),
                    homes => format!("it belongs in {}", homes.join(" or ")),
                };
                Fault::error(span, format!("unknown key \"{written}\" in {place}"), hint)
            });
        }
    }
}
