//! Result of a request at the cache: one word in log and metric, and `Cache-Status` (RFC 9211).

use std::fmt::Write as _;

/// Result of a request at a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Answered by a fresh stored answer.
    Hit,
    /// Answered by a stale one.
    Stale,
    /// Answered by one that an endpoint has validated.
    Revalidated,
    /// Answered by an endpoint.
    Miss,
    /// Answered by what another request fetched.
    Collapsed,
    /// The request is none for the cache, or its answer known to be none.
    Bypass,
}

impl Outcome {
    /// The word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Revalidated => "revalidated",
            Self::Miss => "miss",
            Self::Collapsed => "collapsed",
            Self::Bypass => "bypass",
        }
    }
}

/// Reason why a request went to an endpoint (RFC 9211 section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forwarded {
    /// The configuration or the kind of request.
    Bypass,
    /// The method.
    Method,
    /// Nothing is stored for the URL.
    UriMiss,
    /// Something is stored, and not for these values of `Vary`.
    VaryMiss,
    /// It is stale.
    Stale,
}

impl Forwarded {
    fn word(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Stale => "stale",
        }
    }

    /// The value of `Cache-Status` for an answer that an endpoint gave.
    pub(crate) fn status(self, code: Option<u16>, stored: bool, collapsed: bool) -> String {
        let mut text = format!("sluicegate; fwd={}", self.word());
        if let Some(code) = code {
            let _ = write!(text, "; fwd-status={code}");
        }
        if stored {
            text += "; stored";
        }
        if collapsed {
            text += "; collapsed";
        }
        text
    }
}

/// The value of `Cache-Status` for a stored answer that has this time to live, in seconds.
pub(crate) fn hit(ttl: i64) -> String {
    format!("sluicegate; hit; ttl={ttl}")
}
