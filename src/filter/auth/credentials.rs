//! Place of credentials in a request: where they are read and removed.

use std::borrow::Cow;

use http::{HeaderName, HeaderValue, Uri, header::AUTHORIZATION, uri::PathAndQuery};

use super::oidc::is_of;
use crate::{
    exchange::Request,
    semantics::{Known, cookie, query},
};

/// Place of credentials in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// Nowhere in it.
    None,
    /// A header.
    Header(HeaderName),
    /// A parameter of the query.
    Query(Box<str>),
    /// A cookie.
    Cookie(Box<str>),
    /// The cookies of sessions and logins of this name; they are read elsewhere.
    Session(Box<str>),
}

/// Credentials found in a request.
pub(super) enum Found<'a> {
    /// None.
    Nothing,
    /// These.
    One(Cow<'a, [u8]>),
    /// More than one, of which nobody knows which is meant.
    Several,
}

impl Credentials {
    /// The header `Authorization`.
    pub const AUTHORIZATION: Self = Self::Header(AUTHORIZATION);

    /// Finds the credentials.
    pub(super) fn find<'a>(&self, request: &'a Request) -> Found<'a> {
        let (first, several) = match self {
            Self::None | Self::Session(_) => return Found::Nothing,
            Self::Header(name) => {
                let mut all = request.headers.get_all(name);
                let first = all.next().map(|value| Cow::Borrowed(value.as_bytes()));
                (first, all.next().is_some())
            }
            Self::Query(name) => {
                let query = request.uri.query().map(str::as_bytes);
                let first = query::find(query, name).map(|it| Cow::Owned(it.collect()));
                let count = pairs(request.uri.query())
                    .filter(|it| is_named(it, name))
                    .count();
                (first, count > 1)
            }
            Self::Cookie(name) => {
                let first = cookie::find(&request.headers, name).map(Cow::Borrowed);
                let all = cookie::pairs(&request.headers);
                let count = all.filter(|it| cookie::value_of(it, name).is_some());
                (first, count.count() > 1)
            }
        };
        match first {
            Some(_) if several => Found::Several,
            Some(found) => Found::One(found),
            None => Found::Nothing,
        }
    }

    /// The header, if they stand in one.
    pub(super) fn header(&self) -> Option<&HeaderName> {
        match self {
            Self::Header(name) => Some(name),
            Self::None | Self::Query(_) | Self::Cookie(_) | Self::Session(_) => None,
        }
    }

    /// Removes them from the request.
    pub(super) fn remove(&self, request: &mut Request) {
        match self {
            Self::None => {}
            Self::Header(name) => {
                request.headers.remove(name);
            }
            Self::Query(name) => {
                let query = request.uri.query();
                if !pairs(query).any(|pair| is_named(&pair, name)) {
                    return;
                }
                let kept = pairs(query).filter(|pair| !is_named(pair, name));
                let kept = kept.collect::<Vec<_>>().join("&");
                let path = request.uri.path();
                let target = if kept.is_empty() {
                    path.to_owned()
                } else {
                    format!("{path}?{kept}")
                };
                // Parts of a target are a target.
                if let Ok(target) = PathAndQuery::try_from(target) {
                    request.uri = Uri::from(target);
                    request.raw_target = None;
                }
            }
            Self::Cookie(name) => {
                remove_cookies(request, |pair| cookie::value_of(pair, name).is_some());
            }
            Self::Session(name) => remove_cookies(request, |pair| is_of(pair, name)),
        }
    }
}

fn pairs(query: Option<&str>) -> impl Iterator<Item = &str> {
    query.into_iter().flat_map(|query| query.split('&'))
}

/// Returns true if a pair of a query has this name, however it is encoded.
fn is_named(pair: &&str, name: &str) -> bool {
    let key = pair.split_once('=').map_or(*pair, |(key, _)| key);
    query::decode(key.as_bytes()).eq(name.bytes())
}

/// Removes some cookies; a request that has none of them stays as it is.
fn remove_cookies(request: &mut Request, is_removed: impl Fn(&[u8]) -> bool) {
    if !cookie::pairs(&request.headers).any(&is_removed) {
        return;
    }
    let kept = cookie::pairs(&request.headers).filter(|pair| !is_removed(pair));
    let kept: Vec<&[u8]> = kept.collect();
    let joined = HeaderValue::from_bytes(&kept.join(&b"; "[..]));
    request.headers.remove(Known::Cookie);
    if let Ok(mut value) = joined
        && !value.is_empty()
    {
        value.set_sensitive(true);
        request.headers.insert(Known::Cookie, value);
    }
}
