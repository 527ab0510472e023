//! Object of a purge.

/// Stored answers that are removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purge {
    /// Those of this URL, as keys have it.
    Url(Vec<u8>),
    /// Those of URLs that begin so.
    Prefix(Vec<u8>),
    /// Those with this tag.
    Tag(String),
    /// All.
    All,
}

impl Purge {
    /// Returns true if it means an answer of this URL; `has_tag` tells its tags.
    pub(super) fn meets(&self, url: &[u8], has_tag: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Url(wanted) => url == wanted,
            Self::Prefix(wanted) => url.starts_with(wanted),
            Self::Tag(wanted) => has_tag(wanted),
            Self::All => true,
        }
    }
}
