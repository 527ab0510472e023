//! Answers of a source.

use std::{fmt, net::IpAddr};

use crate::{config::value::EndpointAddress, upstream::endpoint::Endpoint};

/// News of a source.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// Its whole list.
    List(EndpointList),
    /// The source was reached, and its list is the one that it returned last.
    Unchanged,
}

/// The whole list of a source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EndpointList {
    /// Its endpoints; each address once.
    pub endpoints: Vec<Endpoint>,
    /// Its entries that cannot be used. The others are.
    pub skipped: Skipped,
    /// A fault of the source that does not make the list worse, in words: what it does not tell, or
    /// why the list is empty.
    pub trouble: Option<String>,
}

/// Entries of a list that are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    count: usize,
    first: Vec<String>,
}

impl EndpointList {
    /// Returns a list without left-out entries.
    #[must_use]
    pub fn new(endpoints: Vec<Endpoint>) -> Self {
        Self {
            endpoints,
            ..Self::default()
        }
    }

    /// Leaves out endpoints at addresses that nobody can connect to.
    #[must_use]
    pub(super) fn usable(mut self) -> Self {
        let skipped = &mut self.skipped;
        self.endpoints.retain(|it| match unusable(&it.address) {
            None => true,
            Some(why) => {
                skipped.add_with(|| format!("{}: {why}", it.label));
                false
            }
        });
        self
    }
}

/// Returns the reason why nobody can connect to an address, if there is one.
fn unusable(address: &EndpointAddress) -> Option<&'static str> {
    let (ip, port) = match address {
        EndpointAddress::Socket(address) => (Some(address.ip().to_canonical()), address.port()),
        EndpointAddress::Name(_, port) => (None, *port),
        EndpointAddress::Unix(_) => return None,
    };
    match ip {
        _ if port == 0 => Some("nobody can connect to port 0"),
        Some(ip) if ip.is_unspecified() => {
            Some("it stands for all addresses of a machine, and is none to connect to")
        }
        Some(ip) if ip.is_multicast() => Some("it is a multicast address"),
        Some(IpAddr::V4(ip)) if ip.is_broadcast() => Some("it is the broadcast address"),
        Some(_) | None => None,
    }
}

impl Skipped {
    /// Returns these entries.
    pub fn of(entries: &[String]) -> Self {
        let mut skipped = Self::default();
        entries.iter().for_each(|entry| skipped.add(entry));
        skipped
    }

    /// Adds an entry: its place in the source and the fault, in words.
    pub fn add(&mut self, entry: impl fmt::Display) {
        self.add_with(|| entry);
    }

    /// Adds an entry, whose words are asked for only if they are shown: to find the place of each
    /// of 50,000 entries in a long line would take seconds.
    pub fn add_with<T: fmt::Display>(&mut self, entry: impl FnOnce() -> T) {
        self.count += 1;
        if self.first.len() < SHOWN_MAX {
            let mut text = entry().to_string();
            if let Some((end, _)) = text.char_indices().nth(CHARS_MAX) {
                text.truncate(end);
            }
            self.first.push(text);
        }
    }

    /// Adds the entries of another part of the source.
    pub(super) fn join(&mut self, part: &Self) {
        for entry in &part.first {
            self.add(entry);
        }
        self.count += part.count - part.first.len();
    }

    /// Number of the entries.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Returns true if all entries are used.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The first entries, at most 10: where they are, and what is wrong.
    #[must_use]
    pub fn first(&self) -> &[String] {
        &self.first
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first.join("; "))?;
        match self.count - self.first.len() {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// Number of entries that are told one by one.
const SHOWN_MAX: usize = 10;
/// Maximum length of what is told of an entry.
const CHARS_MAX: usize = 300;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn addresses_that_nobody_can_connect_to_are_left_out_and_told() {
        let endpoint = |text: &str| {
            let address = EndpointAddress::parse(text, Path::new("/")).ok()?;
            Some(Endpoint::new(address, None))
        };
        let bad = [
            "0.0.0.0:80",
            "[::]:80",
            "[::ffff:0.0.0.0]:80",
            "224.0.0.1:80",
            "[ff02::1]:80",
            "255.255.255.255:80",
        ];
        let good = ["10.0.0.1:80", "[::1]:80", "name:80", "unix:/a.sock"];
        let all = bad.iter().chain(&good).filter_map(|it| endpoint(it));
        let list = EndpointList::new(all.collect()).usable();
        let left: Vec<&str> = list.endpoints.iter().map(|it| &*it.label).collect();
        assert_eq!(left, good);
        assert_eq!(list.skipped.count(), bad.len());
        assert!(list.skipped.first()[0].starts_with("0.0.0.0:80: it stands for all"));
    }
}
