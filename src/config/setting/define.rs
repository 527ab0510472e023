//! The macro that defines a table of keys.

/// Defines a table: the struct, its reading, printing and reference.
///
/// A key without `= default` is required. `: Default` after the name asks for an `impl
/// Default` made of the defaults. After the struct may follow `choices { … }` (fields
/// that are filled by exactly one of several keys), `later { … }` (keys of later
/// versions) and `short { "kind", example => function }` (another way to write it).
macro_rules! table {
    (
        $(#[doc = $doc:literal])+
        pub struct $name:ident: Default {
            $(
                $(#[doc = $key_doc:literal])+
                pub $field:ident $(as $key:literal)? : $ty:ty = $default:expr
            ),* $(,)?
        }
        $($rest:tt)*
    ) => {
        table! {
            $(#[doc = $doc])+
            pub struct $name {
                $( $(#[doc = $key_doc])+ pub $field $(as $key)? : $ty = $default, )*
            }
            $($rest)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $( $field: $default, )*
                    spans: $crate::config::setting::Spans::default(),
                }
            }
        }
    };
    (
        $(#[doc = $doc:literal])+
        pub struct $name:ident {
            $(
                $(#[doc = $key_doc:literal])+
                pub $field:ident $(as $key:literal)? : $ty:ty $(= $default:expr)?
            ),* $(,)?
        }
        $(choices {
            $(
                $(#[doc = $choice_doc:literal])+
                pub $choice:ident : $choice_ty:ty
            ),* $(,)?
        })?
        $(later { $($later:literal),* $(,)? })?
        $(short { $short_kind:literal, $short_example:literal => $short:path })?
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $( $(#[doc = $key_doc])+ pub $field: $ty, )*
            $( $( $(#[doc = $choice_doc])+ pub $choice: $choice_ty, )* )?
            /// Positions of the table and its keys in the file.
            pub spans: $crate::config::setting::Spans,
        }

        impl $crate::config::setting::Table for $name {
            fn keys() -> Vec<$crate::config::setting::KeyDoc> {
                let choices: Vec<Vec<$crate::config::setting::KeyDoc>> = vec![
                    $( $( <$choice_ty as $crate::config::setting::Choice>::keys(), )* )?
                ];
                let fields = vec![
                    $( $crate::config::setting::KeyDoc {
                        name: $crate::config::setting::key_name!($field $($key)?),
                        doc: concat!($($key_doc, "\n"),+),
                        shape: <$ty as $crate::config::setting::Setting>::shape(),
                        form: <$ty as $crate::config::setting::Setting>::form(),
                        default: table!(@printed $ty $(, $default)?),
                        choice: false,
                        group: None,
                    }, )*
                ];
                let choices = (0..).zip(choices).flat_map(|(group, keys)| {
                    keys.into_iter().map(move |key| $crate::config::setting::KeyDoc {
                        group: Some(group),
                        ..key
                    })
                });
                choices.chain(fields).collect()
            }

            fn names() -> Vec<&'static str> {
                let choices: Vec<Vec<&'static str>> = vec![
                    $( $( <$choice_ty as $crate::config::setting::Choice>::names(), )* )?
                ];
                let fields = vec![ $( $crate::config::setting::key_name!($field $($key)?), )* ];
                choices.into_iter().flatten().chain(fields).collect()
            }

            fn later() -> &'static [&'static str] {
                &[ $( $($later),* )? ]
            }

            fn read_keys(
                table: &mut $crate::config::setting::TableReader<'_, '_>,
            ) -> Option<Self> {
                $( let $field = table.key::<$ty>(
                    $crate::config::setting::key_name!($field $($key)?)
                ); )*
                // Every key is looked at before the first missing one ends the table.
                $( let $field = table!(
                    @or table, $field, $crate::config::setting::key_name!($field $($key)?)
                    $(, $default)?
                ); )*
                $( $( let $choice =
                    <$choice_ty as $crate::config::setting::Choice>::read_required(table); )* )?
                Some(Self {
                    $( $field: $field?, )*
                    $( $( $choice: $choice?, )* )?
                    spans: table.spans(),
                })
            }

            fn print_keys(&self, out: &mut serde_json::Map<String, serde_json::Value>) {
                let _ = &out; // A table may have no keys.
                $(
                    let printed = $crate::config::setting::Setting::print(&self.$field);
                    let default: Option<serde_json::Value> = table!(@printed $ty $(, $default)?);
                    let key = $crate::config::setting::key_name!($field $($key)?);
                    if !printed.is_null() {
                        out.insert(key.to_owned(), printed);
                    } else if default.is_some_and(|default| !default.is_null()) {
                        // Switched off.
                        out.insert(key.to_owned(), false.into());
                    }
                )*
                $( $(
                    $crate::config::setting::Choice::print_into(&self.$choice, out);
                )* )?
            }
        }

        impl $crate::config::setting::Setting for $name {
            fn shape() -> $crate::config::setting::Shape {
                #[allow(unused_mut, reason = "only tables with a short form change it")]
                let mut shape = $crate::config::setting::Shape::table(
                    "table",
                    <Self as $crate::config::setting::Table>::keys,
                );
                $(
                    shape.kind = concat!($short_kind, " or table").into();
                    shape.example = $short_example.into();
                )?
                shape
            }

            fn form() -> $crate::config::setting::Form {
                let form = $crate::config::setting::Form::Table(
                    <Self as $crate::config::setting::Table>::keys,
                );
                $(
                    let _ = $short_kind; // Every short form so far is a text.
                    let form = $crate::config::setting::Form::Text.or(form);
                )?
                form
            }

            fn read(
                node: &$crate::config::setting::Node<'_>,
                reader: &mut $crate::config::setting::Reader<'_>,
            ) -> Option<Self> {
                $(
                    if let Some(read) = $short(node, reader) {
                        return read;
                    }
                )?
                $crate::config::setting::read_table(node, reader)
            }

            fn print(&self) -> serde_json::Value {
                let mut out = serde_json::Map::new();
                $crate::config::setting::Table::print_keys(self, &mut out);
                serde_json::Value::Object(out)
            }

            fn has_switch() -> bool {
                true
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let printed = $crate::config::setting::Setting::print(self);
                match self.spans.hidden() {
                    Some(hidden) => hidden.mask(printed).serialize(serializer),
                    None => printed.serialize(serializer),
                }
            }
        }
    };
    (@printed $ty:ty) => { None };
    (@printed $ty:ty, $default:expr) => {
        Some(<$ty as $crate::config::setting::Setting>::print(&$default))
    };
    (@or $table:ident, $field:ident, $key:expr) => { $field.or_missing($key, $table) };
    (@or $table:ident, $field:ident, $key:expr, $default:expr) => {
        $field.or_default(|| $default)
    };
}

/// Names the key of a field: its own name unless another is given.
macro_rules! key_name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $key:literal) => {
        $key
    };
}

pub(crate) use {key_name, table};
