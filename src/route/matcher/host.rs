//! Match of a request's host against a pattern of a route.

use crate::config::value::HostPattern;

/// Tells whether a host (lower case, no port) matches; a wildcard stands for one or more labels.
pub(crate) fn matches_host(pattern: &HostPattern, host: &str) -> bool {
    match pattern {
        HostPattern::Any => true,
        HostPattern::Exact(exact) => **exact == *host,
        HostPattern::Wildcard(domain) => host
            .strip_suffix(&**domain)
            .and_then(|front| front.strip_suffix('.'))
            .is_some_and(|labels| !labels.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_takes_one_or_more_whole_labels() {
        let pattern = HostPattern::parse("*.a.b").unwrap();
        for (host, expected) in [
            ("x.a.b", true),
            ("x.y.a.b", true),
            ("a.b", false),
            (".a.b", false),
            ("xa.b", false),
            ("", false),
        ] {
            assert_eq!(matches_host(&pattern, host), expected, "{host}");
        }
    }

    #[test]
    fn no_host_fits_only_any() {
        assert!(matches_host(&HostPattern::Any, ""));
        assert!(!matches_host(&HostPattern::parse("a").unwrap(), ""));
    }
}
