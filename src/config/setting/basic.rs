//! Settings of the plain types: numbers, booleans, strings, lists, maps, options.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Form, Node, Reader, Setting, Shape, Span, Spanned};
use crate::config::diagnostic::Fault;
use crate::config::value::Mismatch;
use crate::config::value::name::Name;

impl Setting for bool {
    fn shape() -> Shape {
        Shape::value("boolean", "true or false")
    }

    fn form() -> Form {
        Form::Boolean
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let value = node.boolean();
        if value.is_none() {
            reader.wrong_type(node, &Self::shape());
        }
        value
    }

    fn print(&self) -> Value {
        (*self).into()
    }
}

impl Setting for String {
    fn shape() -> Shape {
        Shape::value("string", "\"text\"")
    }

    fn form() -> Form {
        Form::Text
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        reader.parse_text(node, &Self::shape(), |text| Ok(text.to_owned()))
    }

    fn print(&self) -> Value {
        self.as_str().into()
    }
}

macro_rules! whole_numbers {
    ($($ty:ty),*) => { $(
        impl Setting for $ty {
            fn shape() -> Shape {
                Shape::value("integer", "10")
            }

            fn form() -> Form {
                Form::Integer
            }

            fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
                if node.type_name() != "an integer" {
                    reader.wrong_type(node, &<$ty as Setting>::shape());
                    return None;
                }
                let written = node.integer();
                let number = written.and_then(|number| Self::try_from(number).ok());
                reader.accept(node, number.ok_or_else(|| {
                    let why = match written {
                        Some(number) if number < 0 => "the number is too small",
                        _ => "the number is too large",
                    };
                    // TOML has no larger numbers than this.
                    let max = i128::from(Self::MAX).min(i128::from(i64::MAX));
                    Mismatch::new(why, format!("from {} to {max}", Self::MIN))
                }))
            }

            fn print(&self) -> Value {
                (*self).into()
            }
        }
    )* };
}

whole_numbers!(u16, u32, u64, i32);

impl Setting for f64 {
    fn shape() -> Shape {
        Shape::value("number", "1.25")
    }

    fn form() -> Form {
        Form::Number
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let number = node.number().filter(|number| number.is_finite());
        if number.is_none() {
            reader.wrong_type(node, &Self::shape());
        }
        number
    }

    fn print(&self) -> Value {
        (*self).into()
    }
}

impl<T: Setting> Setting for Spanned<T> {
    fn shape() -> Shape {
        T::shape()
    }

    fn form() -> Form {
        T::form()
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        T::read(node, reader).map(|value| Self::new(value, node.span))
    }

    fn print(&self) -> Value {
        self.value.print()
    }
}

/// Absent unless written; a table may be switched off with `false`.
impl<T: Setting> Setting for Option<T> {
    fn shape() -> Shape {
        T::shape()
    }

    fn form() -> Form {
        if T::has_switch() {
            T::form().or(Form::Off)
        } else {
            T::form()
        }
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if T::has_switch() && node.boolean() == Some(false) {
            return Some(None);
        }
        T::read(node, reader).map(Some)
    }

    fn print(&self) -> Value {
        self.as_ref().map_or(Value::Null, Setting::print)
    }
}

/// A large table in memory of its own.
impl<T: Setting> Setting for Box<T> {
    fn shape() -> Shape {
        T::shape()
    }

    fn form() -> Form {
        T::form()
    }

    fn has_switch() -> bool {
        T::has_switch()
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        T::read(node, reader).map(Self::new)
    }

    fn print(&self) -> Value {
        (**self).print()
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn shape() -> Shape {
        let item = T::shape();
        let example = if item.example.is_empty() {
            "[…]".to_owned()
        } else {
            format!("[{}]", item.example)
        };
        Shape {
            kind: format!("list of {}", plural(&item.kind)).into(),
            example: example.into(),
            ..item
        }
    }

    fn form() -> Form {
        Form::List(Box::new(T::form()))
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let Some(items) = node.list() else {
            reader.wrong_type(node, &Self::shape());
            return None;
        };
        // Good items are kept beside bad ones, so that the checks on the whole see them.
        let mut read = Self::new();
        for item in items {
            // As it prints: what could not be read is not there.
            match reader.within_item(read.len(), |reader| T::read(&item, reader)) {
                Some(item) => read.push(item),
                None => reader.mark_broken(),
            }
        }
        Some(read)
    }

    fn print(&self) -> Value {
        self.iter().map(Setting::print).collect()
    }
}

/// Types that can be a key chosen by the user.
pub trait MapKey: Sized {
    /// Name of the kind of key in the reference.
    const KIND: &'static str;
    /// True if the key names a table of its own.
    const NAMED: bool = false;

    /// Parses it.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the key and what is allowed.
    fn parse_key(text: &str) -> Result<Self, Mismatch>;

    /// Gives it back as written.
    fn key_text(&self) -> &str;

    /// Tells whether the value under it must not be shown.
    fn has_secret(&self) -> bool {
        false
    }
}

impl MapKey for Name {
    const KIND: &'static str = "NAME";
    const NAMED: bool = true;

    fn parse_key(text: &str) -> Result<Self, Mismatch> {
        Self::parse(text)
    }

    fn key_text(&self) -> &str {
        self
    }
}

impl MapKey for String {
    const KIND: &'static str = "name";

    fn parse_key(text: &str) -> Result<Self, Mismatch> {
        Ok(text.to_owned())
    }

    fn key_text(&self) -> &str {
        self
    }
}

impl MapKey for http::HeaderName {
    const KIND: &'static str = "header";

    fn parse_key(text: &str) -> Result<Self, Mismatch> {
        crate::config::value::header::name(text)
    }

    fn key_text(&self) -> &str {
        self.as_str()
    }

    fn has_secret(&self) -> bool {
        crate::semantics::secret_names::looks_secret(self.as_str().as_bytes())
    }
}

impl<K: MapKey + Ord, T: Setting> Setting for BTreeMap<K, T> {
    fn shape() -> Shape {
        map_shape::<K, T>()
    }

    fn form() -> Form {
        Form::Map(Box::new(T::form()))
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        Some(read_pairs(node, reader)?.into_iter().collect())
    }

    fn print(&self) -> Value {
        print_pairs(self.iter())
    }
}

/// A map whose keys have no order of their own; kept in the order of their text.
impl<K: MapKey, T: Setting> Setting for Vec<(K, T)> {
    fn shape() -> Shape {
        map_shape::<K, T>()
    }

    fn form() -> Form {
        Form::Map(Box::new(T::form()))
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let pairs: Self = read_pairs(node, reader)?;
        for (index, (key, _)) in pairs.iter().enumerate() {
            let text = key.key_text();
            if pairs[..index]
                .iter()
                .any(|(other, _)| other.key_text() == text)
            {
                let message = format!("{} has \"{text}\" twice", reader.place());
                let hint = "case does not tell these names apart";
                reader.fault(Fault::error(node.anchor, message, hint));
            }
        }
        Some(pairs)
    }

    fn print(&self) -> Value {
        print_pairs(self.iter().map(|(key, value)| (key, value)))
    }
}

fn map_shape<K: MapKey, T: Setting>() -> Shape {
    let item = T::shape();
    Shape {
        kind: format!("table of {} = {}", K::KIND, item.kind).into(),
        example: "{ name = value }".into(),
        named: K::NAMED,
        ..item
    }
}

fn read_pairs<K: MapKey, T: Setting>(
    node: &Node<'_>,
    reader: &mut Reader<'_>,
) -> Option<Vec<(K, T)>> {
    let Some(entries) = node.table() else {
        reader.wrong_type(node, &map_shape::<K, T>());
        return None;
    };
    let mut pairs = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let span: Span = key.span().into();
        let node = Node::entry(span, value);
        let pair = reader.within(key.get_ref(), |reader| {
            let name = match K::parse_key(key.get_ref()) {
                Ok(name) => Some(name),
                Err(Mismatch { message, expected }) => {
                    reader.fault(Fault::error(span, message, expected));
                    None
                }
            };
            if let Some(text) = node.text()
                && name.as_ref().is_some_and(K::has_secret)
            {
                reader.hide(node.span);
                reader.conceal(text);
            }
            let pair = name.zip(T::read(&node, reader));
            if pair.is_none() {
                reader.mark_broken();
            }
            pair
        });
        pairs.extend(pair);
    }
    Some(pairs)
}

fn print_pairs<'a, K: MapKey + 'a, T: Setting + 'a>(
    pairs: impl Iterator<Item = (&'a K, &'a T)>,
) -> Value {
    let pairs = pairs.map(|(key, value)| (key.key_text().to_owned(), value.print()));
    Value::Object(pairs.collect::<Map<_, _>>())
}

fn plural(kind: &str) -> String {
    if let Some((first, second)) = kind.split_once(" or ") {
        return format!("{} or {}", plural(first), plural(second));
    }
    match kind.split_once(" of ") {
        Some((first, rest)) => format!("{} of {rest}", plural(first)),
        None if kind.starts_with('"') => kind.to_owned(),
        None if kind.ends_with('s') => format!("{kind}es"),
        None => format!("{kind}s"),
    }
}
