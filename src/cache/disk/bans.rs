//! Purges of what is on disk.
//!
//! URLs and tags are inside the files: a purge is noted, and an answer that was asked for before it
//! is found out when it is read. The notes are in a file of their own, so that a purge outlives the
//! process.

use std::fmt::Write as _;

use crate::cache::Purge;

/// Purges, the oldest first; bounded.
#[derive(Clone, Debug, Default)]
pub(super) struct Bans(Vec<Ban>);

/// A purge, and its time in nanoseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ban {
    pub(super) at: u64,
    pub(super) what: Purge,
}

impl Bans {
    /// Notes a purge, unless another says as much. If there are too many, the older half becomes one
    /// of everything: that costs hits, and nothing else.
    pub(super) fn add(&mut self, ban: Ban) {
        let says = |one: &Ban, other: &Ban| {
            one.at >= other.at && (one.what == other.what || one.what == Purge::All)
        };
        if self.0.iter().any(|it| says(it, &ban)) {
            return;
        }
        self.0.retain(|it| !says(&ban, it));
        self.0.push(ban);
        while self.0.len() > 2 && (self.0.len() > BANS_MAX || self.bytes() > BYTES_MAX) {
            let rest = self.0.split_off(self.0.len() / 2);
            let newest = self.0.iter().map(|it| it.at).max();
            self.0 = newest
                .map(|at| Ban {
                    at,
                    what: Purge::All,
                })
                .into_iter()
                .chain(rest)
                .collect();
        }
    }

    /// Number of purges that are told apart.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if an answer that was asked for at this time is purged.
    pub(super) fn meets(&self, asked: u64, url: &[u8], has_tag: impl Fn(&str) -> bool) -> bool {
        let later = self.0.iter().filter(|ban| ban.at >= asked);
        let mut met = later.filter(|ban| ban.what.meets(url, &has_tag));
        met.next().is_some()
    }

    /// Adds those that were noted before these.
    pub(super) fn merge(&mut self, older: Self) {
        let newer = std::mem::replace(self, older);
        self.extend(newer);
    }

    /// Adds those that were noted after these.
    pub(super) fn extend(&mut self, newer: Self) {
        for ban in newer.0 {
            self.add(ban);
        }
    }

    /// All of them as the lines of a file.
    pub(super) fn lines(&self) -> String {
        self.0.iter().map(Ban::line).collect()
    }

    /// Reads the lines of a file. A line that is none was cut short while it was written.
    pub(super) fn read(text: &str) -> Self {
        let mut bans = Self::default();
        for ban in text.lines().filter_map(Ban::read) {
            bans.add(ban);
        }
        bans
    }

    /// Bytes of what they name.
    fn bytes(&self) -> usize {
        let named = self.0.iter().map(|it| match &it.what {
            Purge::Url(url) | Purge::Prefix(url) => url.len(),
            Purge::Tag(tag) => tag.len(),
            Purge::All => 0,
        });
        named.sum()
    }
}

impl Ban {
    /// The line of a file.
    fn line(&self) -> String {
        let (word, bytes): (_, &[u8]) = match &self.what {
            Purge::Url(url) => ("url", url),
            Purge::Prefix(url) => ("prefix", url),
            Purge::Tag(tag) => ("tag", tag.as_bytes()),
            Purge::All => ("all", b""),
        };
        let mut line = format!("{} {word} ", self.at);
        for byte in bytes {
            let _ = write!(line, "{byte:02x}");
        }
        line + ".\n"
    }

    fn read(line: &str) -> Option<Self> {
        let mut words = line.strip_suffix('.')?.split(' ');
        let at = words.next()?.parse().ok()?;
        let word = words.next()?;
        let digits = words.next()?;
        let pairs = digits.as_bytes().chunks(2);
        let bytes: Option<Vec<u8>> = pairs
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect();
        let bytes = bytes?;
        let what = match word {
            "url" => Purge::Url(bytes),
            "prefix" => Purge::Prefix(bytes),
            "tag" => Purge::Tag(String::from_utf8(bytes).ok()?),
            "all" => Purge::All,
            _ => return None,
        };
        Some(Self { at, what })
    }
}

/// Purges that are told apart.
const BANS_MAX: usize = 4096;
/// Bytes of the URLs and tags of all.
const BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn ban(at: u64, what: Purge) -> Ban {
        Ban { at, what }
    }

    #[test]
    fn purges_are_read_as_they_were_written() {
        let mut bans = Bans::default();
        bans.add(ban(1, Purge::Url(b"http://a/\n x".to_vec())));
        bans.add(ban(2, Purge::Prefix(b"http://a/".to_vec())));
        bans.add(ban(3, Purge::Tag("one two".to_owned())));
        let text = bans.lines();
        assert_eq!(Bans::read(&text).0, bans.0);
        // The last line was cut short.
        let cut = Bans::read(&text[..text.len() - 4]);
        assert_eq!(cut.0, bans.0[..2]);
        bans.add(ban(4, Purge::All));
        assert_eq!(Bans::read(&bans.lines()).0, [ban(4, Purge::All)]);
    }

    #[test]
    fn what_was_asked_for_after_a_purge_is_not_met_by_it() {
        let mut bans = Bans::default();
        bans.add(ban(5, Purge::Prefix(b"http://a/x".to_vec())));
        bans.add(ban(7, Purge::Tag("t".to_owned())));
        for (asked, url, tag, met) in [
            (5, "http://a/x/y", "", true),
            (6, "http://a/x/y", "", false),
            (5, "http://a/y", "", false),
            (7, "http://a/y", "t", true),
            (8, "http://a/y", "t", false),
        ] {
            let found = bans.meets(asked, url.as_bytes(), |it| it == tag);
            assert_eq!(found, met, "{asked} {url} {tag}");
        }
    }

    #[test]
    fn too_many_purges_become_one_of_everything_before() {
        let mut bans = Bans::default();
        for at in 0..=BANS_MAX as u64 {
            bans.add(ban(at, Purge::Tag(at.to_string())));
        }
        assert!(bans.0.len() <= BANS_MAX);
        let middle = BANS_MAX as u64 / 2;
        assert!(bans.meets(middle - 1, b"", |_| false));
        assert!(!bans.meets(middle, b"", |_| false));
        assert!(bans.meets(middle, b"", |it| it == middle.to_string()));
    }

    #[test]
    fn long_urls_count_by_their_bytes() {
        let mut bans = Bans::default();
        let url = |at: u64| format!("http://a/{at}/{}", "x".repeat(10_000)).into_bytes();
        for at in 0..1000 {
            bans.add(ban(at, Purge::Url(url(at))));
            assert!(bans.bytes() <= BYTES_MAX, "{}", bans.bytes());
        }
        assert!(bans.meets(999, &url(999), |_| false));
        assert!(bans.meets(0, b"http://b/", |_| false), "by that of all");
        assert!(!bans.meets(999, b"http://b/", |_| false));
    }
}
