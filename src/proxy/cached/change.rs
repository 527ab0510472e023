//! Requests of other methods: what they may have changed is not used any more.

use super::{behind, note, serve};
use crate::{
    cache::{Forwarded, Key, Outcome, Url},
    exchange::{Exchange, Request, Response},
    failure::Failure,
    proxy::{call::Home, forward as upstream},
    semantics::{Known, upgrade::Offer},
    worker::Connection,
};

/// Sends a request of another method to a pool. If it may have changed something, what is stored for
/// its URL is removed (RFC 9111 section 4.4).
pub(super) async fn pass(
    connection: &Connection,
    exchange: &mut Exchange,
    home: Home,
    request: &mut Request,
    offer: Option<&Offer>,
    key: &Key,
) -> Result<Response, Failure> {
    let safe = request.method.is_safe();
    let sent = (!safe).then(|| request.headers.clone());
    note(exchange, Outcome::Bypass);
    let mut response = behind(connection, exchange, home, request, offer).await?;
    let good = response.status.is_success() || response.status.is_redirection();
    if let (Some(using), Some(sent), true) = (&exchange.cached, &sent, good) {
        let cache = &using.cache;
        cache.invalidate(key);
        for name in [Known::Location, Known::ContentLocation] {
            let place = response.headers.get(name).and_then(|it| it.to_str());
            let host = exchange.host_port();
            let scheme = exchange.scheme.as_str();
            if let Some(target) = place.and_then(|place| same_origin(place, scheme, host)) {
                let target = target.as_bytes();
                let url = Url {
                    scheme,
                    host,
                    target,
                };
                cache.invalidate(&cache.key.key(url, sent));
            }
        }
    }
    upstream::tell(connection, exchange, &mut response);
    serve::say(
        &mut response.headers,
        &Forwarded::Method.status(None, false, false),
    );
    Ok(response)
}

/// Returns path and query of a URL, if it is of this origin.
fn same_origin<'a>(place: &'a str, scheme: &str, host: &str) -> Option<&'a str> {
    let target = match place.split_once("://") {
        Some((other, rest)) => {
            let at = rest.find('/')?;
            let same = other.eq_ignore_ascii_case(scheme) && rest[..at].eq_ignore_ascii_case(host);
            same.then_some(&rest[at..])?
        }
        None if place.starts_with("//") => return None,
        None => place,
    };
    let target = target.split('#').next()?;
    target.starts_with('/').then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_of_the_same_origin_are_invalidated() {
        for (place, expected) in [
            ("/a?b#c", Some("/a?b")),
            ("https://shop.example/a", Some("/a")),
            ("HTTPS://Shop.Example/a", Some("/a")),
            ("http://shop.example/a", None),
            ("https://shop.example:444/a", None),
            ("https://evil.example/a", None),
            ("//shop.example/a", None),
            ("a", None),
            ("https://shop.example", None),
        ] {
            assert_eq!(
                same_origin(place, "https", "shop.example"),
                expected,
                "{place}"
            );
        }
    }
}
