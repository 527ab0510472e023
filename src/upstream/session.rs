//! Sessions: a client stays with the endpoint that served it first.
//!
//! The endpoint is named by a sealed token that the client carries, in a cookie or a header.
//! Nothing is stored: every proxy that has the same secret reads it. A token that was forged, is
//! another pool's, or has expired, is as good as none.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::HeaderName;

use crate::{
    seal::{self, SealKey},
    semantics::base64,
};

/// Settings of the sessions of a pool.
pub struct Sessions {
    /// Field that carries the token.
    pub carrier: Carrier,
    /// Time for which a token counts; zero: for ever.
    pub ttl: Duration,
    pool: Arc<str>,
    key: SealKey,
}

/// Field that carries the token of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// A cookie.
    Cookie {
        /// Its name.
        name: String,
        /// Attributes that the response sets it with, `Secure` and `Max-Age` left out; begins
        /// with `; `.
        attributes: String,
        /// True if browsers send it from other sites only when it is `Secure`.
        needs_secure: bool,
    },
    /// A header field of request and response.
    Header(HeaderName),
}

/// Content of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointSession {
    /// [`Endpoint::key`](super::endpoint::Endpoint::key) of the endpoint.
    pub endpoint: u64,
    /// True if more than half of its time is over: the next response renews it.
    pub is_old: bool,
}

impl Sessions {
    /// Makes the sessions of a pool; none if the system has no key for them.
    pub fn new(pool: &Arc<str>, carrier: Carrier, ttl: Duration, secret: &str) -> Option<Self> {
        Some(Self {
            carrier,
            ttl,
            pool: Arc::clone(pool),
            key: SealKey::derive(secret, b"sluicegate session", b"seal")?,
        })
    }

    /// Names an endpoint; `now_secs` is in seconds of Unix time.
    pub fn seal(&self, endpoint: u64, now_secs: u64) -> Option<String> {
        let mut text = Vec::with_capacity(SEALED_LEN);
        text.extend(endpoint.to_be_bytes());
        text.extend(now_secs.to_be_bytes());
        let sealed = self.key.seal(self.pool.as_bytes(), text)?;
        Some(base64::encode(&sealed))
    }

    /// Reads a token; none if it is none of this pool, or its time is over.
    pub fn open(&self, token: &[u8], now_secs: u64) -> Option<EndpointSession> {
        // A length that fits comes first: the rest costs something.
        if token.len() != TOKEN_LEN {
            return None;
        }
        let mut sealed = Vec::with_capacity(SEALED_LEN);
        let mut decoder = base64::Decoder::default();
        decoder.feed(token, &mut sealed).ok()?;
        let plain = self.key.open(self.pool.as_bytes(), sealed)?;
        let (endpoint, issued) = plain.split_first_chunk::<8>()?;
        let issued = u64::from_be_bytes(issued.try_into().ok()?);
        let age = now_secs.saturating_sub(issued);
        let ttl = self.ttl.as_secs();
        if ttl > 0 && age >= ttl || issued > now_secs.saturating_add(SKEW_MAX_SECS) {
            return None;
        }
        Some(EndpointSession {
            endpoint: u64::from_be_bytes(*endpoint),
            is_old: ttl > 0 && age >= ttl.div_ceil(2),
        })
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("carrier", &self.carrier)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

/// Sessions that an endpoint was given in the last minutes. Written once for each new session;
/// two workers in the same moment may lose one, which is shown to people only.
#[derive(Debug, Default)]
pub struct GivenSessions {
    /// Number of the span of time that `count` is of.
    span: AtomicU64,
    count: AtomicU64,
    before: AtomicU64,
}

impl GivenSessions {
    /// Counts one.
    pub fn given(&self, now_secs: u64) {
        self.turn(now_secs);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Number of the last [`GIVEN_SPAN_SECS`] to twice as many seconds.
    pub fn lately(&self, now_secs: u64) -> u64 {
        self.turn(now_secs);
        self.count.load(Ordering::Relaxed) + self.before.load(Ordering::Relaxed)
    }

    /// Returns the counts for the next process: the number of the span of time, and those of it and
    /// of the one before; none if there are none.
    pub fn carried(&self, now_secs: u64) -> Option<[u64; 3]> {
        (self.lately(now_secs) > 0)
            .then(|| [&self.span, &self.count, &self.before].map(|it| it.load(Ordering::Relaxed)))
    }

    /// Adds what another process has counted.
    pub fn take_over(&self, [span, count, before]: [u64; 3], now_secs: u64) {
        self.turn(now_secs);
        let own = self.span.load(Ordering::Relaxed);
        let (count, before) = match own.checked_sub(span) {
            Some(0) => (count, before),
            Some(1) => (0, count),
            _ => (0, 0),
        };
        self.count.fetch_add(count, Ordering::Relaxed);
        self.before.fetch_add(before, Ordering::Relaxed);
    }

    fn turn(&self, now_secs: u64) {
        let now = now_secs / GIVEN_SPAN_SECS;
        let last = self.span.load(Ordering::Relaxed);
        let turns = last < now
            && self
                .span
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if turns {
            let count = self.count.swap(0, Ordering::Relaxed);
            let before = if last + 1 == now { count } else { 0 };
            self.before.store(before, Ordering::Relaxed);
        }
    }
}

/// Five minutes.
pub const GIVEN_SPAN_SECS: u64 = 300;

/// Endpoint and time, sealed.
const SEALED_LEN: usize = 8 + 8 + seal::OVERHEAD;
/// In base64.
const TOKEN_LEN: usize = SEALED_LEN.div_ceil(3) * 4;
/// Difference between the clocks of two proxies that is tolerated.
const SKEW_MAX_SECS: u64 = 300;

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(pool: &str, secret: &str, ttl_secs: u64) -> Sessions {
        let carrier = Carrier::Header(HeaderName::from_static("x-session"));
        Sessions::new(&pool.into(), carrier, Duration::from_secs(ttl_secs), secret).unwrap()
    }

    #[test]
    fn every_proxy_with_the_secret_reads_what_another_has_sealed() {
        let (first, second) = (
            sessions("app", "0123456789abcdef", 100),
            sessions("app", "0123456789abcdef", 100),
        );
        let token = first.seal(7, 1000).unwrap();
        assert_eq!(token.len(), TOKEN_LEN);
        let opened = |now| second.open(token.as_bytes(), now);
        let fresh = EndpointSession {
            endpoint: 7,
            is_old: false,
        };
        assert_eq!(opened(1000), Some(fresh));
        assert_eq!(opened(1049), Some(fresh));
        let old = EndpointSession {
            endpoint: 7,
            is_old: true,
        };
        assert_eq!(opened(1050), Some(old));
        assert_eq!(opened(1099), Some(old));
        assert_eq!(opened(1100), None);
        // The clock of the other is behind, and then far behind.
        assert_eq!(opened(800), Some(fresh));
        assert_eq!(opened(600), None);
        let lasting = sessions("app", "0123456789abcdef", 0);
        assert_eq!(lasting.open(token.as_bytes(), u64::MAX), Some(fresh));
    }

    #[test]
    fn sessions_given_lately_are_those_of_five_to_ten_minutes() {
        let given = GivenSessions::default();
        for now in [1000, 1100, 1300] {
            given.given(now);
        }
        assert_eq!(given.lately(1300), 3);
        assert_eq!(given.lately(1500), 1);
        assert_eq!(given.lately(1800), 0);
        given.given(9000);
        assert_eq!(given.lately(9000), 1);
        assert_eq!(given.lately(90_000), 0);
    }

    #[test]
    fn forged_and_foreign_tokens_are_none() {
        let own = sessions("app", "0123456789abcdef", 100);
        let token = own.seal(7, 1000).unwrap();
        for other in [
            sessions("other", "0123456789abcdef", 100),
            sessions("app", "fedcba9876543210", 100),
        ] {
            assert_eq!(other.open(token.as_bytes(), 1000), None);
        }
        for at in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(own.open(&forged, 1000), None, "{at}");
        }
        for junk in [
            &b""[..],
            b"x",
            b"\xff\xff",
            &[b'A'; TOKEN_LEN],
            &[b'='; TOKEN_LEN],
        ] {
            assert_eq!(own.open(junk, 1000), None);
        }
    }
}
