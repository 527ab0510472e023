//! Values of fields, borrowed.

use http::HeaderValue;

/// The value of a field: has no control byte other than tab (RFC 9110 section 5.5).
#[derive(Clone, Copy, Debug)]
pub struct Value<'a> {
    pub(super) bytes: &'a [u8],
    /// Header compression must not remember it (RFC 7541 section 7.1.3).
    pub(super) sensitive: bool,
}

impl<'a> Value<'a> {
    /// Makes a value from a literal.
    ///
    /// # Panics
    /// If the text cannot be a value; in a constant it does not compile.
    pub const fn from_static(text: &'static str) -> Self {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            assert!(matches!(bytes[at], b' '..=b'~'), "not a field value");
            at += 1;
        }
        Self {
            bytes,
            sensitive: false,
        }
    }

    /// Makes a value from bytes that the caller has checked.
    pub(crate) const fn of_checked(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            sensitive: false,
        }
    }

    /// Marks the value as sensitive: header compression must not remember it.
    pub(crate) const fn sensitive(self) -> Self {
        Self {
            sensitive: true,
            ..self
        }
    }

    /// The bytes.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The text, if all of it is visible ASCII, blanks and tabs.
    pub fn to_str(self) -> Option<&'a str> {
        let plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t');
        let text = std::str::from_utf8(self.bytes).ok()?;
        self.bytes.iter().all(plain).then_some(text)
    }

    /// Returns true if header compression must not remember the value (RFC 7541 section 7.1.3).
    pub const fn is_sensitive(self) -> bool {
        self.sensitive
    }

    /// Returns true if the value is empty.
    pub const fn is_empty(self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns an owned copy.
    pub fn to_header_value(self) -> HeaderValue {
        // What is in here was a value before.
        let copy = HeaderValue::from_bytes(self.bytes);
        let mut copy = copy.unwrap_or_else(|_| HeaderValue::from_static(""));
        copy.set_sensitive(self.sensitive);
        copy
    }
}

impl PartialEq for Value<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Value<'_> {}

impl PartialEq<str> for Value<'_> {
    fn eq(&self, other: &str) -> bool {
        self.bytes == other.as_bytes()
    }
}

impl PartialEq<&str> for Value<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.bytes == other.as_bytes()
    }
}

/// Types that can be written as a value.
pub trait AsValue {
    /// The value.
    fn as_value(&self) -> Value<'_>;
}

impl AsValue for Value<'_> {
    fn as_value(&self) -> Value<'_> {
        *self
    }
}

impl AsValue for HeaderValue {
    fn as_value(&self) -> Value<'_> {
        Value {
            bytes: self.as_bytes(),
            sensitive: self.is_sensitive(),
        }
    }
}

impl<T: AsValue + ?Sized> AsValue for &T {
    fn as_value(&self) -> Value<'_> {
        (**self).as_value()
    }
}
