//! Storing of answers (RFC 9111 section 3).

use http::StatusCode;

use super::{
    directives::ResponseDirectives,
    freshness::{self, Freshness},
    vary::Varies,
};
use crate::semantics::{Headers, Known};

/// Rules for storing and using answers. Times in seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Freshness of good answers that say nothing; 0: they are not stored.
    pub default_ttl: u64,
    /// Freshness of answers that nothing is there and that say nothing; 0: they are not stored.
    pub negative_ttl: u64,
    /// Stale answers that allow it serve while another is fetched.
    pub stale_while_revalidate: bool,
    /// Time for which stale answers that say nothing serve in place of a failure.
    pub stale_if_error: u64,
    /// Clients may ask for a fresh answer.
    pub client_refresh: bool,
    /// Answers with `Set-Cookie` are stored, without it.
    pub set_cookie: bool,
    /// Bytes of the largest body that is stored.
    pub entry_max: u64,
    /// Time that equal requests wait for the one that fetches, in milliseconds; 0: they do not.
    pub wait_ms: u64,
    /// True if the route lets only users in that it knows.
    pub authenticated: bool,
}

/// Parts of a request that decide about the answer to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// It has credentials.
    pub(crate) authorized: bool,
    /// Its sender wants nothing of it stored.
    pub(crate) no_store: bool,
}

/// Reason why an answer is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Uncacheable {
    /// Fields that its client alone has sent: a word, credentials, or what the status blames.
    Request,
    /// The status, or a part of a whole.
    Status,
    /// `no-store`.
    NoStore,
    /// `private`.
    Private,
    /// The route lets only users in that it knows, and the answer does not allow it.
    Authorization,
    /// `Vary: *`.
    Vary,
    /// `Set-Cookie`.
    SetCookie,
    /// Nothing says how long it may be used.
    NoFreshness,
    /// It is never fresh, and has nothing to be validated by.
    NoValidator,
    /// Larger than an entry may be.
    TooLarge,
    /// The other version of a rollout answered, or something else that only this request met.
    Exceptional,
}

impl Rules {
    /// Returns the freshness of an answer of this status that says nothing.
    pub(super) fn default_of(&self, status: StatusCode) -> Option<u64> {
        let ttl = match status.as_u16() {
            200 | 203 | 204 | 300 | 301 | 308 => self.default_ttl,
            404 | 405 | 410 | 414 | 501 => self.negative_ttl,
            _ => 0,
        };
        (ttl > 0).then_some(ttl)
    }
}

impl Uncacheable {
    /// Returns true if the next answer is likely to be the same: requests then do not wait for each
    /// other.
    pub(crate) fn is_lasting(self) -> bool {
        !matches!(self, Self::Request | Self::Exceptional)
    }
}

/// Decides whether an answer may be stored, and for how long it is fresh.
///
/// # Errors
/// The reason why not.
pub(crate) fn judge(
    asked: Asked,
    status: StatusCode,
    headers: &Headers,
    rules: &Rules,
    now: u64,
) -> Result<Freshness, Uncacheable> {
    if asked.no_store && rules.client_refresh {
        return Err(Uncacheable::Request);
    }
    if status.as_u16() < 200 || matches!(status.as_u16(), 206 | 304) {
        return Err(Uncacheable::Status);
    }
    if blames_request(status) {
        return Err(Uncacheable::Request);
    }
    let directives = ResponseDirectives::read(headers);
    // Whoever understands the status need not obey `no-store` beside it (RFC 9111 section 5.2.2.3).
    let understood = status.canonical_reason().is_some();
    if directives.must_understand && !understood {
        return Err(Uncacheable::Status);
    }
    if directives.no_store && !directives.must_understand {
        return Err(Uncacheable::NoStore);
    }
    if directives.private {
        return Err(Uncacheable::Private);
    }
    let shared = directives.public || directives.must_revalidate || directives.s_maxage.is_some();
    if rules.authenticated && !shared {
        return Err(Uncacheable::Authorization);
    }
    if asked.authorized && !shared {
        return Err(Uncacheable::Request);
    }
    if Varies::on_anything(headers) {
        return Err(Uncacheable::Vary);
    }
    if headers.contains(Known::SetCookie) && !rules.set_cookie {
        return Err(Uncacheable::SetCookie);
    }
    let fresh =
        freshness::of(status, headers, &directives, rules, now).ok_or(Uncacheable::NoFreshness)?;
    let validator = headers.contains(Known::ETag) || headers.contains(Known::LastModified);
    let useful = fresh.lifetime > 0 && !fresh.no_cache;
    if !useful && !validator {
        return Err(Uncacheable::NoValidator);
    }
    Ok(fresh)
}

/// Returns true for a status by which an endpoint refuses a request for its own form, length, rate or
/// credentials. These are not in the key, so whoever sends such a request would have all others
/// refused, whatever the answer says of caching.
fn blames_request(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        400 | 401 | 406..=408 | 411..=413 | 415..=417 | 421 | 425 | 426 | 428 | 429 | 431
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::headers::fields;

    fn verdict(asked: Asked, status: u16, lines: &[(&str, &str)]) -> Result<u64, Uncacheable> {
        let rules = Rules {
            client_refresh: true,
            ..Rules::default()
        };
        let status = StatusCode::from_u16(status).unwrap();
        judge(asked, status, &fields(lines), &rules, 0).map(|it| it.lifetime)
    }

    #[test]
    fn only_what_may_be_shared_is_stored() {
        use Uncacheable as No;
        let nobody = Asked::default();
        let user = Asked {
            authorized: true,
            ..nobody
        };
        let control = |value: &'static str| [("cache-control", value)];
        for (asked, status, value, expected) in [
            (nobody, 200, "max-age=5", Ok(5)),
            (nobody, 200, "private, max-age=5", Err(No::Private)),
            (nobody, 200, "no-store, max-age=5", Err(No::NoStore)),
            (nobody, 200, "no-cache", Err(No::NoValidator)),
            (nobody, 200, "max-age=0", Err(No::NoValidator)),
            (nobody, 200, "public", Err(No::NoFreshness)),
            (nobody, 206, "max-age=5", Err(No::Status)),
            (nobody, 304, "max-age=5", Err(No::Status)),
            (nobody, 599, "max-age=5", Ok(5)),
            (nobody, 599, "max-age=5, must-understand", Err(No::Status)),
            (nobody, 200, "max-age=5, no-store, must-understand", Ok(5)),
            (nobody, 404, "max-age=5", Ok(5)),
            (nobody, 400, "public, max-age=5", Err(No::Request)),
            (nobody, 431, "max-age=5", Err(No::Request)),
            (user, 200, "max-age=5", Err(No::Request)),
            (user, 200, "max-age=5, public", Ok(5)),
            (user, 200, "max-age=5, must-revalidate", Ok(5)),
            (user, 200, "s-maxage=5", Ok(5)),
        ] {
            assert_eq!(verdict(asked, status, &control(value)), expected, "{value}");
        }
        let no_store = Asked {
            no_store: true,
            ..nobody
        };
        assert_eq!(
            verdict(no_store, 200, &control("max-age=5")),
            Err(No::Request)
        );
    }

    #[test]
    fn cookies_and_vary_on_anything_are_not_stored_and_validators_are() {
        use Uncacheable as No;
        let fresh = ("cache-control", "max-age=5");
        let none = Asked::default();
        let cookie = [fresh, ("set-cookie", "a=b")];
        assert_eq!(verdict(none, 200, &cookie), Err(No::SetCookie));
        assert_eq!(
            verdict(none, 200, &[fresh, ("vary", "a, *")]),
            Err(No::Vary)
        );
        let kept = [("cache-control", "no-cache"), ("etag", "\"1\"")];
        assert_eq!(verdict(none, 200, &kept), Ok(0));
    }

    #[test]
    fn defaults_are_for_good_answers_and_negative_ones_apart() {
        let rules = Rules {
            default_ttl: 10,
            negative_ttl: 3,
            ..Rules::default()
        };
        for (status, expected) in [
            (200, Some(10)),
            (301, Some(10)),
            (404, Some(3)),
            (302, None),
            (500, None),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(rules.default_of(status), expected, "{status}");
        }
    }
}
