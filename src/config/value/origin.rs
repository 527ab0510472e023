//! Origins of pages: `https://shop.example`, `https://*.shop.example`, `null`, `*`.

use std::fmt;

use super::{HostPattern, Mismatch, Pattern};

/// An origin to match (RFC 6454 section 6.1), as browsers write it: scheme and host in lower case,
/// the port unless it is the scheme's own.
#[derive(Debug, Clone, PartialEq)]
pub enum OriginPattern {
    /// Any origin.
    Any,
    /// This origin only; also `null`.
    Exact(Box<str>),
    /// Each host below one, with the scheme in front and the port behind, if there is one.
    Wildcard {
        /// Scheme with `://`.
        scheme: Box<str>,
        /// `.shop.example`, with `:8443` if there is a port.
        below: Box<str>,
    },
    /// An origin that the expression matches as a whole.
    Regex(Pattern),
}

impl OriginPattern {
    /// Parses an origin.
    ///
    /// # Errors
    ///
    /// Refuses paths, other schemes than http and https, and hosts that no browser sends.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        match text {
            "*" => return Ok(Self::Any),
            "null" => return Ok(Self::Exact("null".into())),
            _ => {}
        }
        let refused = |why: &str, expected: &str| {
            Err(Mismatch::new(
                format!("{text:?} is not an origin{why}"),
                expected,
            ))
        };
        let such_as = "such as \"https://shop.example\" or \"https://*.shop.example\"";
        let Some((scheme, rest)) = text.split_once("://") else {
            return refused(": it has no scheme", such_as);
        };
        let scheme = scheme.to_ascii_lowercase();
        if !matches!(&*scheme, "http" | "https") {
            return refused(": its scheme is not http or https", such_as);
        }
        if let Some((origin, _)) = rest.split_once('/') {
            let expected = format!("without a path: \"{scheme}://{origin}\"");
            return refused(": it has a path", &expected);
        }
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (rest, None),
        };
        let own = if scheme == "http" { 80 } else { 443 };
        let port = match port.map(str::parse::<u16>) {
            None => String::new(),
            Some(Ok(port)) if port == own => String::new(),
            Some(Ok(port)) if port > 0 => format!(":{port}"),
            Some(_) => return refused(": its port is not one from 1 to 65535", such_as),
        };
        Ok(match HostPattern::parse(host)? {
            HostPattern::Exact(host) => Self::Exact(format!("{scheme}://{host}{port}").into()),
            HostPattern::Wildcard(parent) => Self::Wildcard {
                scheme: format!("{scheme}://").into(),
                below: format!(".{parent}{port}").into(),
            },
            HostPattern::Any => Self::Any,
        })
    }

    /// Tells whether a page of this origin is meant.
    pub fn matches(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => **exact == *origin,
            Self::Wildcard { scheme, below } => {
                let host = origin
                    .strip_prefix(&**scheme)
                    .and_then(|host| host.strip_suffix(&**below));
                let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
                host.is_some_and(|host| !host.is_empty() && host.bytes().all(fits))
            }
            Self::Regex(pattern) => {
                let found = pattern.find(origin);
                found.is_some_and(|found| found.len() == origin.len())
            }
        }
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(origin) => f.write_str(origin),
            Self::Wildcard { scheme, below } => write!(f, "{scheme}*{below}"),
            Self::Regex(pattern) => f.write_str(pattern.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_compared_as_browsers_write_them() {
        let matches = |pattern: &str, origin: &str| {
            let pattern = OriginPattern::parse(pattern).unwrap();
            assert_eq!(OriginPattern::parse(&pattern.to_string()).unwrap(), pattern);
            pattern.matches(origin)
        };
        assert!(matches("https://Shop.Example:443", "https://shop.example"));
        assert!(matches("http://[::1]:8080", "http://[::1]:8080"));
        assert!(!matches("https://shop.example", "http://shop.example"));
        assert!(!matches(
            "https://shop.example",
            "https://shop.example.evil"
        ));
        assert!(matches(
            "https://*.shop.example",
            "https://a.b.shop.example"
        ));
        assert!(!matches("https://*.shop.example", "https://shop.example"));
        assert!(!matches("https://*.shop.example", "https://.shop.example"));
        assert!(!matches(
            "https://*.shop.example",
            "https://evilshop.example"
        ));
        assert!(!matches(
            "https://*.shop.example",
            "https://evil/.shop.example"
        ));
        for odd in ["#", "?", "\\", "%2f", ",", " ", "'", "*"] {
            let origin = format!("https://evil{odd}.shop.example");
            assert!(!matches("https://*.shop.example", &origin), "{origin}");
        }
        assert!(!matches("https://*.a:8443", "https://x.a"));
        assert!(matches("https://*.a:8443", "https://x.a:8443"));
        assert!(matches("null", "null") && matches("*", "null"));
    }

    #[test]
    fn an_expression_matches_the_whole_origin() {
        let pattern = Pattern::parse("https://[a-z]+\\.shop\\.example").unwrap();
        let pattern = OriginPattern::Regex(pattern);
        assert!(pattern.matches("https://de.shop.example"));
        assert!(!pattern.matches("https://de.shop.example.evil"));
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for (text, why) in [
            ("shop.example", "no scheme"),
            ("https://shop.example/", "has a path"),
            ("ftp://shop.example", "not http or https"),
            ("https://shop.example:0", "port"),
            ("https://sh*p.example", "host"),
        ] {
            let error = OriginPattern::parse(text).unwrap_err();
            assert!(error.message.contains(why), "{text}: {error}");
        }
    }
}
