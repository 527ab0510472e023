//! Names of fields for lookup, and sets of them.

use http::HeaderName;

use super::known::{Known, look_up, look_up_lower};
use crate::semantics::token::is_token;

/// A field name to look up or write.
#[derive(Clone, Copy, Debug)]
pub struct Name<'a> {
    pub(crate) known: Option<Known>,
    /// A token in any case; empty for a text that is not a token.
    pub(super) text: &'a [u8],
}

/// A name to look a field up by: a [`Known`] name, which costs nothing, a [`HeaderName`], or text.
/// A text that is not a token names no field: nothing is found, and nothing written.
pub trait AsName {
    /// The name.
    fn as_name(&self) -> Name<'_>;
}

impl AsName for Known {
    fn as_name(&self) -> Name<'_> {
        Name {
            known: Some(*self),
            text: self.as_str().as_bytes(),
        }
    }
}

impl AsName for HeaderName {
    fn as_name(&self) -> Name<'_> {
        let text = self.as_str().as_bytes();
        Name {
            known: look_up_lower(text),
            text,
        }
    }
}

impl AsName for [u8] {
    fn as_name(&self) -> Name<'_> {
        Name {
            known: look_up(self),
            text: if is_token(self) { self } else { b"" },
        }
    }
}

impl AsName for str {
    fn as_name(&self) -> Name<'_> {
        self.as_bytes().as_name()
    }
}

impl<T: AsName + ?Sized> AsName for &T {
    fn as_name(&self) -> Name<'_> {
        (**self).as_name()
    }
}

/// A set of known names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Names(u128);

impl Names {
    /// The set of these.
    pub const fn of(names: &[Known]) -> Self {
        let mut set = 0;
        let mut at = 0;
        while at < names.len() {
            set |= 1 << names[at] as u32;
            at += 1;
        }
        Self(set)
    }

    /// Union of both sets.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns true if a name is in the set; always false for an unknown name.
    pub const fn contains(self, name: Option<Known>) -> bool {
        match name {
            Some(known) => self.0 >> known as u32 & 1 == 1,
            None => false,
        }
    }

    /// Returns true if the sets have a name in common.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) fn add(&mut self, name: Known) {
        self.0 |= 1 << name as u32;
    }
}
