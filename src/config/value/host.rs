//! Hosts that a route answers for: `shop.example`, `*.shop.example`.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::Mismatch;
use super::address::is_host_name;
use super::punycode::ascii_name;

/// A host to match, in the form in which the host of a request is compared: lower case, no
/// port, no final dot, IPv6 in brackets and short.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// This host only.
    Exact(Box<str>),
    /// Each host below this one (`shop.example` stands for `*.shop.example`), at any
    /// depth, but not the host itself.
    Wildcard(Box<str>),
    /// Any host: a route that names none. Never written.
    Any,
}

impl HostPattern {
    /// Parses a host.
    ///
    /// # Errors
    ///
    /// Refuses ports, schemes, and `*` anywhere but as the whole first label.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        let host = text.to_ascii_lowercase();
        let host = host.strip_suffix('.').unwrap_or(&host);
        if let Some(parent) = host.strip_prefix("*.")
            && is_host_name(parent)
        {
            return Ok(Self::Wildcard(parent.into()));
        }
        if is_host_name(host) || host.parse::<Ipv4Addr>().is_ok() {
            return Ok(Self::Exact(host.into()));
        }
        if let Some(address) = bracketed(host) {
            return Ok(Self::Exact(format!("[{address}]").into()));
        }
        let expected = if host == "*" {
            "leave \"hosts\" out to match every host"
        } else if let Some(ascii) = ascii_host(host) {
            let message = format!("{text:?} is not a host to match: clients send its ASCII form");
            return Err(Mismatch::new(message, format!("{ascii:?}")));
        } else if host.contains("://") {
            "the host alone, without a scheme"
        } else if host.contains('*') {
            "\"*\" may only be the whole first label, as in \"*.shop.example\""
        } else if host.contains(':') {
            "the host alone, without a port"
        } else {
            "such as \"shop.example\" or \"*.shop.example\""
        };
        let message = format!("{text:?} is not a host to match");
        Err(Mismatch::new(message, expected))
    }
}

impl HostPattern {
    /// Returns true if a host can match both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let is_below = |host: &str, parent: &str| {
            let rest = host.strip_suffix(parent);
            rest.is_some_and(|rest| rest.ends_with('.'))
        };
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::Exact(one), Self::Exact(other)) => one == other,
            (Self::Exact(host), Self::Wildcard(parent))
            | (Self::Wildcard(parent), Self::Exact(host)) => is_below(host, parent),
            (Self::Wildcard(one), Self::Wildcard(other)) => {
                one == other || is_below(one, other) || is_below(other, one)
            }
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Wildcard(parent) => write!(f, "*.{parent}"),
            Self::Any => f.write_str("*"),
        }
    }
}

/// Returns the ASCII form that clients send for an internationalized host name.
fn ascii_host(host: &str) -> Option<String> {
    if host.is_ascii() {
        return None;
    }
    let (star, name) = match host.strip_prefix("*.") {
        Some(name) => ("*.", name),
        None => ("", host),
    };
    let ascii = ascii_name(name).filter(|ascii| is_host_name(ascii))?;
    Some(format!("{star}{ascii}"))
}

fn bracketed(host: &str) -> Option<Ipv6Addr> {
    host.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_and_wildcard() {
        assert_eq!(
            HostPattern::parse("Shop.Example.").unwrap(),
            HostPattern::Exact("shop.example".into())
        );
        assert_eq!(
            HostPattern::parse("*.shop.example").unwrap().to_string(),
            "*.shop.example"
        );
        assert!(HostPattern::parse("127.0.0.1").is_ok());
        assert_eq!(HostPattern::parse("[0::1]").unwrap().to_string(), "[::1]");
    }

    #[test]
    fn ports_schemes_and_inner_stars_are_refused() {
        for text in [
            "", "*", "a:80", "http://a", "a.*.b", "w*.b", "*.", "*.[::1]", "[::1]:80", "::1", "a b",
        ] {
            assert!(HostPattern::parse(text).is_err(), "{text}");
        }
    }
}
