//! HTTP/1.1 head as it stood on the wire, not validated.

use std::fmt;

/// Header fields in wire order; bytes above 0x7f map to the character of the same number.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Adds one at the end.
    pub(crate) fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    /// The first field of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Every field of this name, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }

    /// Returns true if there is a field of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Name and value of each.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl From<&http::HeaderMap> for Fields {
    fn from(map: &http::HeaderMap) -> Self {
        let mut fields = Self::default();
        for (name, value) in map {
            fields.push(name.as_str(), latin1(value.as_bytes()));
        }
        fields
    }
}

/// A request as an upstream server received it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Method of the request line.
    pub(crate) method: String,
    /// Target of the request line, byte for byte.
    pub(crate) target: String,
    /// Fields in wire order.
    pub(crate) fields: Fields,
    /// Bytes read of the body.
    pub(crate) body: Vec<u8>,
    /// Trailer fields.
    pub(crate) trailers: Fields,
    /// True if the body came to its proper end.
    pub(crate) complete: bool,
    /// Number of the server's connection that it came on, from 0.
    pub(crate) connection: usize,
    /// Number of requests before it on that connection.
    pub(crate) turn: usize,
}

impl Seen {
    /// First field of this name, or the empty text.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).unwrap_or_default()
    }
}

/// Splits a head into lines: the three parts of the first, then the fields. `None` if the bytes are
/// not a head.
pub(crate) fn parse_head(head: &[u8]) -> Option<(String, String, String, Fields)> {
    let text = latin1(head);
    let mut lines = text.trim_end_matches("\r\n").split("\r\n");
    let mut first = lines.next()?.splitn(3, ' ');
    let (a, b) = (first.next()?, first.next()?);
    let c = first.next().unwrap_or_default();
    let mut fields = Fields::default();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        fields.push(name, value.trim_matches([' ', '\t']));
    }
    Some((a.to_owned(), b.to_owned(), c.to_owned(), fields))
}

/// Maps each byte to the character of the same number, so that nothing is lost.
pub(crate) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}
