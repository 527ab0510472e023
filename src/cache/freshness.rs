//! Freshness and age of answers (RFC 9111 section 4.2), and what a stale one may still be used for.

use http::StatusCode;

use super::{
    Entry,
    directives::{RequestDirectives, ResponseDirectives, seconds},
    rules::Rules,
};
use crate::semantics::{Headers, Known};

/// Time for which an answer is fresh, and for which it may be used when it is stale. In seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Freshness {
    /// Age up to which it is fresh.
    pub(crate) lifetime: u64,
    /// True if the answer, and not the configuration, says so.
    pub(crate) explicit: bool,
    /// Time after that for which it serves while another is fetched.
    pub(crate) while_revalidate: u64,
    /// Time after that for which it serves in place of a failure.
    pub(crate) if_error: u64,
    /// Must be validated at each use.
    pub(crate) no_cache: bool,
}

/// Use that may be made of a stored answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usable {
    /// It is the answer.
    Fresh,
    /// It is the answer, while another is fetched.
    WhileRevalidate,
    /// It must be validated first.
    Stale,
}

/// Returns the freshness of an answer; none if nothing says how long it may be used.
pub(super) fn of(
    status: StatusCode,
    headers: &Headers,
    directives: &ResponseDirectives,
    rules: &Rules,
    now: u64,
) -> Option<Freshness> {
    let written = directives
        .s_maxage
        .or(directives.max_age)
        .or_else(|| expires(headers, now).filter(|_| !directives.targeted));
    let explicit = written.is_some() || directives.no_cache;
    let lifetime = match written {
        Some(lifetime) => lifetime,
        None if directives.no_cache => 0,
        None => rules.default_of(status)?,
    };
    let strict = directives.must_revalidate || directives.proxy_revalidate || directives.no_cache;
    let if_error = match (strict, directives.stale_if_error, directives.s_maxage) {
        (true, ..) => 0,
        (false, Some(written), _) => written,
        // It means proxy-revalidate, too.
        (false, None, Some(_)) => 0,
        (false, None, None) => rules.stale_if_error,
    };
    let while_revalidate = match directives.stale_while_revalidate {
        Some(written) if !strict && rules.stale_while_revalidate => written,
        _ => 0,
    };
    Some(Freshness {
        lifetime,
        explicit,
        while_revalidate,
        if_error,
        no_cache: directives.no_cache,
    })
}

/// Lifetime by `Expires` and `Date`. An invalid one has passed.
fn expires(headers: &Headers, now: u64) -> Option<u64> {
    let mut lines = headers.get_all(Known::Expires);
    let first = lines.next()?;
    let expires = date(first.to_str());
    if lines.next().is_some() {
        return Some(0);
    }
    let date = headers.get(Known::Date).and_then(|it| date(it.to_str()));
    Some(expires.map_or(0, |expires| expires.saturating_sub(date.unwrap_or(now))))
}

/// Reads a date, as seconds since 1970.
pub(super) fn date(text: Option<&str>) -> Option<u64> {
    let time = httpdate::parse_http_date(text?).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}

/// Returns the age that an answer has when it arrives, `delay` seconds after it was asked for.
pub(super) fn initial_age(headers: &Headers, now: u64, delay: u64) -> u64 {
    let date = headers.get(Known::Date).and_then(|it| date(it.to_str()));
    let apparent = date.map_or(0, |date| now.saturating_sub(date));
    let told = headers.get(Known::Age).map_or(0, |age| {
        let age = age.as_bytes();
        let first = age.split(|byte| *byte == b',').next().unwrap_or(age);
        seconds(first.trim_ascii())
    });
    apparent.max(told.saturating_add(delay))
}

/// Returns the use that may be made of an entry for a request with these directives.
pub(crate) fn usable(entry: &Entry, asked: &RequestDirectives, rules: &Rules, now: u64) -> Usable {
    let meta = &entry.meta;
    let fresh = &meta.freshness;
    let age = meta.age(now);
    if fresh.no_cache {
        return Usable::Stale;
    }
    if rules.client_refresh {
        let too_old = asked.max_age.is_some_and(|max| age > max || max == 0);
        let too_short = asked
            .min_fresh
            .is_some_and(|min| fresh.lifetime < age.saturating_add(min));
        if asked.no_cache || asked.no_store || too_old || too_short {
            return Usable::Stale;
        }
    }
    if age < fresh.lifetime {
        Usable::Fresh
    } else if age < fresh.lifetime.saturating_add(fresh.while_revalidate) {
        Usable::WhileRevalidate
    } else {
        Usable::Stale
    }
}

/// Returns true if a stale entry may serve in place of a failure.
pub(crate) fn serves_on_error(entry: &Entry, now: u64) -> bool {
    let fresh = &entry.meta.freshness;
    !fresh.no_cache && entry.meta.age(now) < fresh.lifetime.saturating_add(fresh.if_error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::headers::fields;

    /// 6 November 1994, 08:49:37.
    const NOW: u64 = 784_111_777;

    fn rules() -> Rules {
        Rules {
            stale_while_revalidate: true,
            stale_if_error: 7,
            ..Rules::default()
        }
    }

    fn fresh(lines: &[(&str, &str)]) -> Option<Freshness> {
        let headers = fields(lines);
        let directives = ResponseDirectives::read(&headers);
        of(StatusCode::OK, &headers, &directives, &rules(), NOW)
    }

    #[test]
    fn the_lifetime_is_the_first_of_s_maxage_max_age_and_expires() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        let expires = ("expires", "Sun, 06 Nov 1994 08:50:37 GMT");
        type Case<'a> = (&'a [(&'a str, &'a str)], Option<u64>);
        let cases: &[Case<'_>] = &[
            (
                &[("cache-control", "max-age=10, s-maxage=20"), expires, date],
                Some(20),
            ),
            (&[("cache-control", "max-age=10"), expires, date], Some(10)),
            (&[expires, date], Some(60)),
            (&[expires], Some(60)),
            (&[("expires", "0"), date], Some(0)),
            (
                &[("expires", "Sun, 06 Nov 1994 08:40:00 GMT"), date],
                Some(0),
            ),
            (&[expires, expires, date], Some(0)),
            (&[("cache-control", "no-cache")], Some(0)),
            (&[("etag", "\"1\"")], None),
            (&[("last-modified", "Sun, 06 Nov 1993 08:49:37 GMT")], None),
        ];
        for (lines, lifetime) in cases {
            assert_eq!(fresh(lines).map(|it| it.lifetime), *lifetime, "{lines:?}");
        }
    }

    #[test]
    fn a_stale_answer_serves_as_long_as_it_says_and_never_against_its_word() {
        for (value, while_revalidate, if_error) in [
            ("max-age=1", 0, 7),
            ("max-age=1, stale-while-revalidate=5", 5, 7),
            ("max-age=1, stale-if-error=9", 0, 9),
            ("s-maxage=1", 0, 0),
            (
                "s-maxage=1, stale-if-error=9, stale-while-revalidate=3",
                3,
                9,
            ),
            (
                "max-age=1, must-revalidate, stale-if-error=9, stale-while-revalidate=5",
                0,
                0,
            ),
            ("max-age=1, proxy-revalidate, stale-if-error=9", 0, 0),
            ("max-age=1, no-cache, stale-if-error=9", 0, 0),
        ] {
            let found = fresh(&[("cache-control", value)]).unwrap();
            let got = (found.while_revalidate, found.if_error);
            assert_eq!(got, (while_revalidate, if_error), "{value}");
        }
    }

    #[test]
    fn the_age_is_the_larger_of_what_the_date_and_the_field_say() {
        let age = |lines: &[(&str, &str)]| initial_age(&fields(lines), NOW, 2);
        let date = ("date", "Sun, 06 Nov 1994 08:49:27 GMT");
        assert_eq!(age(&[]), 2);
        assert_eq!(age(&[date]), 10);
        assert_eq!(age(&[date, ("age", "30")]), 32);
        assert_eq!(age(&[("age", "30, 5")]), 32);
        assert_eq!(age(&[("age", "x")]), 2);
        // A clock that is ahead of ours makes nothing younger.
        assert_eq!(age(&[("date", "Sun, 06 Nov 1994 09:49:37 GMT")]), 2);
    }
}
