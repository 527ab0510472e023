//! TOML form of a setting, as far as a JSON Schema can describe it.

use super::KeyDoc;

/// The kinds of values that a setting may be written as.
///
/// It is less exact than the reading: that a text is a duration, for example, is tested there.
#[derive(Debug, Clone)]
pub enum Form {
    /// Anything: only the reading knows the valid values.
    Any,
    /// `true` or `false`.
    Boolean,
    /// `false` alone, which switches the setting off.
    Off,
    /// An integer.
    Integer,
    /// A number, whole or not.
    Number,
    /// A string.
    Text,
    /// One of these strings.
    Words(Vec<&'static str>),
    /// A list of such values.
    List(Box<Self>),
    /// A table of such values under keys that the user chooses.
    Map(Box<Self>),
    /// A table of these keys.
    Table(fn() -> Vec<KeyDoc>),
    /// A table of some of these keys.
    Part(fn() -> Vec<KeyDoc>),
    /// Any of these.
    Either(Vec<Self>),
}

impl Form {
    /// Adds another form.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match self {
            Self::Either(mut forms) => {
                forms.push(other);
                Self::Either(forms)
            }
            only => Self::Either(vec![only, other]),
        }
    }
}
