//! Settings that are one of a few words, and the macro that defines them.

use super::{Node, Reader};
use crate::config::{diagnostic::Fault, value::nearest::alternatives};

/// Notes that a word is not one of those allowed.
pub(crate) fn refuse_word(
    node: &Node<'_>,
    written: &str,
    words: &[&str],
    later: &[&str],
    reader: &mut Reader<'_>,
) {
    let place = reader.place();
    reader.fault(if later.contains(&written) {
        Fault::error(
            node.span,
            format!("{place} = \"{written}\" is not supported yet"),
            format!(
                "planned for a later version; {}",
                alternatives("now", "", words)
            ),
        )
    } else {
        Fault::error(
            node.span,
            format!("{place} cannot be \"{written}\""),
            alternatives("allowed", written, words),
        )
    });
}

/// Defines an enum of words.
macro_rules! words {
    (
        $(#[doc = $doc:literal])+
        pub enum $name:ident {
            $( $(#[doc = $word_doc:literal])+ $variant:ident = $word:literal ),* $(,)?
        }
        $(later { $($later:literal),* $(,)? })?
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $( $(#[doc = $word_doc])+ $variant, )*
        }

        impl $name {
            /// Gives the word as it stands in the file.
            pub const fn word(self) -> &'static str {
                match self {
                    $( Self::$variant => $word, )*
                }
            }
        }

        $crate::config::setting::words_of! {
            $name { $( $variant = $word ),* }
            $(later { $($later),* })?
        }
    };
}

/// Makes an enum of another area a setting that is one of these words.
macro_rules! words_of {
    (
        $name:ty { $( $variant:ident = $word:literal ),* $(,)? }
        $(later { $($later:literal),* $(,)? })?
    ) => {
        impl $crate::config::setting::Setting for $name {
            fn shape() -> $crate::config::setting::Shape {
                let words = [ $( concat!("\"", $word, "\"") ),* ];
                $crate::config::setting::Shape::value(words.join(" or "), "")
            }

            fn form() -> $crate::config::setting::Form {
                $crate::config::setting::Form::Words(vec![ $($word),* ])
            }

            fn read(
                node: &$crate::config::setting::Node<'_>,
                reader: &mut $crate::config::setting::Reader<'_>,
            ) -> Option<Self> {
                let word = match reader.string(node) {
                    $crate::config::setting::Found::Value(word) => Some(word),
                    $crate::config::setting::Found::Bad => return None,
                    $crate::config::setting::Found::Absent => None,
                };
                match word.as_deref() {
                    $( Some($word) => Some(Self::$variant), )*
                    Some(other) => {
                        let later: &[&str] = &[ $( $($later),* )? ];
                        let words: &[&str] = &[ $($word),* ];
                        $crate::config::setting::refuse_word(node, other, words, later, reader);
                        None
                    }
                    None => {
                        reader.wrong_type(node, &Self::shape());
                        None
                    }
                }
            }

            fn print(&self) -> serde_json::Value {
                match self {
                    $( Self::$variant => $word.into(), )*
                }
            }
        }
    };
}

pub(crate) use {words, words_of};
